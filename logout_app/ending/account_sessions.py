"""What people see of their own sessions, and what they end themselves. Every look and every act is bound to one person."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import NaturalTimeFormatter
from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.utils.timesince import timesince
from django.utils.translation import gettext

from idp.http.requests import RequestFacts
from idp.models import Application, User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutDelivery
from logout_app.protocol.sign_out_state import FAILING, PENDING, RowState, row_state, standing
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession
from sessions_app.session.devices import in_words

ACTOR = "user"
TOLD_FOR = timedelta(minutes=10)  # how long the page tells what came of a sign-out


@dataclass(frozen=True, slots=True)
class Device:
    """One live session, as its card shows it."""

    session: SSOSession
    name: str
    is_this: bool
    active: str
    applications: list[Application]


@dataclass(frozen=True, slots=True)
class AppTold:
    application: Application
    state: RowState


@dataclass(frozen=True, slots=True)
class SignedOut:
    """A session that the person ended from this page a moment ago, and which of its applications have been told."""

    name: str
    ago: str
    apps: list[AppTold]
    retrying: bool  # an application did not answer yet, and is asked again

    @property
    def reachable(self) -> int:
        return sum(app.state != RowState.UNREACHABLE for app in self.apps)

    @property
    def told(self) -> int:
        return sum(app.state == RowState.DELIVERED for app in self.apps)

    @property
    def untold(self) -> list[str]:
        """Names of the apps that were not told and will not be."""
        unreachable = [app.application for app in self.apps if app.state == RowState.UNREACHABLE]
        return [application.name or application.client_id for application in unreachable]

    @property
    def pending(self) -> bool:
        return any(app.state == RowState.PENDING for app in self.apps)


@dataclass(frozen=True, slots=True)
class OfflineApp:
    """An application that stays signed in by itself: an offline family of refresh tokens."""

    family: RefreshTokenFamily
    used: str


def devices(current: SSOSession, at: datetime) -> list[Device]:
    """The person's live sessions: the one that asks first, then the last used. Two statements."""
    live = _with_applications(SSOSession.objects.live(at).filter(user=current.user_id)).order_by("-last_seen_at", "-pk")
    found = [
        Device(
            session,
            device_name(session),
            session.pk == current.pk,
            _ago(session.last_seen_at, at),
            _applications(session),
        )
        for session in live.select_related("connection")
    ]
    return sorted(found, key=lambda device: not device.is_this)


def just_signed_out(user: User, at: datetime, timeout: int) -> list[SignedOut]:
    """What the person ended here within the last minutes, newest first. `timeout`: seconds until no answer is one."""
    mine = Q(user=user, end_initiator=Initiator.SESSION_REVOKED.value, end_actor=ACTOR, ended_at__gt=at - TOLD_FOR)
    ended = list(_with_applications(SSOSession.objects.filter(mine)).order_by("-ended_at", "-last_seen_at", "-pk"))
    channels = _channels(ended)
    return [_signed_out(session, channels, at, timedelta(seconds=timeout)) for session in ended]


def offline_apps(user: User, at: datetime) -> list[OfflineApp]:
    """Offline families that are alive, by application. They outlive their sessions, so no session says whether they are."""
    families = RefreshTokenFamily.objects.filter(user=user, offline=True, revoked_at=None).select_related("application")
    found = []
    for family in families.order_by("application__name", "-created_at", "-pk"):
        family.user = user
        if family.is_alive(at):
            found.append(OfflineApp(family, _ago(family.last_exchanged_at, at) if family.last_exchanged_at else ""))
    return found


def own_session(user: User, sid: str) -> SSOSession | None:
    """By its public id, alive or not; None also for somebody else's."""
    return SSOSession.objects.filter(user=user, sid=sid).first()


def own_family(user: User, public_id: str) -> RefreshTokenFamily | None:
    families = RefreshTokenFamily.objects.filter(user=user, offline=True, public_id=public_id)
    return families.select_related("application").first()


def sign_out(session: SSOSession, at: datetime) -> bool:
    """End one other session of the person; False: it had ended already."""
    return bool(_end(Selection.session(session.pk), at))


def sign_out_others(current: SSOSession, at: datetime) -> int:
    """End every session of the person but this one. What stays signed in by itself stays."""
    return len(_end(Selection.user(current.user_id, except_session=current.pk), at))


def revoke(family: RefreshTokenFamily, user: User, facts: RequestFacts, at: datetime) -> bool:
    """The application does not stay signed in: its refresh tokens die, and its access tokens with them."""
    alive = RefreshTokenFamily.objects.filter(pk=family.pk, user=user, revoked_at=None)
    with transaction.atomic():
        if not alive.update(revoked_at=at, revoke_reason=Initiator.SESSION_REVOKED.value):
            return False
        trail.record(
            EventType.REFRESH_TOKEN_REVOKED,
            user=user,
            application=family.application,
            facts=facts,
            at=at,
            actor=ACTOR,
            data={"family": family.public_id},
        )
    return True


def device_name(session: SSOSession) -> str:
    return in_words(session.last_user_agent or session.initial_user_agent)


def _end(selection: Selection, at: datetime) -> list[int]:
    ended = end_sessions(selection, initiator=Initiator.SESSION_REVOKED, actor=ACTOR, at=at, offline_tokens=False)
    return ended.session_pks


def _with_applications(sessions: QuerySet[SSOSession]) -> QuerySet[SSOSession]:
    clients = SessionClient.objects.select_related("application").order_by("joined_at", "pk")
    return sessions.prefetch_related(Prefetch("clients", clients))


def _applications(session: SSOSession) -> list[Application]:
    return [client.application for client in session.clients.all()]


def _channels(ended: list[SSOSession]) -> dict[tuple[int | None, int | None], dict[str, str]]:
    """(session, application) -> channel -> state of the delivery."""
    found: dict[tuple[int | None, int | None], dict[str, str]] = defaultdict(dict)
    if ended:
        for row in LogoutDelivery.objects.of_ends().filter(session__in=ended):
            state = standing(row.state, row.last_status, row.last_reason)
            found[row.session_id, row.application_id][row.channel] = state
    return found


def _signed_out(
    session: SSOSession,
    channels: dict[tuple[int | None, int | None], dict[str, str]],
    at: datetime,
    timeout: timedelta,
) -> SignedOut:
    ended_at = session.ended_at or at
    apps, retrying = [], False
    for application in _applications(session):
        states = channels.get((session.pk, application.pk), {})
        state = row_state(states, overdue=at >= ended_at + timeout)
        retrying = retrying or (state == RowState.DEAD and not {PENDING, FAILING}.isdisjoint(states.values()))
        apps.append(AppTold(application, state))
    return SignedOut(device_name(session), _ago(ended_at, at), apps, retrying)


def _ago(moment: datetime, at: datetime) -> str:
    """Coarse, as activity is written once a minute at most."""
    if at - moment < timedelta(minutes=1):
        return gettext("just now")
    return gettext("%(span)s ago") % {
        "span": timesince(moment, at, time_strings=NaturalTimeFormatter.past_substrings, depth=1)
    }
