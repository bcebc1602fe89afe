"""How far the audit trail may be read by those who go on where they were: up to a line before which nothing can appear any more.

Mails wait for minutes (`sessions_app/audit/following.py`); whoever must hear of an end within two seconds cannot. So the
transactions are asked instead, that were under way when the line was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, sleep

from idp.database import settled
from sessions_app.audit import history

PATIENCE = 130.0  # seconds: longer than any transaction of ours (`idp/database/limits.py`); others' are not waited for
BETWEEN = 0.02


@dataclass(slots=True)
class SettledTrail:
    """Of one process. `key`: the newest line that may be read."""

    key: int = 0
    _seen: int = 0
    _mark: int = 0
    _since: float = 0.0

    def look(self) -> int:
        """Two or three statements. What is seen now is usually settled by the next look."""
        if self._seen <= self.key:
            self._see()
        if self._seen > self.key and (settled.has_passed(self._mark) or monotonic() - self._since > PATIENCE):
            self.key = self._seen
        return self.key

    @property
    def waits(self) -> bool:
        """Whether lines are there that are not settled yet."""
        return self._seen > self.key

    def _see(self) -> None:
        self._seen = history.newest()
        self._mark, self._since = settled.mark(), monotonic()


def newest(wait: float) -> int:
    """For one request: the newest line, if all before it settle within `wait` seconds; 0 else."""
    trail, until = SettledTrail(), monotonic() + wait
    while not trail.look() and trail.waits and monotonic() < until:
        sleep(BETWEEN)
    return trail.key
