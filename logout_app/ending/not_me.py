"""*This was not me*: whoever has the link of a mail ends everything of its person, once. Looking ends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from idp.crypto.spent import spend
from idp.http.requests import RequestFacts
from idp.models import SpentToken, User
from idp.protocol.initiators import Initiator
from logout_app.ending import account_sessions
from logout_app.ending.end import Ended, Selection, end_sessions
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


def end_everything(link: NotMe, facts: RequestFacts, at: datetime) -> Ended | None:
    """Sessions, offline tokens and whatever is about to begin; passkeys sign in alone no more. None: the link was used before,
    nothing was done."""
    with transaction.atomic():
        if not spend(_KIND, _ISSUER, link.once, expires_at=link.expires_at):
            return None
        ended = end_sessions(
            Selection.user(link.user.pk), initiator=Initiator.NOT_ME, actor=ACTOR, at=at, offline_tokens=True
        )
        _record(link, ended, passkeys.trust_none_alone(link.user), facts, at)
    return ended


def _record(link: NotMe, ended: Ended, distrusted: int, facts: RequestFacts, at: datetime) -> None:
    data = {
        "mail": link.kind,
        "event": ended.event.pk if ended.event else None,
        "sessions_ended": len(ended.session_pks),
        "passkeys": distrusted,
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
