"""*This was not me*: whoever has the link of a mail ends everything of its person, once. Looking ends nothing.

Whoever was told at their address that it is the account's no more gets the account back, too: the address, and a password that
nobody knows, so that only their mailbox leads to a new one. Second factors stay: a mailbox alone gets rid of none (ADR 48).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from idp.crypto.spent import spend
from idp.http.requests import RequestFacts
from idp.models import MailLink, PasswordChange, SpentToken, User
from idp.people import accounts
from idp.protocol.initiators import Initiator
from logout_app.ending import account_sessions
from logout_app.ending.end import Ended, Selection, end_sessions
from sessions_app.account import not_me
from sessions_app.account.not_me import NotMe
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession
from sessions_app.signin import passkeys

ACTOR = "user"  # who has their mailbox, as with a forgotten password
_KIND, _ISSUER = "not-me", "mail"


@dataclass(frozen=True, slots=True)
class AtStake:
    """What will end."""

    sessions: int
    offline_apps: int
    passkeys: int


def at_stake(user: User, at: datetime) -> AtStake:
    sessions = SSOSession.objects.live(at).filter(user=user).count()
    return AtStake(sessions, len(account_sessions.offline_apps(user, at)), len(passkeys.of_person(user.pk)))


def was_used(link: NotMe) -> bool:
    return SpentToken.objects.filter(kind=_KIND, issuer=_ISSUER, jti=link.once).exists()


@dataclass(frozen=True, slots=True)
class Done:
    ended: Ended
    restored: bool  # the address of before is the person's again


def end_everything(link: NotMe, facts: RequestFacts, at: datetime) -> Done | None:
    """Sessions, offline tokens and whatever is about to begin; passkeys sign in alone no more. None: the link was used before,
    nothing was done. Raises TemporarilyUnavailable."""
    with transaction.atomic():
        passkeys.hold(link.user)  # no passkey opens a session while they cease to
        # Then the person: of two links of theirs one comes after the other.
        link.user.refresh_from_db(from_queryset=User.objects.select_for_update(no_key=True))
        if not spend(_KIND, _ISSUER, link.once, expires_at=link.expires_at):
            return None
        ended = end_sessions(
            Selection.user(link.user.pk), initiator=Initiator.NOT_ME, actor=ACTOR, at=at, offline_tokens=True
        )
        distrusted = passkeys.trust_none_alone(link.user)
        restored = bool(link.address) and _restore(link, at)
        _record(link, ended, distrusted, restored, facts, at)
    return Done(ended, restored)


def _restore(link: NotMe, at: datetime) -> bool:
    """False: somebody else signs in with it meanwhile. Then the password stays too, as the other mailbox would lead to a new one."""
    try:
        accounts.change_email(link.user, link.address, verified=True, actor=ACTOR, at=at, restores=True)
    except accounts.EmailTaken:
        link.user.refresh_from_db(fields=["email", "email_verified"])
        return False
    accounts.drop_password(link.user, PasswordChange.NOT_ME, actor=ACTOR, at=at)
    for mail in not_me.void_links(link, at):
        spend(_KIND, _ISSUER, str(mail), expires_at=at + not_me.WORKS_FOR)
    MailLink.objects.filter(user=link.user, used_at=None).update(used_at=at, due_at=None)
    return True


def _record(link: NotMe, ended: Ended, distrusted: int, restored: bool, facts: RequestFacts, at: datetime) -> None:
    data = {
        "mail": link.kind,
        "event": ended.event.pk if ended.event else None,
        "sessions_ended": len(ended.session_pks),
        "passkeys": distrusted,
        "restored": restored,
    }
    trail.record(
        EventType.NOT_ME,
        user=link.user,
        initiator=Initiator.NOT_ME.value,
        actor=ACTOR,
        facts=facts,
        at=at,
        data=data,
    )
