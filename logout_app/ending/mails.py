"""Ends that their people are told of by mail, found by the worker in the audit trail five minutes after they happened.

Told is who did not begin it: an administrator, a source, a security event did; and who did, if an application could not be
told meanwhile. Nobody is told that a session expired.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db.models import QuerySet

from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.evidence.overdue import COMPLETE_WITHIN
from logout_app.models import DeliveryState, LogoutDelivery, ReceivedSignal, RevocationRequest
from sessions_app.account import security_mails
from sessions_app.audit.events import EventType
from sessions_app.audit.following import Lines, follow
from sessions_app.audit.history import Recorded
from sessions_app.models import SecurityMailKind, SSOSession

MOST_NAMES = 10  # of applications or devices in one mail
# The act itself is told by a mail of its own (`sessions_app/account/security_acts.py`), or was its person's.
TOLD_OTHERWISE = frozenset(
    {
        Initiator.PASSWORD_CHANGED,
        Initiator.EMAIL_IDENTIFIER_CHANGED,
        Initiator.MFA_PHONE_UNENROLLED,
        Initiator.RP_LOGOUT,
        Initiator.NOT_ME,
    }
)
SILENT = frozenset({Initiator.SESSION_EXPIRED, Initiator.ACCOUNT_DELETED})
UNREACHED = (DeliveryState.PENDING, DeliveryState.DEAD)
Key = tuple[int, str]  # the sign-out and the person


@dataclass(slots=True)
class ToldOf:
    """Names of applications: `told` that this person is out, `unreached`, and those that have no way to be told."""

    told: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    untellable: list[str] = field(default_factory=list)


def find(at: datetime) -> int:
    """Note the next of them; returns how many lines of the trail were looked at."""
    kinds = [EventType.ENDED, EventType.ACCESS_LOST]
    return follow("ends", kinds, partial(_look, at=at), at=at, patience=COMPLETE_WITHIN)


def _look(lines: Lines, at: datetime) -> None:
    if not security_mails.are_on():
        return
    ends: dict[Key, list[Recorded]] = defaultdict(list)
    for line in lines:
        if line.initiator not in SILENT and line.data.get("event"):
            ends[line.data["event"], line.sub].append(line)
    people = {user.user_id: user for user in security_mails.readers().filter(user_id__in={sub for _, sub in ends})}
    wanted = {key: found for key, found in ends.items() if key[1] in people}
    told, by_upstream = _told(wanted), _obeyed(event for event, _ in wanted)
    for (event, sub), found in wanted.items():
        of = told.get((event, sub), ToldOf())
        by_other = _by_somebody_else(found[0], event in by_upstream)
        if by_other or of.unreached:
            _note(people[sub], event, found, of, at, by_other)


def _by_somebody_else(line: Recorded, obeyed: bool) -> bool:
    """A sign-out at the identity provider is the person's own, unless it came as a revocation or a security event."""
    if line.initiator in TOLD_OTHERWISE or line.actor == "user" or line.actor.startswith("app:"):
        return False
    return obeyed or line.initiator != Initiator.IDP_LOGOUT


def _obeyed(events: Iterable[int]) -> set[int]:
    """Those that a revocation request or a security event of an identity provider brought about."""
    pks = list(events)
    asked: QuerySet[RevocationRequest] | QuerySet[ReceivedSignal]
    found: set[int] = set()
    for asked in (RevocationRequest.objects.all(), ReceivedSignal.objects.all()):
        found |= set(asked.filter(event__in=pks).values_list("event_id", flat=True))
    return found


def _told(keys: Iterable[Key]) -> Mapping[Key, ToldOf]:
    """An application that heard by one channel is told, whatever became of the others."""
    wanted = set(keys)
    states: dict[Key, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    rows = LogoutDelivery.objects.filter(event__in={event for event, _ in wanted}, sub__in={sub for _, sub in wanted})
    for event, sub, name, client_id, state in rows.values_list(
        "event", "sub", "application__name", "client_id", "state"
    ):
        if (event, sub) in wanted and client_id:
            states[event, sub][name or client_id].add(state)
    return {key: _sorted(applications) for key, applications in states.items()}


def _sorted(applications: Mapping[str, set[str]]) -> ToldOf:
    found = ToldOf()
    for name, states in sorted(applications.items()):
        if states & {DeliveryState.DELIVERED, DeliveryState.LOADED}:
            found.told.append(name)
        elif not states.isdisjoint(UNREACHED):
            found.unreached.append(name)
        elif DeliveryState.NOT_TOLD in states:
            found.untellable.append(name)
    return found


def _note(user: User, event: int, lines: list[Recorded], of: ToldOf, at: datetime, by_other: bool) -> None:
    sessions = SSOSession.objects.filter(sid__in=[line.sid for line in lines[:MOST_NAMES]]).order_by("-last_seen_at")
    browsers = dict.fromkeys(map(_browser, sessions))
    data = {
        "actor": lines[0].actor,
        "initiator": lines[0].initiator,
        "applications": len(of.told) + len(of.unreached) + len(of.untellable),
        "unreached": of.unreached[:MOST_NAMES],
        "unreached_count": len(of.unreached),
        "untellable": of.untellable[:MOST_NAMES],
        "untellable_count": len(of.untellable),
        "browsers": list(browsers),
        "by_other": by_other,
    }
    once = f"{event}:{user.pk}"
    security_mails.note(SecurityMailKind.SIGNED_OUT, user, once=once, happened_at=lines[0].at, at=at, data=data)


def _browser(session: SSOSession) -> tuple[str, str]:
    name = session.last_user_agent or session.initial_user_agent
    return name[: security_mails.LONGEST_USER_AGENT], str(session.last_ip or "")
