"""One process of the web server: its connections, who of them has waited for too long, and how it stops."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Iterable

import structlog

from idp.serving import answers, limits
from idp.serving.answers import Django, Form
from idp.serving.connection import Connection, State
from idp.serving.environ import Environ
from idp.serving.threads import Threads

log = structlog.get_logger(__name__)
SWEEP = 0.5  # seconds between looks at deadlines
GRACE = 9.0  # seconds for running requests after SIGTERM; `processes.KILL_AFTER` is a little more
ALIVE = {"status": "ok"}


class Server:
    """Strangers can keep connections, never threads: when too many wait, those that waited longest give way."""

    def __init__(self, django: Django, threads: int, most: int) -> None:
        self.stopping = False
        self._threads = Threads(django, threads)
        self._most = most
        self._held = 0  # bytes of unfinished bodies
        self._connections: dict[Connection, None] = {}  # in the order in which they came

    async def run(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Until SIGTERM or SIGINT; then running requests have GRACE seconds."""
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        stop, self._empty = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, stop.set)
        listening = await self._loop.create_server(lambda: Connection(self), sock=listener, ssl=tls, backlog=1024)
        sweeping = self._loop.create_task(self._sweep())
        await stop.wait()
        listening.close()
        await self._finish()
        sweeping.cancel()

    # --- for connections -----------------------------------------------------------------------------------------------

    def enter(self, connection: Connection) -> None:
        self._connections[connection] = None
        if len(self._connections) > self._most:
            self._make_room(self._connections)

    def leave(self, connection: Connection, held: int) -> None:
        self._connections.pop(connection, None)
        self._held -= held
        if self.stopping and not self._connections:
            self._empty.set()

    def hold(self, connection: Connection, size: int) -> None:
        """`size` more bytes of its body are in memory, or less."""
        self._held += size
        if size > 0 and self._held > limits.MOST_BODIES:
            self._make_room(other for other in self._connections if other.state is State.BODY)

    def answer(self, connection: Connection, environ: Environ, form: Form) -> None:
        if environ["PATH_INFO"] == "/livez" and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            self._loop.call_soon(connection.give, answers.in_json(200, ALIVE, form))  # by no thread: they may all wait
        else:
            self._threads.answer(environ, form, lambda answer: self._loop.call_soon_threadsafe(connection.give, answer))

    # --- deadlines -----------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            now = self.now()
            for connection in [one for one in self._connections if one.due <= now]:
                connection.expire()

    def _make_room(self, among: Iterable[Connection]) -> None:
        """An honest client sends its request in milliseconds; whoever waits for us keeps its place."""
        waited = [one for one in among if one.state is not State.WORKING]
        if waited:
            min(waited, key=lambda one: one.since).expire()

    async def _finish(self) -> None:
        self.stopping = True
        for connection in list(self._connections):
            connection.close_if_idle()
        if self._connections:
            try:
                await asyncio.wait_for(self._empty.wait(), GRACE)
            except TimeoutError:
                log.warning("web.stopped_late", connections=len(self._connections))
