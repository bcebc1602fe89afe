"""A passkey is made, offered, and taken away. It is a second factor too: after a password it is asked for like any other."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.flows import auto_generate_recovery_codes
from allauth.mfa.webauthn.internal import auth
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from idp.connections.registry import Purpose, usable_for
from idp.http.requests import facts
from idp.models import Identity, Strategy, User
from idp.people import passkeys as rules
from sessions_app.protocol import user_agents
from sessions_app.session import binding
from sessions_app.signin import passkeys, security_keys, sign_in
from sessions_app.signin.security_keys import NotProved
from sessions_app.signin.under_way import Proved

PASSWORD = "pwd"


def is_offered(proved: Proved) -> bool:
    """Whether somebody who signs in with a password now is asked if they want one: once, until they say no or have a key."""
    by_password = any(method["name"] == PASSWORD for method in proved.proof.amr)
    if not by_password or proved.declined_passkey or not rules.are_offered(proved.identity.connection):
        return False
    return not (proved.has_second_factor and _keys(proved.identity.user).exists())


def may_be_asked(user: User) -> bool:
    return user.passkey_declined_at is None and not _keys(user).exists()


def may_have(user: User) -> bool:
    """Whether a passkey would sign this person in: they have an account of a database that allows it."""
    return any(rules.are_enabled(row.connection) for row in _accounts(user))


def begin(user: User) -> dict[str, Any]:
    """What `navigator.credentials.create` is given: a key that knows its person, and asks for a finger, a face or a PIN."""
    options: dict[str, Any] = auth.begin_registration(user, True)["publicKey"]
    return options


def add(request: HttpRequest, user: User, name: str, given: Any) -> tuple[Authenticator, list[str]]:
    """The passkey that the browser made, and recovery codes if these are the person's first. Raises NotProved,
    and PermissionDenied if the session ended meanwhile.

    Whoever makes one proves by that that they hold it: the session has two factors from now on.
    """
    made = security_keys.registered(given)
    try:
        data = security_keys.understood(lambda: auth.complete_registration(given))
    except ValidationError:
        raise NotProved("it does not answer what was asked") from None
    if Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN, data__credential__id=made.id).exists():
        raise NotProved("this key is registered already")  # section 7.1, step 26
    with transaction.atomic():
        binding.hold_signed_in(request, user)
        key = Authenticator.objects.create(
            user=user,
            type=Authenticator.Type.WEBAUTHN,
            data={
                "name": name or default_name(request),
                "credential": given,
                passkeys.MARK: True,
                security_keys.COUNTED: data.counter,
            },
        )
        codes = auto_generate_recovery_codes(request)
    sign_in.record_enrolment(request, user, Authenticator.Type.WEBAUTHN)
    return key, codes.wrap().get_unused_codes() if codes else []


def default_name(request: HttpRequest) -> str:
    return user_agents.in_words(facts(request).user_agent)[: security_keys.LONGEST_NAME]


def decline(user: User, at: Any) -> None:
    User.objects.filter(pk=user.pk).update(passkey_declined_at=at)


def is_last_way_in(key: Authenticator) -> bool:
    """Whether its person could not sign in any more without this key: no password, no other passkey, no account elsewhere."""
    accounts, user = _accounts(key.user), key.user
    if any(row.connection.strategy != Strategy.DATABASE for row in accounts):
        return False
    if accounts and user.has_usable_password():
        return False
    mine = passkeys.of_person(user.pk)
    return key in mine and may_have(user) and len(mine) == 1


def _accounts(user: User) -> list[Identity]:
    rows = Identity.objects.filter(user=user).select_related("connection")
    return [row for row in rows if usable_for(row.connection, Purpose.SIGN_IN)]


def _keys(user: User) -> QuerySet[Authenticator]:
    keys: QuerySet[Authenticator] = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    return keys
