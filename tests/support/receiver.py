"""An application's back-channel endpoint as a process of its own: logs every POST and misbehaves as its path is told.

A behaviour is a word, an optional argument after a colon: `200`, `503`, `400:why`, `429:120` (Retry-After), `302:URL`,
`hang:10`, `slow:0.3`, `reset`, `drip-header`, `drip-body`, `informational`, `bomb`, `cookie`, `rude`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import traceback
import zlib
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs


class Receiver:
    """Context manager around the process. `posts()` is what arrived, in order."""

    def __init__(self, folder: Path, certificate: Path | None = None, host: str = "127.0.0.1") -> None:
        self.folder, self.certificate, self.host = folder, certificate, host
        self.log = folder / f"posts-{id(self)}.jsonl"
        self.control = folder / f"behaviours-{id(self)}.json"
        self.behaviours: dict[str, str] = {}

    def __enter__(self) -> Receiver:
        self.folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log.touch()
        self.behave()
        self.pid = _nursery().born(self.port, str(self.log), str(self.control), str(self.certificate or ""))
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0)
        return self

    def __exit__(self, *_: object) -> None:
        _nursery().killed(self.pid)

    def url(self, path: str) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}/{path}"

    def behave(self, **behaviours: str) -> None:
        """What each path does from now on; others answer 200."""
        self.behaviours |= behaviours
        new = self.control.with_suffix(".new")
        new.write_text(json.dumps(self.behaviours))
        new.rename(self.control)

    def posts(self, path: str | None = None) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [row for row in rows if path is None or row["path"] == path]

    def tokens(self, path: str | None = None) -> list[dict[str, Any]]:
        """The claims of the tokens that arrived, unverified."""
        return [claims_of(row["form"]["logout_token"][0]) for row in self.posts(path)]


class _Nursery:
    """A process that forks one for each receiver: 5 ms, where a Python of its own took 140 ms of CPU."""

    def __init__(self) -> None:
        argv, root = [sys.executable, "-m", "tests.support.receiver"], Path(__file__).parents[2]
        self.process = subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def born(self, *arguments: object) -> int:
        """The child's process id."""
        return self._asked(arguments)

    def killed(self, pid: int) -> None:
        """Returns when it has ended."""
        self._asked([pid])

    def _asked(self, what: object) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@functools.cache
def _nursery() -> _Nursery:
    """Of this process; it ends with it, when its standard input does."""
    return _Nursery()


def claims_of(token: str) -> dict[str, Any]:
    return json.loads(_unpadded(token.split(".")[1]))


def header_of(token: str) -> dict[str, Any]:
    return json.loads(_unpadded(token.split(".")[0]))


def _unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def wait_until(condition: Any, seconds: float = 10.0, message: str = "") -> None:
    """Poll until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message or "it did not happen in time")
        time.sleep(0.02)


def is_ready(url: str) -> bool:
    import requests  # not for the processes below

    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


# --- the process -----------------------------------------------------------------------------------------------------


async def serve(port: int, log: Path, control: Path, certificate: str) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    out = log.open("a", buffering=1)
    cache: dict[str, Any] = {"mtime": None, "rules": {}}

    def behaviour(path: str) -> str:
        mtime = os.stat(control).st_mtime_ns
        if mtime != cache["mtime"]:
            cache.update(mtime=mtime, rules=json.loads(control.read_text()))
        return cache["rules"].get(path, "200")

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                request = await read_request(reader)
                out.write(json.dumps(request) + "\n")
                await answer(writer, behaviour(request["path"]))
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, ssl=context, backlog=1000)
    await server.serve_forever()


async def read_request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in lines)}
    body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
    method, target, _ = line.split(" ")
    return {
        "at": time.time(),
        "method": method,
        "path": target.partition("?")[0].strip("/"),
        "headers": headers,
        "form": parse_qs(body),
        "body": body,
    }


async def answer(writer: asyncio.StreamWriter, behaviour: str) -> None:
    word, _, argument = behaviour.partition(":")
    if word in ("hang", "slow"):
        await asyncio.sleep(float(argument))
        word = "200"
    if word == "reset":
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        raise ConnectionResetError
    if word == "drip-header":
        await drip(writer, b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x", b"\r\n")
    elif word == "drip-body":
        await drip(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", b"")
    elif word == "informational":
        for _ in range(3000):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
    elif word == "bomb":
        packed = zlib.compress(b"\0" * 10_000_000, wbits=31)
        respond(writer, 500, "bomb", packed, "Content-Encoding: gzip")
    elif word == "cookie":
        respond(writer, 503, "", b"", "Set-Cookie: a=b; Path=/")
    elif word == "rude":
        respond(writer, 400, "<script>", ("\x1b[31m<script>alert(1)</script>\0" + "x" * 10_000_000).encode())
    elif word == "429":
        respond(writer, 429, "Slow Down", b"", f"Retry-After: {argument}")
    elif word.startswith("3"):
        respond(writer, int(word), "Moved", b"", f"Location: {argument}")
    else:
        respond(writer, int(word), "OK", argument.encode())
    await writer.drain()


def respond(writer: asyncio.StreamWriter, status: int, phrase: str, body: bytes, *headers: str) -> None:
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(body)}", *headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


async def drip(writer: asyncio.StreamWriter, start: bytes, drop: bytes, end: bytes) -> None:
    writer.write(start)
    for _ in range(300):
        writer.write(drop)
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.write(end)


def be_nursery() -> None:
    """Each line is what `serve` needs, or the process id of one to kill; answered with the id. The last end with the input."""
    children = set()
    try:
        for line in sys.stdin.buffer:
            match json.loads(line):
                case [pid]:
                    children.remove(pid)
                    kill(pid)
                case [port, log, control, certificate]:
                    if not (pid := os.fork()):
                        be_receiver(port, Path(log), Path(control), certificate)
                    children.add(pid)
            print(pid, flush=True)  # noqa: T201
    finally:
        for pid in children:
            kill(pid)


def be_receiver(*arguments: Any) -> NoReturn:
    """In the child, which must not go on as what its parent is."""
    try:
        os.dup2(2, 1)  # standard output is for answers
        uvloop.run(serve(*arguments))
    except BaseException:  # noqa: BLE001  the end of this process
        traceback.print_exc()
    os._exit(1)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    import uvloop

    be_nursery()
