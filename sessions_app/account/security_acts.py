"""Rare acts that their person is told of by mail: each writes one row, in the transaction of the act."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from django.dispatch import receiver
from django.utils.translation import gettext_noop

from idp import signals
from idp.http.requests import RequestFacts, facts
from idp.models import PasswordChange, User
from idp.protocol.opaque import new_secret
from sessions_app.account import security_mails
from sessions_app.models import SecurityMailKind

FACTORS = {"totp": gettext_noop("an authenticator app"), "webauthn": gettext_noop("a security key or passkey")}
_OF_PASSWORDS = {
    PasswordChange.CHOSEN: SecurityMailKind.PASSWORD_CHANGED,
    PasswordChange.RESET: SecurityMailKind.PASSWORD_RESET,
    PasswordChange.ADDRESS_PROVED: SecurityMailKind.PASSWORD_DROPPED,
}  # of NOT_ME the mail about the address tells
A_FACTOR = gettext_noop("a second factor")


@receiver(signals.password_changed, dispatch_uid="security mails: password changed")
def _password_changed(user: User, actor: str, at: datetime, why: PasswordChange, **_: Any) -> None:
    if kind := _OF_PASSWORDS.get(why):
        _note(kind, user, actor, at)


@receiver(signals.mfa_added, dispatch_uid="security mails: factor added")
def _factor_added(user: User, factor: Authenticator, actor: str, at: datetime, **_: Any) -> None:
    _note(SecurityMailKind.FACTOR_ADDED, user, actor, at, factor=FACTORS.get(factor.type, A_FACTOR))


@receiver(signals.mfa_removed, dispatch_uid="security mails: factor removed")
def _factor_removed(user: User, factor: Authenticator, actor: str, at: datetime, **_: Any) -> None:
    _note(SecurityMailKind.FACTOR_REMOVED, user, actor, at, factor=FACTORS.get(factor.type, A_FACTOR))


@receiver(signals.email_changed, dispatch_uid="security mails: address changed")
def _address_changed(
    user: User, old: str, was_verified: bool, actor: str, at: datetime, restores: bool, **_: Any
) -> None:
    """To the old address, which may be the only one that its owner reads; to the new one when it is known to be theirs."""
    said = {"old": old, "new": user.email}
    kind = SecurityMailKind.ADDRESS_RESTORED if restores else SecurityMailKind.ADDRESS_CHANGED
    if old and was_verified:
        _note(kind, user, actor, at, address=old, **said)
    if user.email and user.email_verified:
        _note(kind, user, actor, at, address=user.email, **said)


def _note(kind: SecurityMailKind, user: User, actor: str, at: datetime, *, address: str = "", **said: str) -> None:
    if not security_mails.are_on():
        return
    data = {"actor": actor, **said, **(security_mails.device(_request()) if actor == "user" else {})}
    # Nobody notes an act twice: it is its own event.
    security_mails.note(kind, user, once=new_secret(), happened_at=at, at=at, data=data, address=address)


def _request() -> RequestFacts | None:
    """Of the person; what an administrator's browser is, is not theirs to know."""
    return facts(context.request) if context.request is not None else None
