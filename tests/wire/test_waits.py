"""Clients that keep us waiting: half a body, half a head, an answer that nobody takes, a connection that says nothing."""

from __future__ import annotations

import resource
import select
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from idp.http.serving import limits
from tests.support.wire import MEGABYTES, Client, ask, get, post, seconds
from tests.wire.conftest import serving

HOST = b"Host: localhost"
HALF_A_BODY = post("/", b"0123456789")[:-5]
HALF_A_HEAD = b"POST / HTTP/1.1\r\nHost: loc"
MANY = 60  # more than there are threads, on every server of these tests
SOON = 5.0  # seconds; a busy machine answers within it, and a thread that waits for a client would not


def answers_soon(port: int) -> bool:
    begun = time.monotonic()
    statuses = [ask(port, request).status for request in (get("/livez", HOST), get("/", HOST), post("/", b"a"))]
    return statuses == [200, 200, 200] and time.monotonic() - begun < SOON


@pytest.mark.parametrize("begun", [HALF_A_BODY, HALF_A_HEAD, b""], ids=["body", "head", "nothing"])
def test_requests_that_do_not_go_on_hold_no_thread(port: int, begun: bytes) -> None:
    with ExitStack() as clients:
        for _ in range(MANY):
            clients.enter_context(Client(port, begun))
        assert answers_soon(port)


def test_answers_that_nobody_takes_hold_no_thread(port: int) -> None:
    with ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(Client(port, get("/large", HOST), receive_buffer=4096))
        assert answers_soon(port)


def test_who_takes_a_large_answer_slowly_gets_the_whole_of_it(port: int) -> None:
    with Client(port, get("/large", HOST, b"Connection: close"), receive_buffer=65536) as client:
        time.sleep(1)
        assert len(client.rest().partition(b"\r\n\r\n")[2]) == MEGABYTES


def test_half_a_body_is_408_after_a_while_and_half_a_head_the_end_of_the_connection(tmp_path: Path) -> None:
    begun = time.monotonic()
    with serving(tmp_path, head_within=8) as port, Client(port, HALF_A_BODY) as body, Client(port, HALF_A_HEAD) as head:
        assert body.answer().status == 408
        assert time.monotonic() - begun >= limits.NEXT_PIECE_WITHIN - 1
        assert body.rest() == b""
        assert head.rest() == b""
        assert time.monotonic() - begun >= 7


def test_a_head_that_comes_a_byte_at_a_time_has_one_deadline_for_all_of_it(tmp_path: Path) -> None:
    with serving(tmp_path, head_within=4) as port, Client(port) as client:
        begun = time.monotonic()
        while not client.is_closed_within(0.5):
            assert time.monotonic() - begun < 30
            with suppress(ConnectionError):
                client.send(b"G" if time.monotonic() - begun < 0.1 else b"E")
        assert answers_soon(port)


def test_a_body_that_comes_slowly_but_steadily_is_read(port: int) -> None:
    with Client(port, HALF_A_BODY) as client:
        for piece in (b"5", b"6", b"7", b"8", b"9"):
            time.sleep(1.1)  # five of them are longer than the next one may take
            client.send(piece)
        assert client.answer().json()["body"] == "0123456789"


def test_a_body_that_is_far_too_long_is_not_read_to_its_end(port: int) -> None:
    """Its sender may be too busy to read why; whoever looks between is told."""
    head = post("/", b"").replace(b"Length: 0", b"Length: %d" % 10**12)
    with Client(port, head) as client, suppress(ConnectionError):
        for _ in range(100):
            client.send(b"x" * limits.LONGEST_BODY)
        pytest.fail("all of it was taken")
    with Client(port, head) as client:
        assert client.answer().status == 500  # the echo reads it, which raises; Django's views say 413
        assert client.rest() == b""


def test_while_every_thread_waits_livez_answers(tmp_path: Path) -> None:
    with serving(tmp_path, threads=2) as port, ExitStack() as clients:
        waiting = [clients.enter_context(Client(port, get("/wait", HOST))) for _ in range(2)]
        assert ask(port, get("/livez", HOST)).json() == {"status": "ok"}
        with Client(port, get("/release", HOST)) as third:
            assert not third.is_closed_within(0.5)
        assert ask(port, get("/livez", HOST)).status == 200
        for client in waiting:
            client.socket.close()


def test_of_too_many_unfinished_bodies_the_one_that_began_first_gives_way(port: int) -> None:
    large = post("/", b"").replace(b"Length: 0", b"Length: %d" % limits.LONGEST_BODY) + b"x" * (limits.LONGEST_BODY - 1)
    with ExitStack() as clients:
        first = clients.enter_context(Client(port, large))
        for _ in range(limits.MOST_BODIES):
            clients.enter_context(Client(port, large))
        assert first.answer().status == 408
        assert answers_soon(port)


def test_two_thousand_connections_that_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(tmp_path) as port, ExitStack() as clients:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        clients.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(min(2000, hard - 500)):
            clients.enter_context(Client(port))
        assert answers_soon(port)


def test_one_browser_whose_requests_all_wait_has_half_of_the_threads(tmp_path: Path) -> None:
    """As those of a session whose row is locked elsewhere."""
    with serving(tmp_path, threads=4) as port, ExitStack() as clients:
        request = get("/wait?2", HOST, b"Cookie: a=mine")
        waiting = [clients.enter_context(Client(port, request)) for _ in range(MANY)]
        assert answers_soon(port)
        assert seconds(lambda: ask(port, get("/", HOST, b"Cookie: a=others"))) < 2
        statuses = [client.answer().status for client in waiting]
    assert set(statuses) == {200, 503}


def test_who_waited_too_long_for_a_thread_is_told_to_try_again_without_being_worked_on(tmp_path: Path) -> None:
    with serving(tmp_path, threads=1) as port, ExitStack() as clients:
        clients.enter_context(Client(port, get(f"/wait?{limits.WAITS + 1}", HOST)))
        time.sleep(0.5)
        answer = ask(port, get("/fails", HOST))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_whole_bodies_that_wait_may_fill_only_so_much_memory(tmp_path: Path) -> None:
    """Whoever is one too many is told so while the only thread is busy. 408: too many came at once to be read."""
    most = limits.MOST_HELD // limits.LONGEST_BODY
    with serving(tmp_path, threads=1) as port, ExitStack() as clients:
        clients.enter_context(Client(port, get("/wait?60", HOST)))
        time.sleep(0.5)
        large, waiting, told = post("/", b"x" * limits.LONGEST_BODY), [], []
        while 503 not in told and len(waiting) < 2 * most:
            waiting.append(clients.enter_context(Client(port, large)))
            answered, _, _ = select.select([client.socket for client in waiting], [], [], 0.02)
            told += [client.answer().status for client in waiting if client.socket in answered]
            waiting = [client for client in waiting if client.socket not in answered]
        assert {503} <= {*told} <= {503, 408}
        assert len(waiting) >= most
        assert seconds(lambda: ask(port, get("/livez", HOST))) < SOON
