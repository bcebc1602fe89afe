"""Old lines of the audit trail, deleted so that what is left can be verified at every moment, however long the purge rests.

A seal goes with the lines that it covers, in one transaction, and ranges go in the chain's order, so that what is left has no
gap. A range goes when its youngest line is old: each process has its own clock, and a line says when its act began, so ranges
next to each other overlap in time. The newest seal outlives its lines, for the next to name it, and says that they were purged.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from sessions_app.audit import chain, following, permit
from sessions_app.models import AuditSeal, SessionEvent
from sessions_app.session.batches import Sized, delete_rows

SEALS = 50  # of one transaction; where little happens each has a few lines


class OldLines(Sized):
    """A batch has lines of one kind: before the first seal, sealed, or not sealed yet for as long as that."""

    def __init__(self, old: datetime) -> None:
        super().__init__()
        self._old = old
        # Places of rows that are gone are not gone through again: the last line of the last range that went, and, outside of
        # seals, the time of the last line.
        self._after = 0
        self._since: datetime | None = None
        self._kinds = [self._before_seals, self._sealed, self._behind_seals]

    def __repr__(self) -> str:
        return "sessionevent by seals"

    def __call__(self) -> int:
        """How many lines and seals it deleted."""
        while self._kinds:
            if done := self._kinds[0]():
                return done
            del self._kinds[0]
            self._since = None
        self.is_done = True
        return 0

    # --- sealed ------------------------------------------------------------------------------------------------------

    def _sealed(self) -> int:
        while found := self._old_seals():
            with transaction.atomic(), permit.purging():
                deleted = self._take(found)
            self._after = found[-1].last
            if deleted:
                return deleted
        return 0

    def _old_seals(self) -> list[AuditSeal]:
        """From the beginning of the chain: as many as have a batch of lines together, one at least."""
        found: list[AuditSeal] = []
        lines = 0
        for seal in AuditSeal.objects.filter(last__gt=self._after).order_by("last")[:SEALS]:
            lines += seal.lines
            if seal.newest_at >= self._old or (found and lines > self.size):
                break
            found.append(seal)
        alone = len(found) == 1 and _newest() == found[0].last
        return [] if alone and chain.says_purged(found[0]) else found

    def _take(self, found: list[AuditSeal]) -> int:
        """0: another purge has taken them meanwhile."""
        rows = AuditSeal.objects.select_for_update().filter(last__lte=found[-1].last)
        seals = list(rows.order_by("last"))
        deleted = sum(self._delete_lines(seal) for seal in seals)
        newest = _newest()
        if seals and seals[-1].last == newest:
            chain.mark_purged(seals.pop())
            deleted += 1
        return deleted + delete_rows(AuditSeal.objects.filter(pk__in=[seal.pk for seal in seals]))

    def _delete_lines(self, seal: AuditSeal) -> int:
        """By statements of a batch each, also if somebody has put thousands of lines between those that were sealed."""
        deleted, begin = 0, seal.after
        lines = SessionEvent.objects.filter(pk__lte=seal.last).order_by("pk")
        while keys := list(lines.filter(pk__gt=begin).values_list("pk", flat=True)[: self.size]):
            deleted += delete_rows(lines.filter(pk__gt=begin, pk__lte=keys[-1]).order_by())
            begin = keys[-1]
        return deleted

    # --- outside of seals --------------------------------------------------------------------------------------------

    def _before_seals(self) -> int:
        """From before there were seals: all go before the first range does, so nobody needs to look for them afterwards."""
        first = AuditSeal.objects.order_by("last").first()
        if first is None or first.previous:
            return 0
        lines = SessionEvent.objects.filter(pk__lte=first.after)
        deleted = self._oldest_of(lines)
        if not deleted and lines.exists():
            self._kinds.remove(self._sealed)
        return deleted

    def _behind_seals(self) -> int:
        """Nobody has sealed for as long as lines are kept; whoever does so now must not see half of them go."""
        if not self._old_of(SessionEvent.objects.filter(pk__gt=_newest()), 1):
            return 0
        with transaction.atomic():
            following.stand_still(chain.FOLLOWER)
            return self._oldest_of(SessionEvent.objects.filter(pk__gt=_newest()))

    def _oldest_of(self, lines: QuerySet[SessionEvent]) -> int:
        found = self._old_of(lines, self.size)
        if not found:
            return 0
        with transaction.atomic(), permit.purging():
            deleted = delete_rows(lines.filter(pk__in=[pk for pk, _ in found]))
        self._since = found[-1][1]
        return deleted

    def _old_of(self, lines: QuerySet[SessionEvent], most: int) -> list[tuple[int, datetime]]:
        """By their time: among the first by key there may be as many as one likes of a clock that was ahead."""
        old = lines.filter(at__lt=self._old)
        rest = old if self._since is None else old.filter(at__gte=self._since)
        return list(rest.order_by("at").values_list("pk", "at")[:most])


def _newest() -> int:
    """Up to which line the trail is sealed; 0: nowhere."""
    return AuditSeal.objects.order_by("-last").values_list("last", flat=True).first() or 0
