"""What is taken for an HTTP answer, whole and byte by byte, and what of it is kept."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.outbound.answer import BODY_LIMIT, HEAD_LIMIT, RAW_LIMIT, HttpAnswer
from idp.outbound.failure import Failure
from tests.support.examples import untimed

pytestmark = pytest.mark.once
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(raw: bytes, step: int = 0) -> HttpAnswer:
    answer = HttpAnswer()
    for start in range(0, len(raw), step or len(raw)):
        answer.feed(raw[start : start + (step or len(raw))])
    return answer


def seen(answer: HttpAnswer) -> tuple[int, str, bool, bool]:
    return answer.status, answer.body, answer.is_complete, answer.is_reusable


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize(
    ("raw", "status", "body", "complete", "reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", 200, "ok", True, True),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok", True, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, "", True, True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 200\r\n\r\n", 304, "", True, True),
        (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok", 200, "ok", True, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", True, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 200, "ok", True, True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, "", True, True),
        (b"HTTP/1.1 103 Early\r\nContent-Length: 9\r\n\r\n" + OK + b"\r\nok", 200, "ok", False, False),
        (CHUNKED + b"1\r\no\r\n1;a=b\r\nk\r\n0\r\n\r\n", 200, "ok", True, True),
        (OK + b"Content-Length: 9\r\n\r\nok", 200, "ok", False, True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", True, True),
        (OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 200, "", True, True),
    ],
)
def test_an_answer_is_read_to_where_it_says_that_it_ends(raw, status, body, complete, reusable, step):
    assert seen(read(raw, step)) == (status, body, complete, reusable)


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        OK + b"X : a\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length: -2\r\n\r\nok",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nok",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n\r\n",
        CHUNKED + b"2\r\nokay\r\n",
        CHUNKED + b"ffffffffffffffffffff\r\nok",
    ],
)
def test_what_is_no_answer_is_a_protocol_error(raw, step):
    with pytest.raises(Failure) as failure:
        read(raw, step)
    assert failure.value.kind == "protocol"


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"garbage", b"\0", b"H"])
def test_bytes_after_an_answer_cost_the_connection_and_not_the_answer(more):
    for chunks in ([OK + b"Content-Length: 2\r\n\r\nok" + more], [OK + b"Content-Length: 2\r\n\r\nok", more]):
        answer = HttpAnswer()
        for chunk in chunks:
            answer.feed(chunk)
        assert seen(answer) == (200, "ok", True, False)


@pytest.mark.parametrize(
    ("raw", "complete"),
    [
        (OK + b"\r\nok", True),
        (OK + b"Transfer-Encoding: gzip\r\n\r\nok", True),
        (b"HTTP/1.0 200 OK\r\n\r\n", True),
        (OK + b"Content-Length: 9\r\n\r\nok", False),
        (CHUNKED + b"2\r\nok\r\n", False),
        (OK[:9], False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"", False),
    ],
)
def test_the_end_of_the_connection_ends_an_answer_that_says_no_other(raw, complete):
    answer = HttpAnswer()
    answer.feed(raw)
    answer.end()
    assert (answer.is_complete, answer.is_reusable and complete) == (complete, False)


@pytest.mark.parametrize("step", [0, 1000])
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (OK + b"X: " + b"x" * HEAD_LIMIT, "head"),
        (OK + b"X: " + b"x" * HEAD_LIMIT + b"\r\nContent-Length: 0\r\n\r\n", "head"),
        (OK + b"X" * HEAD_LIMIT, "head"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, "head"),
        (CHUNKED + b"1;" + b"x" * RAW_LIMIT, "answer"),
        (CHUNKED + b"0\r\nX: " + b"x" * RAW_LIMIT, "answer"),
    ],
)
def test_an_answer_that_is_too_long_is_given_up(raw, says, step):
    with pytest.raises(Failure, match=f"the (head of the )?{says}"):
        read(raw, step)


@pytest.mark.parametrize("step", [0, 1000])
@pytest.mark.parametrize("framing", ["length", "chunks", "connection"])
def test_no_more_of_a_body_is_read_than_the_limit(framing, step):
    body = b"x" * (BODY_LIMIT + 1)
    heads = {
        "length": b"Content-Length: %d\r\n\r\n" % len(body),
        "chunks": b"Transfer-Encoding: chunked\r\n\r\n",
        "connection": b"\r\n",
    }
    chunk = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    answer = read(OK + heads[framing] + (chunk if framing == "chunks" else body), step)
    assert seen(answer) == (200, "x" * BODY_LIMIT, True, False)


def test_a_body_of_exactly_the_limit_is_read_to_its_end():
    assert seen(read(OK + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT + b"x" * BODY_LIMIT)) == (
        200,
        "x" * BODY_LIMIT,
        True,
        True,
    )


def test_retry_after_is_the_final_heads_first_and_cut_off():
    interim = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n"
    assert read(interim + OK + b"Content-Length: 0\r\n\r\n").retry_after == ""
    assert read(OK + b"Retry-After: 7\r\nretry-after: 9\r\nContent-Length: 0\r\n\r\n").retry_after == "7"
    assert read(CHUNKED + b"0\r\nRetry-After: 7\r\n\r\n").retry_after == ""
    assert len(read(OK + b"Retry-After: " + b"9" * 5000 + b"\r\nContent-Length: 0\r\n\r\n").retry_after) == 100


@untimed
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([OK, CHUNKED, b"\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"])))
)
def test_no_bytes_do_anything_else_than_be_an_answer_or_a_failure(chunks):
    answer = HttpAnswer()
    with suppress(Failure):
        for chunk in chunks:
            answer.feed(chunk)
        answer.end()
    assert not answer.is_complete or 200 <= answer.status <= 999
