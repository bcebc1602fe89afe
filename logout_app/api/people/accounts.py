"""With what somebody signs in: accounts of connections that are linked, second factors."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator

from idp.models import Identity, Strategy, User
from idp.people import accounts
from idp.people.accounts import CannotLink
from logout_app.api.frame import body, paging
from logout_app.api.frame.errors import ApiError, not_found
from logout_app.api.frame.operations import PAGES, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.people import found, shape
from sessions_app.signin import factors

TYPES = {"totp": "totp", "webauthn": "webauthn-roaming", "recovery_codes": "recovery-code"}


def link(call: Call, user_id: str) -> Any:
    """`provider` and `user_id` name the account that signs in this person from now on; its sessions end."""
    user = found.person(user_id)
    with body.reading(call.body) as reader:
        provider, local = reader.text("provider", required=True), reader.text("user_id", required=True)
        named = reader.text("connection_id")
    identity = _identity(f"{provider}|{local}")
    if named and identity.connection.public_id != named:
        raise not_found("user")
    found.refuse_with_powers(call, user)
    found.refuse_with_powers(call, identity.user)
    try:
        accounts.link_identity(identity, user, actor=call.actor, at=call.at)
    except CannotLink as refused:
        raise ApiError(400, str(refused), "operation_not_supported") from None
    return shape.user(found.person(user_id))["identities"]


def unlink(call: Call, user_id: str, provider: str, local: str) -> Any:
    user, identity = found.person(user_id), _identity(f"{provider}|{local}")
    if identity.user_id != user.pk:
        raise not_found("user")
    found.refuse_with_powers(call, user)
    if identity.own_user_id == user.user_id:
        raise ApiError(400, "The main account of somebody cannot be unlinked", "operation_not_supported")
    if former := shape.people().filter(user_id=identity.own_user_id).first():
        found.refuse_with_powers(call, former)  # who may have come to them since it was linked away
    try:
        accounts.unlink_identity(identity, actor=call.actor, at=call.at)
    except CannotLink as refused:
        raise ApiError(400, str(refused), "operation_not_supported") from None
    return shape.user(found.person(user_id))["identities"]


def _identity(own_user_id: str) -> Identity:
    """By the user id that it has where nobody linked it: `auth0|SUB`, or `STRATEGY|CONNECTION|SUB`."""
    strategy, _, rest = own_user_id.partition("|")
    rows = Identity.objects.select_related("connection", "user")
    if strategy == Strategy.DATABASE:
        row = rows.filter(connection__strategy=strategy, sub=rest).first()
    else:
        name, _, sub = rest.partition("|")
        row = rows.filter(connection__strategy=strategy, connection__name=name, sub=sub).first()
    if row is None:
        raise not_found("user")
    return row


def list_methods(call: Call, user_id: str) -> Any:
    rows = Authenticator.objects.filter(user=found.pk_of(user_id)).order_by("pk")
    return paging.pages(call, rows, "authenticators", _method)


def get_method(call: Call, user_id: str, method_id: str) -> Any:
    return _method(_authenticator(found.person(user_id), method_id))


def remove_methods(call: Call, user_id: str) -> None:
    """All of them, recovery codes too: the password alone signs somebody in until they set up a new one."""
    user = found.person(user_id)
    found.refuse_with_powers(call, user)
    factors.reset(user, actor=call.actor, facts=call.caller.facts, at=call.at)


def remove_method(call: Call, user_id: str, method_id: str) -> None:
    user = found.person(user_id)
    found.refuse_with_powers(call, user)
    row = _authenticator(user, method_id)
    if row.type not in factors.FACTORS:
        raise ApiError(400, "Recovery codes go with the last factor that they stand in for", "operation_not_supported")
    row.delete()


def _authenticator(user: User, method_id: str) -> Authenticator:
    kind, _, key = method_id.partition("|dev_")
    row = None
    if key.isascii() and key.isdigit() and len(key) < 18:
        row = Authenticator.objects.filter(user=user, pk=int(key)).first()
    if row is None or TYPES.get(row.type, row.type) != kind:
        raise not_found("authentication_method")
    return row


def _method(row: Authenticator) -> dict[str, Any]:
    """Never what is compared: no secret, no key."""
    kind = TYPES.get(row.type, row.type)
    name = row.data.get("name") if isinstance(row.data, dict) else None
    found: dict[str, Any] = {
        "id": f"{kind}|dev_{row.pk}",
        "type": kind,
        "confirmed": True,
        "created_at": iso(row.created_at),
        "last_auth_at": iso(row.last_used_at),
    }
    return found | ({"name": name} if isinstance(name, str) and name else {})


USER = "users/<str:user_id>"
OPERATIONS = (
    Operation("POST", f"{USER}/identities", ["update:users"], link,
              "Let an account of a connection sign in this person: `provider`, `user_id`.", 201),
    Operation("DELETE", f"{USER}/identities/<str:provider>/<str:local>", ["update:users"], unlink,
              "Give a linked account back to the person that it had before."),
    Operation("GET", f"{USER}/authentication-methods", ["read:authentication_methods", "read:users"], list_methods,
              "Second factors and recovery codes of somebody, without what is compared.", query=PAGES),
    Operation("DELETE", f"{USER}/authentication-methods", ["delete:authentication_methods"], remove_methods,
              "Take all second factors of somebody away; their sessions end.", 204),
    Operation("GET", f"{USER}/authentication-methods/<str:method_id>", ["read:authentication_methods", "read:users"],
              get_method, "One of them."),
    Operation("DELETE", f"{USER}/authentication-methods/<str:method_id>", ["delete:authentication_methods"],
              remove_method, "Take one second factor away; sessions of the person end.", 204),
)  # fmt: skip
