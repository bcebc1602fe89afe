"""Django's PostgreSQL backend, with a cheaper question whether a kept connection still lives."""

from __future__ import annotations

import select
import time

from django.db.backends.postgresql import base

SILENT = 30.0  # seconds without a request after which a firewall may have dropped the connection and told nobody


class DatabaseWrapper(base.DatabaseWrapper):
    _asked_at = 0.0

    def is_usable(self) -> bool:
        """Asked at the first statement of every request. What a server says before it hangs up waits at the socket: while
        nothing waits there, and the connection was in use a moment ago, a round trip would tell no more.
        """
        now, before = time.monotonic(), self._asked_at
        self._asked_at = now
        if self.connection is None or now - before > SILENT or _has_something_to_say(self.connection.fileno()):
            return bool(super().is_usable())
        return True


def _has_something_to_say(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
