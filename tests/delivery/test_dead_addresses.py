"""Names of which one address swallows what is sent to it, as IPv6 does at many companies (RFC 8305)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests

from idp.outbound import dial, race, web
from tests.support.outbound import LOOPBACK, PUBLIC

pytestmark = pytest.mark.once
V4, V6 = socket.AF_INET, socket.AF_INET6


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Swallows:
    """Context manager: at this address connections are neither taken nor refused, because the queue of its listener is full."""

    def __init__(self, family: int, host: str, port: int) -> None:
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._address = (host, port)
        self._family = family
        self._waiting: list[socket.socket] = []

    def __enter__(self) -> Swallows:
        self._listener.bind(self._address)
        self._listener.listen(0)
        while self._takes_one_more():
            pass
        return self

    def _takes_one_more(self) -> bool:
        client = socket.socket(self._family, socket.SOCK_STREAM)
        self._waiting.append(client)
        client.settimeout(0.2)
        try:
            client.connect(self._address)
        except TimeoutError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listener):
            one.close()


def resolves_to(monkeypatch: pytest.MonkeyPatch, port: int, *hosts: str) -> None:
    found = [(V6 if ":" in host else V4, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]
    monkeypatch.setattr(dial.socket, "getaddrinfo", lambda *_, **__: found)


def seconds_for(url: str, timeout: float = 5.0) -> float:
    begun = time.monotonic()
    assert web.session(rules=LOOPBACK, timeout=timeout).get(url).content == b"hello"
    return time.monotonic() - begun


@pytest.mark.parametrize("dead", [(V6, "::1"), (V4, "127.0.0.2")], ids=["IPv6", "IPv4"])
def test_a_first_address_that_swallows_costs_a_moment_and_not_the_request(monkeypatch, port, dead):
    with Swallows(*dead, port):
        resolves_to(monkeypatch, port, dead[1], "127.0.0.1")
        assert race.NEXT_ADDRESS <= seconds_for(f"http://two.example:{port}/") < 2.5


def test_several_dead_addresses_of_one_family_do_not_come_before_the_first_of_the_other(monkeypatch, port):
    with Swallows(V6, "::1", port):
        resolves_to(monkeypatch, port, *["::1"] * 12, "127.0.0.1")
        assert seconds_for(f"http://many.example:{port}/") < 2.5


def test_an_address_that_refuses_costs_nothing(monkeypatch, port):
    resolves_to(monkeypatch, port, "127.0.0.2", "127.0.0.3", "127.0.0.1")
    begun = time.monotonic()
    found = race.connect([(V4, (host, port)) for host in ("127.0.0.2", "127.0.0.1")], deadline=begun + 5)
    assert found.getpeername() == ("127.0.0.1", port)
    assert found.gettimeout() > 0
    found.close()
    assert seconds_for(f"http://three.example:{port}/") < 1


def test_where_all_swallow_the_deadline_ends_it(monkeypatch, port):
    with Swallows(V6, "::1", port), Swallows(V4, "127.0.0.2", port):
        resolves_to(monkeypatch, port, "::1", "127.0.0.2")
        begun = time.monotonic()
        with pytest.raises(requests.Timeout):
            web.session(rules=LOOPBACK, timeout=0.6).get(f"http://dead.example:{port}/")
        assert 0.5 < time.monotonic() - begun < 2


def test_where_all_refuse_it_is_said_at_once_and_why(port):
    with pytest.raises(ConnectionRefusedError):
        race.connect([(V4, ("127.0.0.2", port)), (V4, ("127.0.0.3", port))], deadline=time.monotonic() + 5)
    with pytest.raises(OSError, match="no address"):
        race.connect([], deadline=time.monotonic() + 5)


def test_one_address_that_may_not_be_dialled_refuses_all_before_anything_is_sent(monkeypatch, port):
    """The race changes nothing about the guard: nothing but what was vetted takes part."""
    resolves_to(monkeypatch, port, "93.184.216.34", "127.0.0.1")
    with pytest.raises(web.BlockedTarget):
        web.session(rules=PUBLIC).get(f"https://mixed.example:{port}/")


def test_losers_are_closed(monkeypatch, port):
    runners: list[socket.socket] = []

    class Remembered(socket.socket):
        def __init__(self, *args: int) -> None:
            super().__init__(*args)
            runners.append(self)

    with Swallows(V4, "127.0.0.2", port):
        monkeypatch.setattr(race.socket, "socket", Remembered)
        found = race.connect([(V4, ("127.0.0.2", port)), (V4, ("127.0.0.1", port))], deadline=time.monotonic() + 5)
        assert [runner.fileno() for runner in runners if runner is not found] == [-1]
        assert found.getpeername() == ("127.0.0.1", port)
        found.close()


def test_families_take_turns_beginning_with_the_resolvers_first():
    six = [(V6, (f"::{n}", 1)) for n in (1, 2, 3)]
    four = [(V4, (f"127.0.0.{n}", 1)) for n in (1, 2)]
    assert race.interleaved([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert race.interleaved([*four, *six])[0] == four[0]
    assert race.interleaved([]) == []
