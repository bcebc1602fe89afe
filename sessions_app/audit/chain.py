"""Seals over closed ranges of the audit trail, each with the digest of the one before: what is altered, added or taken away shows.

Triggers keep everybody from changing a line who does not own the tables. A seal is an HMAC with a key that the database does
not hold, so who owns the tables cannot make one. Made by the worker, never in a request; the newest digest goes to the log,
where it tells of seals that are cut off at the end.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import Max

from idp.crypto import sealing
from sessions_app.audit.following import follow
from sessions_app.models import AuditSeal, SessionEvent

log = structlog.get_logger(__name__)
FOLLOWER, PURPOSE = "seals", "audit chain"
PATIENCE = timedelta(minutes=5)  # longer than any transaction of ours: what is written later stands behind the range
LATE = timedelta(minutes=30)  # since the oldest line that is not sealed; longer means that nobody seals


def seal_next(at: datetime) -> int:
    """Seal the next lines that are old enough; returns how many: a full batch, if there may be more."""
    return follow(FOLLOWER, None, lambda lines: _seal(lines, at), at=at, patience=PATIENCE)


def _seal(lines: list[SessionEvent], at: datetime) -> None:
    if not lines:
        return
    before = AuditSeal.objects.order_by("-last").first()
    made = AuditSeal(
        after=before.last if before else lines[0].pk - 1,
        last=lines[-1].pk,
        lines=len(lines),
        newest_at=max(line.at for line in lines),
        previous=before.digest if before else "",
        at=at,
    )
    made.key_id, key = next(iter(sealing.digest_keys(PURPOSE).items()))
    made.digest = _digest(key, made, lines)
    made.save(force_insert=True)
    log.info("audit.sealed", last=made.last, lines=made.lines, digest=made.digest)


def _digest(key: bytes, seal: AuditSeal, lines: Iterable[SessionEvent]) -> str:
    made = hmac.new(key, digestmod="sha256")
    made.update(_text([seal.previous, seal.after, seal.last, seal.lines, _moment(seal.newest_at), _moment(seal.at)]))
    for line in lines:
        made.update(_text([getattr(line, name) for name in FIELDS] + [_moment(line.at)]))
    return made.hexdigest()


def mark_purged(seal: AuditSeal) -> None:
    """Its lines are gone, and it stays as long as it is the newest, for the next to name it. By the key: nobody else can say so."""
    seal.key_id, key = next(iter(sealing.digest_keys(PURPOSE).items()))
    seal.previous = _purged_mark(key, seal)
    seal.save(update_fields=("key_id", "previous"))


def says_purged(seal: AuditSeal) -> bool:
    key = sealing.digest_keys(PURPOSE).get(seal.key_id)
    return key is not None and hmac.compare_digest(_purged_mark(key, seal), seal.previous)


def _purged_mark(key: bytes, seal: AuditSeal) -> str:
    """In the place of the digest before, which nobody compares at the beginning of the chain."""
    said = ["purged", seal.after, seal.last, seal.lines, _moment(seal.newest_at), seal.digest]
    return hmac.new(key, _text(said), "sha256").hexdigest()


FIELDS = ("pk", "type", "sid", "sub", "client_id", "connection", "initiator", "actor", "ip", "user_agent", "data")


def _text(values: list[Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _moment(at: datetime) -> int:
    """Microseconds: both databases keep them."""
    return round(at.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class TrailVerdict:
    """`head` is the newest digest: noted elsewhere, it shows later that nothing was cut off behind it. `oldest`: the moment of the
    first sealed line; nothing here can tell whether the purge took what was before it.
    """

    seals: int
    lines: int
    purged: int
    unsealed: int
    head: str
    oldest: datetime | None
    problems: tuple[str, ...]

    @property
    def row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("seals", "lines", "purged", "unsealed", "head")} | {
            "status": "altered" if self.problems else "verified",
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "problems": list(self.problems),
        }


def verify(at: datetime, *, retention_days: int, noted: str = "") -> TrailVerdict:
    """Read all of the trail. `noted`: a digest that was the newest once."""
    reading = _Reading(at - timedelta(days=retention_days), noted)
    problems = list(reading.problems())
    if (late := unsealed_since()) is not None and late < at - LATE:
        problems.append(f"Lines since {late:%Y-%m-%d %H:%M} UTC are not sealed: does a worker run?")
    unsealed = SessionEvent.objects.filter(pk__gt=reading.last).count()
    return TrailVerdict(
        reading.seals, reading.lines, reading.purged, unsealed, reading.head, reading.oldest, tuple(problems)
    )


def unsealed_since() -> datetime | None:
    """The moment of the oldest line that no seal covers; None: there is none."""
    last = AuditSeal.objects.order_by("-last").values_list("last", flat=True).first() or 0
    return SessionEvent.objects.filter(pk__gt=last).order_by("pk").values_list("at", flat=True).first()


def keys_in_use() -> dict[str, datetime]:
    """Keys by which seals are verified, by their id, each with the moment of its newest line."""
    return dict(AuditSeal.objects.order_by().values_list("key_id").annotate(newest=Max("newest_at")))


class _Reading:
    """Seal after seal, with what it counts on the way. What the purge took away stood at the beginning, also what it takes
    meanwhile: a seal and its lines are read by two statements."""

    def __init__(self, retained: datetime, noted: str) -> None:
        self.retained, self.noted = retained, noted
        self.seals = self.lines = self.purged = self.last = 0
        self.head = ""
        self.oldest: datetime | None = None
        self.keys = sealing.digest_keys(PURPOSE)

    def problems(self) -> Iterator[str]:
        found_noted = not self.noted
        for seal in AuditSeal.objects.order_by("last").iterator():
            yield from self._of(seal)
            found_noted = found_noted or seal.digest == self.noted
            self.seals, self.last, self.head = self.seals + 1, seal.last, seal.digest
        if not found_noted:
            yield "No seal has the digest that was noted: the end of the chain was cut off, or made anew."

    def _of(self, seal: AuditSeal) -> Iterator[str]:
        if self.seals and (seal.previous, seal.after) != (self.head, self.last):
            yield f"A seal is missing between line {self.last} and line {seal.after + 1}."
        lines = list(SessionEvent.objects.filter(pk__gt=seal.after, pk__lte=seal.last).order_by("pk"))
        if self._is_left_over(seal, lines) or (not lines and _is_purged(seal)):
            self.purged += seal.lines - len(lines)
        elif (key := self.keys.get(seal.key_id)) is None:
            yield f"{_range(seal)} cannot be verified: their key is not in CURFEW_ENCRYPTION_KEYS."
        elif not hmac.compare_digest(_digest(key, seal, lines), seal.digest):
            yield f"{_range(seal)} are not what was sealed: {len(lines)} lines are there, {seal.lines} were sealed."
        self.lines += len(lines)
        self.oldest = self.oldest or next((line.at for line in lines), None)

    def _is_left_over(self, seal: AuditSeal, lines: list[SessionEvent]) -> bool:
        """By the purge of 0.1.0, which deleted seals after their lines; the next purge takes what it left."""
        return len(lines) < seal.lines and not self.lines and seal.newest_at < self.retained


def _is_purged(seal: AuditSeal) -> bool:
    """As the database knows it now: the seal is gone as all before it, or says that its lines are."""
    first = AuditSeal.objects.order_by("last").first()
    return first is not None and (first.last > seal.last or (first.last == seal.last and says_purged(first)))


def _range(seal: AuditSeal) -> str:
    return f"Lines {seal.after + 1} to {seal.last} (up to {seal.newest_at:%Y-%m-%d %H:%M} UTC)"
