"""The fan-out's HTTP client against servers that say exactly the bytes that they are told."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
import uvloop

from idp.outbound import many, names
from idp.outbound.failure import Failure
from idp.outbound.many import Fanout, Reply, target_of
from tests.support.outbound import LOOPBACK, OK, OTHER, PUBLIC, Names, post_form, raw_server, receive, saying

pytestmark = pytest.mark.once


def client(**options) -> Fanout:
    return Fanout(options.pop("rules", LOOPBACK), timeout=options.pop("timeout", 10.0), **options)


def talk(behave, *, posts: int = 1, **options) -> tuple[list[Reply], object]:
    """Post so many times, one after the other; the replies, and what was on the wire."""

    async def work():
        async with raw_server(behave) as wire, client(**options) as fan:
            return [await post_form(fan, wire.url(), b"logout_token=x") for _ in range(posts)], wire

    return uvloop.run(work())


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_a_request_is_these_bytes():
    _, wire = talk(saying(OK))
    assert wire.requests == [
        b"POST /app HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: Curfew\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 14\r\n\r\nlogout_token=x" % wire.port
    ]


@pytest.mark.parametrize(
    ("url", "origin", "line", "host"),
    [
        ("https://rp.example", ("https", "rp.example", 443), "/", "rp.example"),
        ("https://rp.example:443/a", ("https", "rp.example", 443), "/a", "rp.example"),
        ("https://RP.example:8443/a/../b?c=d&e", ("https", "rp.example", 8443), "/a/../b?c=d&e", "rp.example:8443"),
        ("https://rp.example./?a=%2F%zz", ("https", "rp.example.", 443), "/?a=%2F%zz", "rp.example"),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443), "/", "xn--bcher-kva.example"),
        ('https://rp.example/"<>`{|}^?"', ("https", "rp.example", 443), "/%22%3C%3E%60%7B%7C%7D%5E?%22", "rp.example"),
        ("http://[::1]:8080/a", ("http", "::1", 8080), "/a", "[::1]:8080"),
    ],
)
def test_a_url_becomes_origin_request_line_and_host(url, origin, line, host):
    target = target_of(url, LOOPBACK)
    assert target.origin == origin
    assert target.head.decode().startswith(f"POST {line} HTTP/1.1\r\nHost: {host}\r\n")


@pytest.mark.parametrize(
    "url",
    [
        "https://rp.example/\r\nX: y",
        "https://rp.example/a b",
        "https://rp.example/\u00e9",
        "https://b\u00fccher.example/",
        "https://rp.example\r\nX: y/",
        "https://user:password@rp.example/",
        "https://rp.example/#a",
        "https://rp.example\\@other.example/",
        "https://rp.example:0/",
        "ftp://rp.example/",
        "rp.example",
        "",
    ],
)
def test_a_url_that_the_rules_refuse_is_not_even_resolved(url):

    async def work() -> Reply:
        resolver = Names(rp=["127.0.0.1"])
        async with client(resolver=resolver) as fan:
            reply = await post_form(fan, url, b"")
        assert resolver.asked == []
        return reply

    assert uvloop.run(work()).error == "blocked"


@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nC: d"}, {"A": "b\n"}, {"A\r\nB": "c"}, {"A": "\0"}, {"A": "\u00e9"}, {"": "a"}, {"A:": "b"}]
)
def test_a_header_is_one_line(headers):
    with pytest.raises(Failure):
        target_of("https://rp.example/", LOOPBACK).request(b"", headers)


# --- connections that are kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK, 200),
        (OTHER, 204),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", 200),
        (b"HTTP/1.0 500 No\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 500),
    ],
)
def test_a_connection_serves_one_request_after_the_other(answer, status):
    replies, wire = talk(saying(answer, answer, OTHER), posts=3)
    assert [reply.status for reply in replies] == [status, status, 204]
    assert wire.opened == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        OK + b"x",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 20_000,
    ],
)
def test_a_connection_that_said_more_or_wants_no_more_is_not_used_again(answer):
    """An answer after the answer, or the rest of a body, must not be what the next request gets."""
    replies, wire = talk(saying(answer, OTHER), posts=2)
    assert [reply.status for reply in replies] == [200, 204]
    assert len(replies[0].body) <= 16_384
    assert wire.opened == 2


def test_an_answer_without_length_ends_with_its_connection():
    async def behave(wire, reader, writer):
        await receive(wire, reader)
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nwait")

    replies, wire = talk(behave, posts=2)
    assert replies == [Reply(503, "wait", "7")] * 2
    assert wire.opened == 2


def test_an_early_answer_counts_and_costs_the_connection():
    async def behave(wire, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Long\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    assert talk(behave)[0][0].status == 413


def test_what_comes_unasked_is_never_the_answer_of_the_next_request():
    async def behave(wire, reader, writer):
        await receive(wire, reader)
        writer.write(OK if wire.opened == 1 else OTHER)
        await asyncio.sleep(0.05)
        writer.write(OK)  # which nobody asked for
        await receive(wire, reader)

    async def work():
        async with raw_server(behave) as wire, client() as fan:
            first = await post_form(fan, wire.url(), b"")
            await asyncio.sleep(0.2)
            return first.status, (await post_form(fan, wire.url(), b"")).status, wire.opened

    assert uvloop.run(work()) == (200, 204, 2)


@pytest.mark.parametrize("word", [OK, b"x", b""])
def test_what_the_loop_has_not_seen_yet_is_not_the_answer_of_the_next_request(word):
    """The bytes, or the end, are there when the next request begins, but the loop was busy since."""
    may_speak, has_spoken = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            first, _ = server.accept()
            first.recv(10_000)
            first.sendall(OK)
            may_speak.wait(10)
            first.sendall(word)
            if not word:
                first.close()
            has_spoken.set()
            second, _ = server.accept()
            second.recv(10_000)
            second.sendall(OTHER)
            second.close()
            first.close()

        async def work() -> list[int | None]:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            async with client() as fan:
                first = await post_form(fan, url, b"")
                may_speak.set()
                has_spoken.wait(10)  # holds up the loop
                time.sleep(0.05)
                return [first.status, (await post_form(fan, url, b"")).status]

        thread = threading.Thread(target=serve)
        thread.start()
        assert uvloop.run(work()) == [200, 204]
        thread.join()


def test_a_connection_that_was_closed_while_idle_is_replaced():
    async def behave(wire, reader, writer):
        await receive(wire, reader)
        writer.write(OK)

    async def work():
        async with raw_server(behave) as wire, client() as fan:
            await post_form(fan, wire.url(), b"")
            await wire.all_ended()
            return (await post_form(fan, wire.url(), b"")).status, len(wire.requests)

    assert uvloop.run(work()) == (200, 2)


def test_a_request_that_a_kept_connection_swallowed_is_not_repeated_but_told():
    """Somebody may have read it."""
    replies, wire = talk(saying(OK, None), posts=2)
    assert (replies[1].error, replies[1].unheard) == ("reset", True)
    assert len(wire.requests) == 2


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"H",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_connection_that_ends_in_the_middle_of_an_answer_is_a_reset(words):
    async def behave(wire, reader, writer):
        await receive(wire, reader)
        writer.write(words)

    reply = talk(behave)[0][0]
    assert (reply.error, reply.status, reply.unheard) == ("reset", None, False)


def test_idle_connections_end_after_a_while(monkeypatch):
    monkeypatch.setattr(many, "KEEP_ALIVE", 0.1)

    async def work() -> None:
        async with raw_server(saying(OK)) as wire, client() as fan:
            await post_form(fan, wire.url(), b"")
            await wire.all_ended()

    uvloop.run(work())


def test_no_more_connections_are_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(many, "MOST_IDLE", 1)

    async def work():
        async with raw_server(saying(*[OK] * 4)) as wire, client() as fan:
            await asyncio.gather(*(post_form(fan, wire.url(), b"") for _ in range(3)))
            async with asyncio.timeout(10):
                while wire.ended < 2:
                    await asyncio.sleep(0.01)
            return (await post_form(fan, wire.url(), b"")).status, wire.opened

    assert uvloop.run(work()) == (200, 3)


def test_a_connection_serves_its_own_origin_only():
    async def work():
        resolver = Names(a=["127.0.0.1"], b=["127.0.0.1"])
        async with raw_server(saying(*[OK] * 4)) as wire, client(resolver=resolver) as fan:
            for host in ("a.example", "b.example", "127.0.0.1", "a.example"):
                assert (await post_form(fan, wire.url(host), b"")).status == 200
            return wire.opened

    assert uvloop.run(work()) == 3


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 100,
    ],
)
def test_what_is_no_answer_ends_the_connection(answer):

    async def work() -> Reply:
        async with raw_server(saying(answer, answer)) as wire, client() as fan:
            reply = await post_form(fan, wire.url(), b"")
            await wire.all_ended()
            return reply

    assert uvloop.run(work()).error == "protocol"


@pytest.mark.parametrize("gives_up", ["deadline", "cancel"])
def test_a_request_that_is_given_up_ends_its_connection(gives_up):
    async def behave(wire, reader, writer):
        while await receive(wire, reader):
            await asyncio.sleep(0)

    async def work() -> None:
        async with raw_server(behave) as wire, client(timeout=0.3 if gives_up == "deadline" else 10) as fan:
            post = asyncio.create_task(post_form(fan, wire.url(), b""))
            if gives_up == "cancel":
                await asyncio.sleep(0.2)
                post.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await post
            else:
                assert (await post).error == "timeout"
            await wire.all_ended()

    uvloop.run(work())


# --- names and addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "fe80::1%eth0", "10.0.0.1", "nonsense"]
)
def test_no_spelling_of_a_private_address_passes_as_the_answer_of_a_name(address):

    async def work() -> Reply:
        async with client(rules=PUBLIC, resolver=Names(rp=[address])) as fan:
            return await post_form(fan, "https://rp.example/", b"")

    assert uvloop.run(work()).error == "blocked"


def test_a_name_that_is_bound_anew_is_vetted_anew(monkeypatch):
    monkeypatch.setattr(names, "KEPT", 0.0)

    async def work():
        resolver = Names(rp=["127.0.0.1"])
        async with (
            raw_server(saying(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")) as wire,
            client(resolver=resolver) as fan,
        ):
            first = await post_form(fan, wire.url("rp.example"), b"")
            resolver.names["rp"] = ["10.0.0.1"]
            return first.status, (await post_form(fan, wire.url("rp.example"), b"")).error

    assert uvloop.run(work()) == (204, "blocked")


def test_a_name_is_asked_for_once_by_all_who_want_it():
    async def work():
        resolver = Names(rp=["127.0.0.1"])
        async with raw_server(saying(*[OK] * 20)) as wire, client(resolver=resolver) as fan:
            replies = await asyncio.gather(*(post_form(fan, wire.url("rp.example"), b"") for _ in range(20)))
            return {reply.status for reply in replies}, resolver.asked

    assert uvloop.run(work()) == ({200}, ["rp.example"])


def test_who_gives_up_on_a_name_does_not_spoil_it_for_the_others():
    async def work():
        resolver = Names(rp=["127.0.0.1"])
        gate = asyncio.Event()
        ask = resolver.addresses

        async def slow(host: str) -> list[str]:
            await gate.wait()
            return await ask(host)

        resolver.addresses = slow
        async with raw_server(saying(OK)) as wire, client(resolver=resolver) as fan:
            first = asyncio.create_task(post_form(fan, wire.url("rp.example"), b""))
            second = asyncio.create_task(post_form(fan, wire.url("rp.example"), b""))
            await asyncio.sleep(0.05)
            first.cancel()
            gate.set()
            return (await second).status

    assert uvloop.run(work()) == 200


def test_the_next_address_is_tried_when_the_first_refuses():
    async def work():
        resolver = Names(rp=["127.0.0.9", "127.0.0.1"], none=["127.0.0.9"])
        async with raw_server(saying(OK)) as wire, client(resolver=resolver) as fan:
            reply = await post_form(fan, wire.url("rp.example"), b"")
            return reply.status, (await post_form(fan, wire.url("none.example"), b"")).error

    assert uvloop.run(work()) == (200, "connect")


def test_an_ipv6_literal_is_dialled_and_named():
    async def work():
        async with raw_server(saying(OK), "::1") as wire, client() as fan:
            return (await post_form(fan, wire.url("[::1]"), b"")).status, wire

    try:
        status, wire = uvloop.run(work())
    except OSError:
        pytest.skip("no IPv6 loopback here")
    assert status == 200
    assert b"\r\nHost: [::1]:%d\r\n" % wire.port in wire.requests[0]


def test_the_systems_resolver_knows_localhost_and_says_what_it_does_not_know():
    async def work():
        async with raw_server(saying(OK)) as wire, client() as fan:
            return (await post_form(fan, wire.url("localhost"), b"")).status, (
                await post_form(fan, "https://nobody.invalid/", b"")
            ).error

    assert uvloop.run(work()) == (200, "dns")


def test_when_too_many_connections_wait_the_oldest_is_closed_and_a_busy_origin_keeps_its_own(monkeypatch):
    class Kept:
        is_quiet, aborted = True, False

        def abort(self):
            self.aborted = True

    monkeypatch.setattr(many, "MOST_IDLE", 3)
    pool = many.Pool()
    kept = [Kept() for _ in range(5)]
    for number, connection in enumerate(kept):
        pool.put(("https", f"app{number}.example", 443), connection)
    assert [connection.aborted for connection in kept] == [True, True, False, False, False]
    assert pool.take(("https", "app0.example", 443)) is None
    assert pool.take(("https", "app4.example", 443)) is kept[4]
    assert pool.take(("https", "app4.example", 443)) is None


def test_a_transfer_coding_that_only_ends_like_chunked_says_nothing_about_the_end():
    async def behave(wire, reader, writer):
        await receive(wire, reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nok")

    (reply,), _ = talk(behave)
    assert reply.status == 200
