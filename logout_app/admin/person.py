"""Is Mary out? A sentence, and what it rests on: sessions with what each application heard, tokens, factors, sources, history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Prefetch, Q

from idp.models import Identity, User
from idp.protocol.initiators import Initiator
from idp.protocol.text.bidi import isolated
from logout_app.admin.timeline import actor_in_words
from logout_app.admin.words import counted, listed
from logout_app.delivery.channels.registry import OF_PERSON
from logout_app.evidence.report import ends_of
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.reauthentication.told import WHY as REAUTHENTICATION
from sessions_app.audit import history
from sessions_app.audit.events import EventGroup, words
from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession
from sessions_app.protocol import user_agents

MOST = 20  # sessions, tokens, lines: the newest. Live sessions are all looked at, as the answer depends on them
NEEDED = ("sessions_app.view_ssosession", "logout_app.view_logoutdelivery")
HISTORY = (EventGroup.SESSION, EventGroup.SIGN_IN, EventGroup.CREDENTIALS, EventGroup.CONNECTION)
NO_END = (REAUTHENTICATION, Initiator.ACCESS_LOST.value)  # acts on sessions that go on
SURE = frozenset({DeliveryState.DELIVERED, DeliveryState.DROPPED})
WORST_FIRST = (DeliveryState.DEAD, DeliveryState.NOT_TOLD, DeliveryState.LOADED, DeliveryState.PENDING)


@dataclass(frozen=True, slots=True)
class HeardBy:
    """An application of a session; `delivery` is the channel by which it confirmed, or else the one that is furthest from it."""

    name: str
    delivery: LogoutDelivery | None

    @property
    def seconds(self) -> float | None:
        row = self.delivery
        confirmed = row is not None and row.state == DeliveryState.DELIVERED and row.finished_at is not None
        return (row.finished_at - row.created_at).total_seconds() if confirmed else None  # type: ignore[union-attr, operator]


@dataclass(frozen=True, slots=True)
class OneSession:
    row: SSOSession
    device: str
    heard: Sequence[HeardBy]
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class WhetherOut:
    level: str  # bad, run, warn or fine
    sentence: str
    more: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LastEnd:
    """The newest act that ended anything of the person."""

    event: LogoutEvent
    by: str


@dataclass(frozen=True, slots=True)
class PersonPage:
    answer: WhetherOut
    last_end: LastEnd | None = None
    live: Sequence[OneSession] = ()
    ended: Sequence[OneSession] = ()
    families: Sequence[RefreshTokenFamily] = ()
    factors: Sequence[Authenticator] = ()
    sources: Sequence[Identity] = ()
    lines: Sequence[tuple[history.Recorded, str]] = field(default=())


def person_page(person: User, administrator: Any, now: datetime) -> PersonPage | None:
    """None: this administrator may not look at sessions and at what applications were told, so there is no answer."""
    if not administrator.has_perms(NEEDED):
        return None
    live = list(_sessions(person).live(now).order_by("-pk"))
    ended = list(_sessions(person).filter(ended_at__isnull=False).order_by("-pk")[:MOST])
    told = _told(person, ended, now)
    families = _families(person)
    seen = administrator.has_perm
    return PersonPage(
        answer(person, live, told, [one for one in families if one.is_alive(now)]),
        _last_end(person, now),
        [_session(row, {}) for row in live],
        [_session(row, told) for row in ended],
        families if seen("sessions_app.view_refreshtokenfamily") else (),
        list(Authenticator.objects.filter(user=person).order_by("pk")) if seen("mfa.view_authenticator") else (),
        list(person.identities.select_related("connection", "provisioned").order_by("pk"))
        if seen("idp.view_identity")
        else (),
        _lines(person) if seen("sessions_app.view_sessionevent") else (),
    )


def _last_end(person: User, now: datetime) -> LastEnd | None:
    ends = ends_of(person.user_id, person.created_at, now).exclude(initiator__in=NO_END)
    event = ends.exclude(sessions_ended=0, families_revoked=0).order_by("-at", "-pk").first()
    return LastEnd(event, actor_in_words(event.actor)) if event else None


def _sessions(person: User) -> Any:
    clients = Prefetch("clients", SessionClient.objects.select_related("application").order_by("joined_at"))
    return SSOSession.objects.filter(user=person).select_related("connection", "user").prefetch_related(clients)


def _families(person: User) -> list[RefreshTokenFamily]:
    rows = RefreshTokenFamily.objects.filter(user=person).select_related("application", "session__user", "user")
    alive = list(rows.filter(revoked_at=None).order_by("-pk"))
    return [*alive, *rows.exclude(revoked_at=None).order_by("-pk")[: max(0, MOST - len(alive))]]


Told = Mapping[int | None, Sequence[LogoutDelivery]]


def _told(person: User, ended: Iterable[SSOSession], now: datetime) -> Told:
    """By session; under None what was sent once for the whole person."""
    own = list(ends_of(person.user_id, person.created_at, now).order_by("-at").values_list("pk", flat=True)[:MOST])
    of_person = Q(event__in=own, channel__in=OF_PERSON, sub=person.user_id)
    rows = LogoutDelivery.objects.of_ends().filter(Q(session__in=[row.pk for row in ended]) | of_person)
    found: dict[int | None, list[LogoutDelivery]] = defaultdict(list)
    for row in rows.select_related("application").order_by("pk"):
        found[row.session_id].append(row)
    return found


def _session(row: SSOSession, told: Told) -> OneSession:
    device = user_agents.in_words(row.last_user_agent or row.initial_user_agent)
    names = {client.application.client_id: str(client.application) for client in row.clients.all()}
    by_application: dict[str, list[LogoutDelivery]] = defaultdict(list)
    for delivery in told.get(row.pk, ()):
        by_application[delivery.client_id].append(delivery)
        names.setdefault(delivery.client_id, _name(delivery))
    heard = [HeardBy(name, settled(by_application.get(client_id, []))) for client_id, name in names.items()]
    return OneSession(row, device, heard, actor_in_words(row.end_actor) if row.ended_at else "")


def settled(channels: Sequence[LogoutDelivery]) -> LogoutDelivery | None:
    """One that confirmed says enough; else the worst, as the others may not have reached it either."""
    sure = next((row for row in channels if row.state in SURE), None)
    unsure = (row for state in WORST_FIRST for row in channels if row.state == state)
    return sure or next(unsure, None)


def answer(person: User, live: Sequence[SSOSession], told: Told, families: Sequence[RefreshTokenFamily]) -> WhetherOut:
    """The one sentence. Out is who has no session and no token here, and of whom every application has said so."""
    name = isolated(str(person))
    blocked = [] if person.is_active else [f"{name} is blocked and cannot sign in."]
    offline = sorted({isolated(str(one.application)) for one in families if one.offline})
    tokens = [f"Refresh tokens still work in {listed(offline)}."] if offline else []
    apart = _unsure(told)
    doubts = [f"{sentence}: {listed(names)}." for sentence, names in apart.items() if names]
    if live:
        inside = sorted({isolated(str(client.application)) for session in live for client in session.clients.all()})
        where = f", in {listed(inside)}" if inside else ", in no application yet"
        first = f"{name} is signed in: {counted(len(live), 'live session')}{where}."
        return WhetherOut("run", first, [*blocked, *tokens, *doubts])
    if tokens:
        return WhetherOut("warn", f"{name} has no session, but is not out of everything.", [*tokens, *blocked, *doubts])
    if doubts:
        level = "run" if list(filter(None, apart.values())) == [apart[WAITING]] else "bad"
        state = "is being signed out" if level == "run" else "is out here, and perhaps not everywhere"
        return WhetherOut(level, f"{name} {state}.", [*doubts, *blocked])
    if not told and person.last_login is None:
        return WhetherOut("fine", f"{name} is out, and has never signed in.", blocked)
    return WhetherOut("fine", f"{name} is out.", [_how(told), *blocked])


WAITING, SILENT, LOADED, UNTOLD = "Still being told", "No answer", "A page was loaded and nothing confirmed", "Not told"
SENTENCES = {
    DeliveryState.PENDING: WAITING,
    DeliveryState.DEAD: SILENT,
    DeliveryState.LOADED: LOADED,
    DeliveryState.NOT_TOLD: UNTOLD,
}


def _unsure(told: Told) -> dict[str, list[str]]:
    """The names of applications where somebody may still be signed in, by why. Each application of a session counts once."""
    found: dict[str, set[str]] = {sentence: set() for sentence in SENTENCES.values()}
    for rows in told.values():
        by_application: dict[str, list[LogoutDelivery]] = defaultdict(list)
        for row in rows:
            by_application[row.client_id].append(row)
        for channels in by_application.values():
            furthest = settled(channels)
            if furthest is not None and furthest.state not in SURE:
                found[SENTENCES[DeliveryState(furthest.state)]].add(isolated(_name(furthest)))
    return {sentence: sorted(names) for sentence, names in found.items()}


def _how(told: Told) -> str:
    rows = [row for of_session in told.values() for row in of_session if row.state == DeliveryState.DELIVERED]
    if not rows:
        return "No application had to be told of the last sign-outs."
    names = sorted({_name(row) for row in rows})
    return f"Every application that had to hear of it has confirmed: {listed(names)}."


def _name(row: LogoutDelivery) -> str:
    return (row.application.name if row.application else "") or row.client_id


def _lines(person: User) -> list[tuple[history.Recorded, str]]:
    return [(line, words(line.type)) for line in history.of_person(person.user_id, HISTORY, MOST)]
