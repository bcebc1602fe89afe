"""What an event does to the people or the session that it names. Called in the transaction that spends its token.

What was proved after the event is newer than it, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection as database

from idp.connections.oidc import attributes
from idp.database import dialect, prepared
from idp.models import Connection, Identity
from idp.protocol.initiators import Initiator
from idp.protocol.signal_events import Effect
from logout_app.ending.end import NOT_BEFORE, Selection, end_sessions
from logout_app.gtr.people import MARK_OF_ACCOUNTS
from logout_app.models import LogoutEvent
from logout_app.protocol.shared_signals.subjects import SignalSubject
from logout_app.reauthentication.require import require_reauthentication
from logout_app.shared_signals.people import NamedAccounts
from sessions_app.models import SSOSession

MOST_GROUPS, LONGEST_GROUP = 1000, 1000


@dataclass(frozen=True, slots=True)
class SignalTarget:
    """Whom the event means, and until when it counts."""

    connection: Connection
    named: NamedAccounts
    subject: SignalSubject
    until: datetime
    at: datetime

    @property
    def actor(self) -> str:
        return f"upstream:{self.connection.name}"

    @property
    def is_somebody(self) -> bool:
        return bool(self.named.accounts or (self.subject.sessions and not self.subject.people))


@dataclass(frozen=True, slots=True)
class SignalOutcome:
    effect: Effect
    reason: str = ""
    sessions: int = 0
    event: LogoutEvent | None = None


def apply(effect: Effect, target: SignalTarget, claims: Any) -> SignalOutcome:
    """`claims` are those of a token-claims-change."""
    if effect is Effect.NOTE:
        return SignalOutcome(effect)
    if effect is Effect.REFRESH_GROUPS:
        return _refresh_groups(target, claims)
    if effect is Effect.REQUIRE_REAUTHENTICATION:
        stale = require_reauthentication(_sessions(target), actor=target.actor, at=target.at, until=target.until)
        return SignalOutcome(effect, sessions=len(stale))
    if effect is Effect.END_SESSIONS or target.subject.sessions:
        # A session that is named apart is all that is meant, whatever happened to it.
        return _ended(Effect.END_SESSIONS, [_sessions(target)], target, offline_tokens=False)
    return _ended(effect, list(_everything(target)), target, offline_tokens=True)


def _ended(effect: Effect, selections: list[Selection], target: SignalTarget, *, offline_tokens: bool) -> SignalOutcome:
    ends = [
        end_sessions(
            _older(selection, target.until),
            initiator=Initiator.SHARED_SIGNAL,
            actor=target.actor,
            at=target.at,
            offline_tokens=offline_tokens,
        )
        for selection in selections
    ]
    event = next((ended.event for ended in ends if ended.event is not None), None)
    return SignalOutcome(effect, "", sum(len(ended.session_pks) for ended in ends), event)


def _sessions(target: SignalTarget) -> Selection:
    """Of the accounts; of a session upstream that is named, the one that began with it, or that may have."""
    where = ["connection_id = %(connection)s"]
    given: dict[str, Any] = {"connection": target.connection.pk}
    if target.subject.people:
        where.append(f"identity_id {dialect.among('identities')}")
        given["identities"] = dialect.keys(list(target.named.accounts))
    if target.subject.sessions:
        where.append(f"upstream_sid {dialect.among('sids')}")
        # Whose sign-in brought no id of the session there: it may be this one, if the person is known.
        sids = [name.values[-1] for name in target.subject.sessions] + ([""] if target.subject.people else [])
        given["sids"] = dialect.keys(sids)
    return Selection(" AND ".join(where), given)


def _everything(target: SignalTarget) -> Iterator[Selection]:
    """By person, in one order for everybody. Marks first: nothing that was proved until then may open anything later."""
    for person in target.named.people:
        newer = SSOSession.objects.filter(user=person, ended_at=None, auth_time__gt=target.until).exists()
        if person in target.named.elsewhere or newer:
            accounts = [
                *Identity.objects.filter(pk__in=target.named.accounts, user=person).values_list("pk", flat=True)
            ]
            _mark(MARK_OF_ACCOUNTS, target.until, accounts)
            yield Selection.identities(accounts)
        else:
            _mark(NOT_BEFORE, target.until, [person])
            yield Selection.user(person, mark_is_raised=True)


def _mark(statement: str, until: datetime, pks: list[int]) -> None:
    given = {"at": database.ops.adapt_datetimefield_value(until), "pks": dialect.keys(pks)}
    prepared.fetch(f"{statement.format(which=dialect.among('pks'))} RETURNING id", given)


def _older(selection: Selection, until: datetime) -> Selection:
    """Of these, what was proved until then."""
    then = "auth_time <= %(until)s"
    families = f"({selection.families}) AND {then}" if selection.families else ""
    given = {**selection.given, "until": database.ops.adapt_datetimefield_value(until)}
    return replace(selection, where=f"({selection.where}) AND {then}", families=families, given=given)


def _refresh_groups(target: SignalTarget, claims: Any) -> SignalOutcome:
    """The groups that the event tells. If it tells none, the next sign-in will bring what changed, and is asked for."""
    groups = _groups(target.connection, claims)
    if groups is None:
        stale = require_reauthentication(_sessions(target), actor=target.actor, at=target.at, until=target.until)
        return SignalOutcome(Effect.REQUIRE_REAUTHENTICATION, "the event tells no groups", len(stale))
    for identity in Identity.objects.select_for_update(no_key=True).filter(pk__in=target.named.accounts).order_by("pk"):
        identity.profile = {**identity.profile, "groups": groups}
        identity.save(update_fields=["profile"])
    return SignalOutcome(Effect.REFRESH_GROUPS, f"the groups are now {', '.join(groups) or 'none'}"[:500])


def _groups(connection: Connection, claims: Any) -> list[str] | None:
    """What the claim is here that sign-in makes groups of: the mapped one, or `groups`."""
    if not isinstance(claims, dict):
        return None
    mapped = attributes.read(connection.options.get("attribute_map")).apply({"tokenset": claims, "userinfo": claims})
    value = mapped.get("groups", claims.get("groups"))
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or len(texts) > MOST_GROUPS:
        return None
    return texts if all(isinstance(text, str) and len(text) <= LONGEST_GROUP for text in texts) else None
