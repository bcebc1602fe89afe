"""Whom a stream names, and how: as its receiver knows people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.dispatch import receiver

from idp import signals
from idp.applications.subjects import subject_for
from idp.directory import entitlements
from idp.models import User
from idp.tenants.configuration import Snapshot
from logout_app.models import EventStream, FormerAddress, StreamKind
from logout_app.protocol.streams import sets
from sessions_app.audit.events import EventType
from sessions_app.audit.history import Recorded

KEPT = timedelta(days=30)  # former addresses: as long as a receiver may be away and still hear whom an event is about


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """Of a batch of lines: who is still there, and what the address of others was."""

    users: Mapping[str, User] = field(default_factory=dict)
    former: Mapping[str, list[FormerAddress]] = field(default_factory=dict)

    def address(self, line: Recorded) -> str:
        """At the moment of the line; "" if nobody knows."""
        for row in self.former.get(line.sub, ()):
            if row.until >= line.at:
                return row.address
        user = self.users.get(line.sub)
        return user.email if user else ""


def known(lines: Iterable[Recorded]) -> KnownPeople:
    """Two statements."""
    subs = {line.sub for line in lines if line.sub}
    users = {user.user_id: user for user in User.objects.filter(user_id__in=subs)}
    former: dict[str, list[FormerAddress]] = {}
    for row in FormerAddress.objects.filter(sub__in=subs).order_by("until", "pk"):
        former.setdefault(row.sub, []).append(row)
    return KnownPeople(users, former)


def subject(stream: EventStream, line: Recorded, people: KnownPeople, snapshot: Snapshot) -> dict[str, Any] | None:
    """None: this stream has no name for them."""
    if line.type == EventType.ADDRESS_CHANGED:  # RISC: the identifier that ceased to be theirs
        address = people.address(line)
        return sets.email(address) if address else None
    user = _user(stream, line, people, snapshot)
    if user is None or stream.subject_format != "complex":
        return user
    return sets.complex_subject(user, line.sid)


def digests(stream: EventStream, line: Recorded, people: KnownPeople, snapshot: Snapshot) -> set[str]:
    """Of every name by which a receiver may have taken the person out of the stream."""
    address = people.address(line)
    names = [sets.iss_sub(settings.ISSUER, _sub(stream, line.sub, snapshot))]
    return {sets.digest_of(name) for name in [*names, *([sets.email(address)] if address else [])]}


def claims_now(line: Recorded, people: KnownPeople, snapshot: Snapshot) -> dict[str, Any]:
    """What tokens say of the person by now, where the line is about it."""
    user = people.users.get(line.sub)
    if user is None:
        return {}
    if line.type == EventType.GROUPS_CHANGED:
        return {"groups": entitlements.of(user).group_names}
    if line.type == EventType.ROLES_CHANGED:
        return {"roles": [role.name for role in entitlements.roles_of(user, snapshot)]}
    return {}


def _user(stream: EventStream, line: Recorded, people: KnownPeople, snapshot: Snapshot) -> dict[str, str] | None:
    if stream.subject_format == "email":
        address = people.address(line)
        return sets.email(address) if address else None
    return sets.iss_sub(settings.ISSUER, _sub(stream, line.sub, snapshot))


def _sub(stream: EventStream, user_id: str, snapshot: Snapshot) -> str:
    return user_id if stream.application is None else subject_for(user_id, stream.application, snapshot)


# --- addresses that cease to be somebody's ----------------------------------------------------------------------------
@receiver(signals.email_changed, dispatch_uid="streams: an address changed")
def _changed(user: User, old: str, at: datetime, **_: Any) -> None:
    _remember(user.user_id, old, at)


@receiver(signals.user_deleted, dispatch_uid="streams: an account was deleted")
def _deleted(user: User, at: datetime, **_: Any) -> None:
    _remember(user.user_id, user.email, at)


def _remember(sub: str, address: str, at: datetime) -> None:
    """Only for who asked to be told: without a stream nothing is kept of who is deleted."""
    if address and EventStream.objects.filter(kind=StreamKind.SSF).exists():
        FormerAddress.objects.create(sub=sub, address=address, until=at)
