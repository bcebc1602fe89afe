"""A client that sends the bytes it is told, when it is told."""

from __future__ import annotations

import json
import socket
import time
from types import TracebackType
from typing import Any

MEGABYTES = 8 * 1024 * 1024  # of the large answer of tests/support/echo.py
PATIENCE = 30.0  # seconds; a slow machine with other tests on it


class Client:
    """One connection to loopback."""

    def __init__(self, port: int, data: bytes = b"", *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(data)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer:
        """The next one."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += self._more(raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        answer = Answer(head)
        while len(body) < int(answer.headers.get("content-length", 0)):
            body += self._more(raw)
        answer.body = body
        return answer

    def rest(self) -> bytes:
        """Everything until the server closes."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def is_closed_within(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def _more(self, so_far: bytes) -> bytes:
        part = self.socket.recv(65536)
        assert part, f"closed after {so_far!r}"
        return part


class Answer:
    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        pairs = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in pairs}
        self.cookies = [value for name, value in pairs if name.lower() == "set-cookie"]
        self.head, self.body = head, b""

    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, data: bytes) -> Answer:
    with Client(port, data) as client:
        return client.answer()


def get(path: str, *headers: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"GET " + path.encode() + b" HTTP/" + version, *headers, b"", b""])


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"POST " + path.encode() + b" HTTP/1.1", b"Host: localhost", length, *headers, b"", body])


def chunked(path: str, pieces: list[bytes], *headers: bytes) -> bytes:
    lines = [b"POST " + path.encode() + b" HTTP/1.1", b"Host: localhost", b"Transfer-Encoding: chunked", *headers]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n".join([*lines, b"", body + b"0\r\n\r\n"])


def seconds(call: Any) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun
