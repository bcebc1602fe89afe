"""The queue: all SQL that claims deliveries and writes down what came of them, a batch at a time.

A claim takes a lease and raises the fence; a result with an older fence is void. Both databases run the same steps; they
differ in how a batch of values becomes rows (`json_to_recordset`, `json_each`) and in how oldest-first per receiver
is asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from idp.database import dialect, prepared
from idp.operations.tracing import switch as tracing
from logout_app.delivery import tallies
from logout_app.delivery.receiver import APPLICATION
from logout_app.models import NEXT_FENCE, OF_STREAMS, DeliveryAttempt, DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol.retry import Outcome

TABLE = LogoutDelivery._meta.db_table
EVENTS = LogoutEvent._meta.db_table
ATTEMPTS = DeliveryAttempt._meta.db_table
PLANS_LAST = 0.1  # seconds: an idle worker's plan is that of an empty queue
LOOK_AHEAD = 2000  # SQLite: due rows that one claim ranks by receiver

# Spelt as in the partial indexes, or no planner uses them.
PENDING = "state = 'pending' AND NOT (channel = 'frontchannel')"
# A row that was never tried is due whatever the clock of its writer said.
DUE = f"{PENDING} AND (attempts = 0 OR due_at <= %(now)s) AND (lease_until IS NULL OR lease_until <= %(now)s)"
TAKE = f"""
UPDATE {TABLE} SET lease_until = %(lease)s, fence = fence + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM picked)
RETURNING id, fence, attempts, receiver, application_id, client_id, sub, sid, channel, created_at, last_status,
    coalesce((SELECT initiator FROM {EVENTS} e WHERE e.id = event_id), ''),
    (SELECT config_version FROM idp_tenantsettings LIMIT 1)
