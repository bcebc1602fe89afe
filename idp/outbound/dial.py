"""What the transports that block share: one lookup with a limit, and a fuse that ends a conversation."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from idp.outbound import policy

Candidate = tuple[int, tuple[Any, ...]]  # address family, address as `connect()` takes it

_resolvers = ThreadPoolExecutor(16, "curfew-resolver")  # a lookup cannot be interrupted, only left behind


class ForbiddenAddress(Exception):
    """The policy refuses where this conversation would go."""


def vetted(host: str, port: int, rules: policy.Rules, *, deadline: float, cleartext: bool = False) -> list[Candidate]:
    """Every address of the name, each of them allowed: one bad answer refuses all.

    Raises Forbidden, TimeoutError (`deadline` is of the monotonic clock) and OSError when the name does not resolve.
    """
    answers = resolved(host, port, deadline=deadline)
    for _, address in answers:
        if reason := policy.check_address(str(address[0]), rules, cleartext=cleartext):
            raise ForbiddenAddress(f"{host} {reason}")
    return answers


def resolved(host: str, port: int, *, deadline: float) -> list[Candidate]:
    """Every address of a name that the operator gives us, judged by nobody. Raises TimeoutError and OSError."""
    lookup = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        answers = lookup.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        lookup.cancel()
        raise
    return [(family, address) for family, _, _, _, address in answers]


class Fuse:
    """Shuts connections down when time is up: timeouts of single reads let a drip run for ever."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._doubles: list[socket.socket] = []
        self.blown = False

    def watch(self, connection: socket.socket) -> None:
        """Through a second descriptor of the same connection: wrapping in TLS takes the first one away."""
        self._doubles.append(socket.socket(fileno=os.dup(connection.fileno())))

    def __enter__(self) -> Self:
        self._timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), self._blow)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        for double in self._doubles:
            double.close()

    def _blow(self) -> None:
        self.blown = True
        for double in list(self._doubles):
            with contextlib.suppress(OSError):  # closed by the other side or by the conversation's own end
                double.shutdown(socket.SHUT_RDWR)
