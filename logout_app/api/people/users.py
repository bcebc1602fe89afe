"""People: list, look up, create, change, delete."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from idp import signals
from idp.connections.database import LONGEST_PASSWORD
from idp.models import Connection, User
from idp.people import accounts, added, metadata, password_policy
from idp.people.added import AlreadyThere, Newcomer
from idp.protocol import uris
from idp.protocol.text import normal_forms
from idp.scim import ownership
from idp.tenants import rules
from idp.tenants.reader import given
from logout_app.api.frame import body, paging
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError, invalid_body, invalid_query
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation
from logout_app.api.frame.parameters import MOST
from logout_app.api.people import found, search, shape
from sessions_app.account import mail

LOGIN_TAKEN = "auth0_idp_error"  # Auth0's code for what its database says
SORTS = {"created_at": "created_at", "updated_at": "updated_at", "email": "email", "user_id": "user_id"}


def list_users(call: Call) -> Any:
    rows = _sorted(shape.people().filter(search.people(call.query.text("q"))), call.query.text("sort"))
    return paging.pages(call, rows, "users", shape.user, length=True)


def _sorted(rows: QuerySet[User], asked: str) -> QuerySet[User]:
    """`field:1` or `field:-1`; the key decides between equals, so that no page repeats a row."""
    name, _, order = asked.partition(":")
    if not asked:
        return rows.order_by("pk")
    if name not in SORTS or order not in ("1", "-1"):
        raise invalid_query(f"'Sort by one of {', '.join(SORTS)}, like created_at:-1' on property sort.")
    sign = "-" if order == "-1" else ""
    return rows.order_by(f"{sign}{SORTS[name]}", f"{sign}pk")


def by_email(call: Call) -> Any:
    """Exactly this address, as it is written here or at a connection."""
    address = call.query.text("email")
    if not address:
        raise invalid_query("'Missing required property: email'.")
    here = Q()
    for spelling in normal_forms.spellings(address):
        here |= Q(email__iexact=spelling)
    return [shape.user(row) for row in shape.people().filter(here).order_by("pk")[:MOST]]


def get(call: Call, user_id: str) -> Any:
    return shape.user(found.person(user_id))


def create(call: Call) -> Any:
    new, blocked, verify = _newcomer(call)
    body.refuse([f"{field}: {sentence}" for field, sentence in added.problems(new) if field != "password"])
    weak = [sentence for field, sentence in added.problems(new) if field == "password"]
    if weak:
        raise _weak(weak)
    try:
        user = added.create(new, at=call.at)
    except AlreadyThere:
        raise ApiError(409, "The user already exists.", LOGIN_TAKEN) from None
    if blocked:
        accounts.block_user(user, actor=call.actor, at=call.at)
    if verify and user.email and not user.email_verified:
        mail.ask_for_verification(user, call.at)
    return shape.user(found.person(user.user_id))


def _newcomer(call: Call) -> tuple[Newcomer, bool, bool]:
    with body.reading(call.body, "users[0]") as reader:
        name = reader.text("connection", required=True) or ""
        email = reader.text("email", check=rules.check_email, longest=254) or ""
        connection = Connection.objects.filter(name=name).first()
        if name and connection is None:
            reader.problem("connection", "there is none of this name")
        sub = reader.text("user_id", check=_local_id, longest=200) or ""
        blocked, verify = reader.boolean("blocked"), reader.boolean("verify_email")
        columns = _columns(reader) | given(email_verified=reader.boolean("email_verified"))
        username = (reader.text("username", longest=255) or "").strip()
        password = reader.text("password", longest=LONGEST_PASSWORD)
        if not email and not username:
            reader.problem("email", "is missing")
    columns = {"name": email or username, "nickname": (email or username).partition("@")[0]} | columns
    columns = {name: value[:150] if name == "nickname" else value for name, value in columns.items()}
    return Newcomer(connection or Connection(), email, username, password, sub, columns), bool(blocked), bool(verify)


def update(call: Call, user_id: str) -> Any:
    user = found.person(user_id, locked=True)
    with body.reading(call.body, "users[0]") as reader:
        columns = _columns(reader)
        columns |= {name: "" for name in shape.TEXTS if reader.has(name) and reader.values[name] is None}
        email = reader.text("email", check=rules.check_email, longest=254)
        verified = reader.boolean("email_verified")
        password = reader.text("password", longest=LONGEST_PASSWORD)
        blocked, verify = reader.boolean("blocked"), reader.boolean("verify_email")
        for ignored in (
            "connection",
            "client_id",
        ):  # which of the accounts is meant, at Auth0: here only one has a password
            reader.text(ignored)
    if email is not None or password is not None or verified is not None or (user.has_powers and columns):
        found.refuse_with_powers(call, user)
    _refuse_owned(user, columns, email, verified)
    _write(user, columns, email, verified, call)
    if password is not None:
        _set_password(user, password, call)
    if blocked is not None:
        _block(user, blocked, call)
    if verify and user.email and not user.email_verified:
        mail.ask_for_verification(user, call.at)
    return shape.user(found.person(user_id))


def delete(call: Call, user_id: str) -> None:
    user = found.person(user_id)
    found.refuse_with_powers(call, user)
    accounts.delete_user(user, actor=call.actor, at=call.at)


def _columns(reader: BodyReader) -> dict[str, Any]:
    columns = given(
        name=reader.text("name", longest=255),
        given_name=reader.text("given_name", longest=150),
        family_name=reader.text("family_name", longest=150),
        nickname=reader.text("nickname", longest=150),
        picture=reader.text("picture", check=uris.check_web_url),
        phone_number=reader.text("phone_number", longest=32),
        phone_number_verified=reader.boolean("phone_verified"),
        user_metadata=reader.mapping("user_metadata"),
        app_metadata=reader.mapping("app_metadata"),
    )
    for name in ("user_metadata", "app_metadata"):
        if name in columns and (reason := metadata.problem(columns[name])):
            reader.problem(name, reason)
    return columns


def _refuse_owned(user: User, columns: dict[str, Any], email: str | None, verified: bool | None) -> None:
    said = {*columns} | {name for name, value in (("email", email), ("email_verified", verified)) if value is not None}
    if said & set(ownership.OWNED) and (owner := ownership.owner(user)):
        raise ApiError(400, ownership.why_fixed(owner), "operation_not_supported")


def _write(user: User, columns: dict[str, Any], email: str | None, verified: bool | None, call: Call) -> None:
    if email is not None and email != user.email:
        try:
            accounts.change_email(user, email, verified=bool(verified), actor=call.actor, at=call.at)
        except accounts.EmailTaken:
            raise ApiError(400, "The specified new email already exists", LOGIN_TAKEN) from None
    elif verified is not None:
        columns = columns | {"email_verified": verified}
    for name in ("user_metadata", "app_metadata"):
        if name in columns:
            columns = columns | {name: metadata.merged(getattr(user, name), columns[name])}
            if reason := metadata.problem(columns[name]):
                raise invalid_body(f"{name}: {reason}")
    changed = [name for name, value in columns.items() if getattr(user, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(user, name, columns[name])
    user.save(update_fields=[*changed, "updated_at"])
    signals.person_edited.send(
        User, user=user, attributes=changed, actor=call.actor, at=call.at, facts=call.caller.facts
    )


def _set_password(user: User, password: str, call: Call) -> None:
    policies = password_policy.policies_of(user)
    if not user.identities.filter(connection__strategy="auth0").exists():
        raise ApiError(400, "The user has no password here: they sign in elsewhere", "operation_not_supported")
    weak = [sentence for policy in sorted(policies) for sentence in password_policy.problems(password, policy, user)]
    if weak:
        raise _weak(weak)
    accounts.set_password(user, password, actor=call.actor)


def _block(user: User, blocked: bool, call: Call) -> None:
    if blocked:
        accounts.block_user(user, actor=call.actor, at=call.at)
        return
    if holder := ownership.holder(user):
        raise ApiError(400, ownership.why_out(holder), "operation_not_supported")
    accounts.unblock_user(user, actor=call.actor, at=call.at)


def _weak(sentences: list[str]) -> ApiError:
    return ApiError(400, f"PasswordStrengthError: {' '.join(dict.fromkeys(sentences))}", "invalid_body")


def _local_id(value: str) -> str | None:
    good = value.isascii() and value.isprintable() and not set(value) & set(" |/")
    return None if good else "is the part after auth0|: printable ASCII without space, | and /"


OPERATIONS = (
    Operation("GET", "users", ["read:users"], list_users, "People. `q` finds `field:value` with AND between several.",
              query=(*PAGES, *CHECKPOINTS, *FIELDS, "q", "sort", "search_engine", "primary_order"), listed="users", standby=True),
    Operation("POST", "users", ["create:users"], create, "Somebody new at a database connection.", 201),
    Operation("GET", "users-by-email", ["read:users"], by_email, "People with exactly this address.", query=("email", *FIELDS)),
    Operation("GET", "users/<str:user_id>", ["read:users"], get, "One person.", query=FIELDS),
    Operation("PATCH", "users/<str:user_id>", ["update:users"], update,
              "Change what is written of somebody; metadata is merged at the first level, null takes a name away."),
    Operation("DELETE", "users/<str:user_id>", ["delete:users"], delete,
              "Delete somebody: sessions end, tokens die, applications are told.", 204),
)  # fmt: skip
