"""One limiter for every path on which somebody may guess: counters in the database, fixed windows, no second store to lose.

Sign-in *reserves* a slot of each of its keys before the password is hashed, in one statement, and gives it back when the
password was right: 200 parallel guesses are counted before the first of them is checked. The token endpoints *count
failures* only: a success costs no statement. Keys are hashed; what they mean never reaches the table.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.db import connection as database

from idp.database import prepared
from idp.models import LimiterSlot

LONGEST_KIND = 15  # LimiterSlot.key holds it, a colon and 64 hexadecimal digits


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` in `window` seconds. `shards` spreads a key that everybody writes over that many rows."""

    kind: str
    count: int
    window: int
    shards: int = 1

    def __post_init__(self) -> None:
        if len(self.kind) > LONGEST_KIND:
            raise ValueError(f"{self.kind} is too long for the column of keys")

    @property
    def per_shard(self) -> int:
        return max(1, self.count // self.shards)

    def key(self, *parts: object) -> Key:
        text = "\0".join(str(part) for part in parts)
        return Key(self, f"{self.kind}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}")


@dataclass(frozen=True, slots=True)
class Key:
    limit: Limit
    name: str


QUARTER, DAY = 900, 86_400  # seconds

# 20 wrong passwords in a quarter of an hour are more than a person needs and 1,920 guesses a day: NIST SP 800-63B-4
# section 3.2.2 allows 100 in a row. Right passwords do not count, so a benchmark or a shared account is not stopped.
ACCOUNT = Limit("account", 20, QUARTER)
# One prefix is one office or one household behind NAT; 200 wrong passwords stop a sprayer, not a Monday morning.
ADDRESS = Limit("address", 200, QUARTER)
# Spraying from many addresses. 1,000 wrong passwords in a quarter of an hour are an attack on the whole tenant: from then on
# a network that nobody knows may be wrong five times, not 200. So few networks cannot use up the budget of all, 5,000.
TENANT = Limit("tenant", 5000, QUARTER, shards=8)
PRESSURE = 1000
UNDER_PRESSURE = 5
FIRST_PRESSURE = Limit("pressure", 1, QUARTER)  # told once
# A browser or a network that this person signed in from before has its own small budget, which strangers cannot use up.
KNOWN = Limit("known", 10, QUARTER)
# A six-digit code has 1,000,000 values, one of which is valid: 60 a day. Whoever tries knows the password, so a day ends with it.
CODE = Limit("code", 10, QUARTER)
CODE_DAY = Limit("code-day", 60, DAY)
# Ten recovery codes of eight digits: as likely to be guessed as one of seven. Wrong codes of an app do not use them up.
RECOVERY = Limit("recovery", 20, QUARTER)
RECOVERY_DAY = Limit("recovery-day", 100, DAY)
# Nobody guesses the signature of a security key: this is for a network that tries all the same.
SECURITY_KEY = Limit("security-key", 20, QUARTER)
# Mails that a stranger makes us send to one address.
RESET_MAIL = Limit("reset", 5, 3600)
# Wrong values of what nobody guesses (registration access tokens, links of mails, the token of /metrics), per address prefix.
ENDPOINT = Limit("endpoint", 100, 300)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was taken, the ids of the rows that count it, and their counts with it. `exhausted` are the limits that were full already; then
    nothing may be tried.

    `news` are those of them that this reservation was the first to find full: worth an alert, once per window and shard.
    """

    keys: tuple[tuple[Key, int], ...]
    exhausted: tuple[Key, ...]
    news: tuple[Key, ...]
    at: datetime
    rows: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def allowed(self) -> bool:
        return not self.exhausted

    def without_exhausted(self) -> Reservation | None:
        """What was taken of the limits that still had slots, if any had."""
        kept = [(taken, row) for taken, row in zip(self.keys, self.rows, strict=True) if taken[0] not in self.exhausted]
        if not kept:
            return None
        return replace(self, keys=tuple(taken for taken, _ in kept), rows=tuple(row for _, row in kept))

    def count_of(self, wanted: Key) -> int:
        """How often the key was taken in this window, this time included; of one with shards, in this shard."""
        return next(count for (key, _), count in zip(self.keys, self.counts, strict=False) if key == wanted)

    @property
    def retry_after(self) -> int:
        """Seconds until the last of the full windows ends."""
        return max((seconds_left(key.limit, self.at) for key in self.exhausted), default=0)


def reserve(keys: Iterable[Key], at: datetime) -> Reservation:
    """Take one slot of every key, in one statement. Keys are sorted: two reservations never lock in different orders."""
    taken = tuple((key, _shard(key.limit)) for key in sorted(keys, key=lambda key: key.name))
    counted = _upsert(taken, at, first=1, change="{count} + 1")
    over = {key: counted[(key.name, shard)][0] - key.limit.per_shard for key, shard in taken}
    exhausted = tuple(key for key, excess in over.items() if excess > 0)
    rows = tuple(counted[(key.name, shard)][1] for key, shard in taken)
    counts = tuple(counted[(key.name, shard)][0] for key, shard in taken)
    return Reservation(taken, exhausted, tuple(key for key in exhausted if over[key] == 1), at, rows, counts)


def give_back(reservation: Reservation) -> None:
    """The attempt was right: it does not count."""
    _upsert(reservation.keys, reservation.at, first=0, change="CASE WHEN {count} > 0 THEN {count} - 1 ELSE 0 END")


def undo(reservation: Reservation) -> None:
    """Nothing was tried: what was taken is given back, and rows that count nothing go, for names that strangers make up."""
    give_back(reservation)
    LimiterSlot.objects.filter(pk__in=reservation.rows, count=0).delete()


def giving_back(reservation: Reservation) -> list[tuple[str, list[int]]]:
    """The same as an UPDATE for each row, for the writes of another act; in the order in which everybody locks the rows."""
    table, count = (database.ops.quote_name(name) for name in (LimiterSlot._meta.db_table, "count"))
    sql = f"UPDATE {table} SET {count} = {count} - 1 WHERE id = %s AND {count} > 0"  # noqa: S608
    return [(sql, [row]) for row in reservation.rows]


def count_failure(key: Key, at: datetime) -> int:
    """Count a failure; returns how many there are in this window. When the limit is reached this process remembers it."""
    shard = _shard(key.limit)
    count, _ = _upsert(((key, shard),), at, first=1, change="{count} + 1")[(key.name, shard)]
    if count >= key.limit.per_shard:
        _blocked.add(key, at)
    return count


def take(key: Key, amount: int, at: datetime) -> int:
    """Count so many at once; returns how many there are in this window. For what is counted in lots, by few different amounts:
    each is a statement of its own that the database plans."""
    return _upsert(((key, 0),), at, first=amount, change=f"{{count}} + {amount:d}")[(key.name, 0)][0]


def is_blocked(key: Key, at: datetime) -> bool:
    """Whether this process has seen the limit reached in this window. Costs no statement.

    Counting is shared, remembering is not: a process that does not know yet learns it from its next failure.
    """
    return _blocked.holds(key, at)


def exhausted(keys: Iterable[Key], at: datetime) -> set[Key]:
    """Of these keys those that are full in this window. Looks only: nothing is taken."""
    found = {key.name: key for key in keys}
    rows = LimiterSlot.objects.filter(key__in=found).values_list("key", "window", "count")
    return {
        found[name]
        for name, window, count in rows
        if window == _start(found[name].limit, at) and count >= found[name].limit.per_shard
    }


def forget(keys: Iterable[Key]) -> None:
    """What these keys counted is gone."""
    LimiterSlot.objects.filter(key__in=[key.name for key in keys]).delete()


def _start(limit: Limit, at: datetime) -> int:
    return int(at.timestamp()) // limit.window * limit.window


def seconds_left(limit: Limit, at: datetime) -> int:
    return limit.window - int(at.timestamp()) % limit.window


def prefix(ip: str | None) -> str:
    """An IPv4 address, or the /64 that one household owns; one bucket for requests without an address."""
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if address.version == 4:
        return ip
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def purge(at: datetime) -> int:
    """Delete windows that are over."""
    return LimiterSlot.objects.filter(expires_at__lt=at).delete()[0]


class _Blocked:
    """Keys at their limit and the end of that window; forgets by itself."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, key: Key, at: datetime) -> None:
        now = at.timestamp()
        with self._lock:
            self._until = {name: until for name, until in self._until.items() if until > now}
            self._until[key.name] = now + seconds_left(key.limit, at)

    def holds(self, key: Key, at: datetime) -> bool:
        return self._until.get(key.name, 0.0) > at.timestamp()


_blocked = _Blocked()


def _shard(limit: Limit) -> int:
    return random.randrange(limit.shards) if limit.shards > 1 else 0  # noqa: S311  spreads writes, hides nothing


def _upsert(
    slots: tuple[tuple[Key, int], ...], at: datetime, *, first: int, change: str
) -> dict[tuple[str, int], tuple[int, int]]:
    """Insert the windows' rows or change their counts; returns counts and ids. One statement, so atomic on both databases."""
    table = database.ops.quote_name(LimiterSlot._meta.db_table)
    count, window = (database.ops.quote_name(name) for name in ("count", "window"))
    values: list[str | int | None] = []
    for key, shard in slots:
        start = _start(key.limit, at)
        ends = datetime.fromtimestamp(start, UTC) + timedelta(seconds=key.limit.window)
        values += [key.name, shard, start, first, database.ops.adapt_datetimefield_value(ends)]
    rows = ", ".join(["(%s, %s, %s, %s, %s)"] * len(slots))
    counts = prepared.fetch(
        f"INSERT INTO {table} (key, shard, {window}, {count}, expires_at) VALUES {rows} "  # noqa: S608
        f"ON CONFLICT (key, shard, {window}) DO UPDATE SET {count} = {change.format(count=f'{table}.{count}')} "
        f"RETURNING key, shard, {count}, id",
        values,
    )
    return {(key, shard): (count, pk) for key, shard, count, pk in counts}