"""  # noqa: S608  constants only
# One column more where there are traces.
TRACED = f", coalesce((SELECT e.data ->> '{tracing.KEY}' FROM {EVENTS} e WHERE e.id = event_id), '')"  # noqa: S608
# Walks the index from receiver to receiver, so that a backlog of one costs the others nothing.
PICK_POSTGRES = f"""
WITH RECURSIVE receivers(key) AS (
    (SELECT receiver FROM {TABLE} WHERE {PENDING} AND receiver > '' ORDER BY receiver LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.receiver FROM {TABLE} d
        WHERE {PENDING} AND d.receiver > receivers.key ORDER BY d.receiver LIMIT 1
    ) FROM receivers WHERE receivers.key IS NOT NULL
), picked AS (
    SELECT due.id FROM receivers
    LEFT JOIN json_to_recordset(%(rooms)s::json) AS room(receiver text, n int) ON room.receiver = receivers.key
    CROSS JOIN LATERAL (
        SELECT d.id, d.due_at FROM {TABLE} d
        WHERE d.receiver = receivers.key AND {DUE} AND channel = ANY(%(channels)s)
        ORDER BY d.due_at, d.id LIMIT coalesce(room.n, %(cap)s) FOR UPDATE SKIP LOCKED
    ) due
    WHERE receivers.key IS NOT NULL AND coalesce(room.n, %(cap)s) > 0
    ORDER BY due.due_at, due.id LIMIT %(limit)s
)
"""  # noqa: S608
PICK_SQLITE = f"""
WITH room AS (SELECT value->>'receiver' AS receiver, value->>'n' AS n FROM json_each(%(rooms)s)),
due AS (
    SELECT id, due_at, receiver FROM {TABLE}
    WHERE {DUE} AND channel IN (SELECT value FROM json_each(%(channels)s)) AND receiver > ''
        AND receiver NOT IN (SELECT receiver FROM room WHERE n <= 0)
    ORDER BY due_at, id LIMIT {LOOK_AHEAD}
), ranked AS (
    SELECT id, due_at, receiver,
        row_number() OVER (PARTITION BY receiver ORDER BY due_at, id) AS place FROM due
), picked AS (
    SELECT id FROM ranked LEFT JOIN room USING (receiver)
    WHERE place <= coalesce(n, %(cap)s) ORDER BY due_at, id LIMIT %(limit)s
)
"""  # noqa: S608
CLAIM_POSTGRES, CLAIM_SQLITE = PICK_POSTGRES + TAKE, PICK_SQLITE + TAKE

FINAL = {Outcome.DELIVERED: DeliveryState.DELIVERED, Outcome.DROPPED: DeliveryState.DROPPED}  # all others: dead


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that is ours until its lease ends; `config_version` is the configuration to send it by."""

    id: int
    fence: int
    attempts: int
    receiver: str
    application_id: int | None
    client_id: str
    sub: str
    sid: str
    channel: str
    created_at: datetime
    last_status: int | None
    initiator: str
    config_version: int | None
    traceparent: str = ""  # of the end that it tells of, if that was traced


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one claim; `due_at` is set if there is to be another attempt."""

    claimed: Claimed
    outcome: Outcome
    reason: str
    started_at: datetime
    ended_at: datetime
    due_at: datetime | None = None
    status: int | None = None
    url: str = ""
    jti: str = ""

    @property
    def state(self) -> DeliveryState:
        return DeliveryState.PENDING if self.due_at is not None else FINAL.get(self.outcome, DeliveryState.DEAD)


def claim(
    *, channels: Sequence[str], rooms: Mapping[str, int], cap: int, limit: int, at: datetime, lease: timedelta
) -> list[Claimed]:
    """Lease up to `limit` due rows, oldest first, at most `rooms[receiver]` (else `cap`) of each receiver.

    One statement, which commits by itself: HTTP never happens inside a transaction.
    """
    parameters = claim_parameters(channels=channels, rooms=rooms, cap=cap, limit=limit, at=at, lease=lease)
    statement = dialect.either(postgresql=CLAIM_POSTGRES, sqlite=CLAIM_SQLITE)
    rows = [as_claimed(row) for row in prepared.fetch(traced(statement), parameters, plans_last=PLANS_LAST)]
    return sorted(rows, key=lambda row: row.id)


def traced(take: str) -> str:
    return take if tracing.traces is None else take + TRACED


def claim_parameters(
    *, channels: Sequence[str], rooms: Mapping[str, int], cap: int, limit: int, at: datetime, lease: timedelta
) -> dict[str, Any]:
    return {
        "now": connection.ops.adapt_datetimefield_value(at),
        "lease": connection.ops.adapt_datetimefield_value(at + lease),
        "rooms": json.dumps([{"receiver": key, "n": n} for key, n in rooms.items()]),
        "channels": dialect.keys(channels),
        "cap": cap,
        "limit": limit,
    }


def as_claimed(row: Sequence[Any]) -> Claimed:
    claimed = Claimed(*row)
    # SQLite stores UTC without saying so.
    return claimed if claimed.created_at.tzinfo else replace(claimed, created_at=claimed.created_at.replace(tzinfo=UTC))


FIELDS = (
    ("id", "bigint"),
    ("fence", "int"),
    ("state", "text"),
    ("due_at", "timestamptz"),
    ("finished_at", "timestamptz"),
    ("status", "int"),
    ("reason", "text"),
    ("number", "int"),
    ("started_at", "timestamptz"),
    ("duration_ms", "int"),
    ("outcome", "text"),
    ("url", "text"),
    ("jti", "text"),
)


def record(
    results: Sequence[Result], breakers: Mapping[str, float] | None = None, *, delivered_is_final: bool = False
) -> list[int]:
    """Write results in one transaction; returns the rows that they decided. `breakers`: name of a receiver -> open until (Unix time).

    An attempt is a fact (what was postponed was none) even if its claim is void by now, so every attempt gets its row, once however often it is written.
    `delivered_is_final`: that an application has signed somebody out is true whoever leases the row by now, so that
    nobody asks it again.
    """
    ours = "v.state = 'delivered' OR" if delivered_is_final else ""
    with transaction.atomic(), connection.cursor() as cursor:
        values, parameter = _as_rows(results)
        tried = [result for result in results if result.outcome is not Outcome.POSTPONED]
        cursor.execute(
            f"""
            UPDATE {TABLE} SET state = v.state, due_at = coalesce(v.due_at, {TABLE}.due_at), lease_until = NULL,
                last_status = v.status, last_reason = v.reason, finished_at = v.finished_at
            FROM {values} WHERE {TABLE}.id = v.id AND {TABLE}.state = 'pending'
                AND ({ours} {TABLE}.fence = v.fence)
            RETURNING {TABLE}.id
            """,  # noqa: S608
            [parameter],
        )
        decided = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            f"""
            INSERT INTO {ATTEMPTS} (delivery_id, number, started_at, duration_ms, status, outcome, reason, url, jti)
            SELECT v.id, v.number, v.started_at, v.duration_ms, v.status, v.outcome, v.reason, v.url, v.jti
            FROM {values} JOIN {TABLE} d ON d.id = v.id WHERE true
            ON CONFLICT (delivery_id, number) DO NOTHING
            """,  # noqa: S608
            [_as_rows(tried)[1]],
        )
        valid = set(decided)
        tallies.add(counts_of([result for result in tried if result.claimed.id in valid]))
        tallies.put({("breaker", name): until for name, until in (breakers or {}).items()})
    return decided


def _as_rows(results: Sequence[Result]) -> tuple[str, str]:
    """The batch as the SQL of a table `v`, and its one parameter."""
    moment = connection.ops.adapt_datetimefield_value
    parameter = json.dumps([_as_row(result, moment) for result in results])
    return dialect.table_of(FIELDS), parameter


def _as_row(result: Result, moment: Callable[[datetime], object]) -> dict[str, Any]:
    """`moment` makes of a time what this database compares with."""
    row, state = result.claimed, result.state
    return {
        "id": row.id,
        "fence": row.fence,
        "state": state.value,
        "due_at": None if result.due_at is None else str(moment(result.due_at)),
        "finished_at": None if state is DeliveryState.PENDING else str(moment(result.ended_at)),
        "status": result.status,
        "reason": result.reason,
        "number": row.attempts,
        "started_at": str(moment(result.started_at)),
        "duration_ms": max(0, round((result.ended_at - result.started_at).total_seconds() * 1000)),
        "outcome": result.outcome.value,
        "url": result.url[:1000],
        "jti": result.jti,
    }


def counts_of(results: Sequence[Result]) -> dict[tuple[str, str], float]:
    counts: Counter[tuple[str, str]] = Counter()
    for (channel, outcome, state), number in Counter((r.claimed.channel, r.outcome, r.state) for r in results).items():
        counts["attempts", f"{channel}:{outcome.value}"] += number
        if outcome is Outcome.UNPROCESSABLE:
            counts["aside", channel] += number
        if state != DeliveryState.PENDING:
            counts["finished", f"{channel}:{state.value}"] += number
    told = [(r.ended_at - r.claimed.created_at).total_seconds() for r in results if r.outcome is Outcome.DELIVERED]
    if not told:
        return dict(counts)
    for label, number in Counter(map(tallies.bucket, told)).items():
        counts["latency", label] = number
    return counts | {("latency_sum", ""): sum(max(0.0, seconds) for seconds in told)}


def adopt() -> int:
    """Rows that an earlier release planned meanwhile say nothing of their receiver, and no claim finds them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE} SET receiver = %s || coalesce(application_id, 0) WHERE {PENDING} AND receiver IS NULL",  # noqa: S608
            [APPLICATION],
        )
        return int(cursor.rowcount)


