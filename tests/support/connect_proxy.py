"""A small HTTP proxy that opens tunnels (CONNECT), on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from tests.support.tls_front import pass_on


class ConnectProxy:
    """Context manager. `hosts` says what a name means here; `answers` is what is said instead of opening a tunnel, each once."""

    def __init__(self, *, hosts: dict[str, str] | None = None, answers: list[bytes] | None = None) -> None:
        self.hosts, self.answers = hosts or {}, answers or []
        self.silent: set[str] = set()  # hosts that it waits for until nobody listens any more
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []

    @property
    def targets(self) -> list[str]:
        return [head.split()[1] for head in self.heads]

    def __enter__(self) -> ConnectProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._ends.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(4096)
            self.heads.append(head.decode())
            if self.answers:
                client.sendall(self.answers.pop(0))
                client.shutdown(socket.SHUT_WR)
                return
            host, _, port = self.targets[-1].rpartition(":")
            if host in self.silent:
                client.recv(1)
                return
            server = socket.create_connection((self.hosts.get(host, host.strip("[]")), int(port)))
            self._ends.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
            threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
            pass_on(client, server)
