"""TLS in front of a server that speaks none."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any


class TlsFront:
    """Context manager: takes TLS on a free port and passes everything on to another port, until it ends."""

    def __init__(self, tls: ssl.SSLContext, port: int) -> None:
        self._tls, self._target = tls, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []

    def __enter__(self) -> TlsFront:
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
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):  # also what TLS refuses
            outer = self._tls.wrap_socket(plain, server_side=True)
            inner = socket.create_connection(("127.0.0.1", self._target))
            self._ends += [outer, inner]
            threading.Thread(target=pass_on, args=(inner, outer), daemon=True).start()
            pass_on(outer, inner)


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Everything, to its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