def give_up(at: datetime, max_age: timedelta, limit: int = 1000) -> int:
    """Dead-letter rows that failed, are too old and have waited behind an open breaker for ten minutes.

    A row that was never tried is left: workers that were away must not turn a backlog into dead letters.
    """
    waiting = at - timedelta(minutes=10)
    rows = LogoutDelivery.objects.due(waiting).filter(created_at__lt=at - max_age, attempts__gt=0)
    rows = rows.exclude(channel__in=OF_STREAMS)  # held for as long as it takes
    return LogoutDelivery.objects.filter(
        pk__in=list(rows.values_list("pk", flat=True)[:limit]), state="pending"
    ).update(state=DeliveryState.DEAD, finished_at=at, fence=NEXT_FENCE)


def keep_leased(pks: Sequence[int], until: datetime) -> None:
    """For rows whose result is known here and cannot be recorded yet: no other worker shall send them meanwhile.

    A row that is locked is being recorded, and nobody claims it.
    """
    given = {"until": connection.ops.adapt_datetimefield_value(until), "pks": dialect.keys(pks)}
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE} SET lease_until = %(until)s WHERE id IN (SELECT id FROM {TABLE} "  # noqa: S608  constants only
            f"WHERE id {dialect.among('pks')} AND state = 'pending'{dialect.lock('FOR UPDATE SKIP LOCKED')})",
            given,
        )
