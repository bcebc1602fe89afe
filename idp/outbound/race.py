"""A connection to whichever of a name's addresses takes it first (RFC 8305 section 5), for the transports that block.

A network that is announced and leads nowhere (IPv6 at half of the world's companies) swallows what is sent to it: who waits for
one address after the other has no time left for those that answer.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Sequence
from itertools import zip_longest

from idp.outbound.dial import Candidate

NEXT_ADDRESS = 0.25  # seconds after which the next address is tried beside those before it


def connect(candidates: Sequence[Candidate], *, deadline: float) -> socket.socket:
    """A socket that blocks, connected before `deadline` of the monotonic clock. Raises OSError, TimeoutError among them.

    Nothing is dialled but what is given, and what loses is closed.
    """
    with _Race(deadline) as race:
        for candidate in interleaved(candidates):
            race.enter(candidate)
            if won := race.wait(min(deadline, time.monotonic() + NEXT_ADDRESS)):
                return won
        while race.goes_on:
            if won := race.wait(deadline):
                return won
        raise race.failure


def interleaved(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The resolver's order, but each second one of the other family (section 4): all of one may lead nowhere."""
    first = candidates[0][0] if candidates else 0
    ours = [candidate for candidate in candidates if candidate[0] == first]
    others = [candidate for candidate in candidates if candidate[0] != first]
    return [one for pair in zip_longest(ours, others) for one in pair if one is not None]


class _Race:
    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._runners = selectors.DefaultSelector()
        self.failure: OSError = OSError("no address")

    def __enter__(self) -> _Race:
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._runners.get_map().values()):
            self._leave(key.fileobj)  # type: ignore[arg-type]
        self._runners.close()

    @property
    def goes_on(self) -> bool:
        if time.monotonic() >= self._deadline:
            self.failure = TimeoutError("no address took the connection in time")
            return False
        return bool(self._runners.get_map())

    def enter(self, candidate: Candidate) -> None:
        """Begin to connect. What fails at once is out at once."""
        family, address = candidate
        if time.monotonic() >= self._deadline:
            return
        try:
            runner = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # a family that this machine does not have
            self.failure = error
            return
        runner.setblocking(False)
        if (code := runner.connect_ex(address)) not in (0, errno.EINPROGRESS):
            runner.close()
            self.failure = OSError(code, os.strerror(code))
            return
        self._runners.register(runner, selectors.EVENT_WRITE)

    def wait(self, until: float) -> socket.socket | None:
        """The winner; None at `until`, or when all that run have failed: then the next need not wait."""
        while self._runners.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in self._runners.select(left):
                runner: socket.socket = key.fileobj  # type: ignore[assignment]
                if not (code := runner.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                    self._runners.unregister(runner)
                    runner.settimeout(max(0.01, self._deadline - time.monotonic()))
                    return runner
                self.failure = OSError(code, os.strerror(code))
                self._leave(runner)
        return None

    def _leave(self, runner: socket.socket) -> None:
        self._runners.unregister(runner)
        runner.close()
