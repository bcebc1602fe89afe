"""What the web server makes of bytes, asked by raw sockets."""

from __future__ import annotations

import pytest

from idp.http.serving.limits import LONGEST_BODY, LONGEST_HEAD
from tests.support.wire import Client, ask, chunked, get, post

HOST = b"Host: localhost"


@pytest.mark.parametrize("value", ["é".encode(), b"\xe9", b"\xff\xfe", "\u2003".encode()])
@pytest.mark.parametrize("name", ["Cookie", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "Authorization"])
def test_a_header_with_bytes_that_are_not_ascii_arrives_whole(port: int, name: str, value: bytes) -> None:
    line = name.encode() + b": a=b; x=" + value + b"; c=d"
    said = ask(port, get("/", HOST, line)).json()
    assert said["HTTP_" + name.upper().replace("-", "_")].encode("latin-1") == b"a=b; x=" + value + b"; c=d"


@pytest.mark.parametrize("space", ["\u2003", "\u00a0", "\u0085", "\u3000"])
def test_a_cookie_whose_name_begins_with_a_space_that_only_python_strips_is_dropped(port: int, space: str) -> None:
    line = f"Cookie: __Host-a=ours; {space}__Host-a=theirs; b{space}=1; c=2{space}".encode()
    assert ask(port, get("/", HOST, line)).json()["HTTP_COOKIE"].encode("latin-1") == (
        f"__Host-a=ours; c=2{space}".encode()
    )


def test_several_cookie_headers_are_one_list(port: int) -> None:
    assert ask(port, get("/", HOST, b"Cookie: a=1", b"Cookie: b=2")).json()["HTTP_COOKIE"] == "a=1; b=2"


def test_a_header_with_an_underscore_does_not_pass_for_one_with_hyphens(port: int) -> None:
    said = ask(port, get("/", HOST, b"X_Forwarded_For: 192.0.2.1", b"Content_Length: 3")).json()
    assert "HTTP_X_FORWARDED_FOR" not in said
    assert said["CONTENT_LENGTH"] == ""


def test_a_body_in_chunks_arrives_whole_and_its_trailers_are_nobodys_headers(port: int) -> None:
    request = chunked("/", [b"grant_type=", b"client_credentials", b"&a=b"])
    said = ask(port, request.replace(b"0\r\n\r\n", b"0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")).json()
    assert said["body"] == "grant_type=client_credentials&a=b"
    assert said["CONTENT_LENGTH"] == "33"
    assert "HTTP_X_FORWARDED_FOR" not in said


def test_path_and_query_arrive_as_bytes_too(port: int) -> None:
    said = ask(port, get("/%C3%A9//x?a=%C3%A9&b", HOST)).json()
    assert said["PATH_INFO"].encode("latin-1") == "/é//x".encode()
    assert said["QUERY_STRING"] == "a=%C3%A9&b"


@pytest.mark.parametrize(
    ("target", "path", "query"), [("http://x/a?b", "/a", "b"), ("http://x?b", "/", "b"), ("http://x", "/", "")]
)
def test_a_whole_url_in_the_request_line_is_a_path(port: int, target: str, path: str, query: str) -> None:
    said = ask(port, get(target, HOST)).json()
    assert (said["PATH_INFO"], said["QUERY_STRING"]) == (path, query)


def test_requests_sent_at_once_are_answered_in_their_order_on_one_connection(port: int) -> None:
    with Client(port, get("/1", HOST) + post("/2", b"abc") + get("/livez", HOST) + get("/4", HOST)) as client:
        client.send(get("/5", HOST, b"Connection: close"))
        answers = client.rest().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [b'"PATH_INFO": "/%d"' % number in answers[number - 1] for number in (1, 2, 4, 5)] == [True] * 4
    assert b'{"status": "ok"}' in answers[2]


def test_http_1_0_without_host_is_answered_and_closed_unless_it_asks_to_be_kept(port: int) -> None:
    with Client(port, get("/a", version=b"1.0")) as client:
        answer = client.answer()
        assert answer.json()["SERVER_PROTOCOL"] == "HTTP/1.0"
        assert client.rest() == b""
    with Client(port, get("/a", b"Connection: keep-alive", version=b"1.0")) as client:
        assert client.answer().headers["connection"] == "keep-alive"
        client.send(get("/b", version=b"1.0"))
        assert client.answer().json()["PATH_INFO"] == "/b"


def test_head_has_the_headers_of_get_and_no_body(port: int) -> None:
    with Client(port, get("/", HOST, b"Connection: close").replace(b"GET", b"HEAD")) as client:
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert b"content-length: " in head.lower()
    assert body == b""


def test_an_offer_of_another_protocol_is_not_taken(port: int) -> None:
    with Client(port, post("/", b"abc", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c")) as client:
        assert client.answer().json()["body"] == "abc"


def test_who_asks_before_sending_a_body_is_told_to_go_on_unless_it_is_too_large(port: int) -> None:
    with Client(port, post("/", b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 3")) as client:
        assert client.answer().status == 100
        client.send(b"abc")
        assert client.answer().json()["body"] == "abc"
    too_large = b"Length: %d" % (LONGEST_BODY + 1)
    with Client(port, post("/", b"", b"Expect: 100-continue").replace(b"Length: 0", too_large)) as client:
        assert client.answer().status != 100


@pytest.mark.parametrize(
    "request_bytes",
    [
        chunked("/", [b"abc"]).replace(b"\r\n3\r\n", b"\r\nzz\r\n"),
        post("/", b"abc", b"Content-Length: 4"),
        get("/", b"Host : localhost"),
        get("/", HOST, b"X: a\r\n folded"),
        get("/", HOST, b"X: a\x00b"),
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_closed(port: int, request_bytes: bytes) -> None:
    with Client(port, request_bytes) as client:
        assert client.answer().status == 400
        assert client.rest() == b""


def test_an_offer_of_http_2_reaches_nobody(port: int) -> None:
    with Client(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") as client:
        assert client.rest() == b""


def test_a_length_beside_chunks_counts_for_nothing_and_ends_the_connection(port: int) -> None:
    """RFC 9112 section 6.3: what follows must not pass for another request."""
    request = chunked("/", [b"abc"], b"Content-Length: 3")
    with Client(port, request) as client:
        assert client.answer().json()["body"] == "abc"
        assert client.rest() == b""


def test_another_transfer_coding_is_refused(port: int) -> None:
    request = chunked("/", [b"abc"]).replace(b"Encoding: chunked", b"Encoding: gzip, chunked")
    assert ask(port, request).status == 501
    assert ask(port, chunked("/", [b"abc"], b"Transfer-Encoding: chunked")).status in (400, 501)


def test_an_address_that_is_too_long_is_refused_by_number(port: int) -> None:
    assert ask(port, get("/" + "a" * (LONGEST_HEAD - 100), HOST)).status == 200
    assert ask(port, get("/" + "a" * LONGEST_HEAD, HOST)).status in (414, 431)
    assert ask(port, get("/", HOST, b"X: " + b"a" * LONGEST_HEAD)).status == 431
    assert ask(port, get("/", *[b"X-%d: 1" % number for number in range(200)])).status == 431


def test_an_application_that_raises_is_500_and_the_connection_goes_on(port: int) -> None:
    with Client(port, get("/fails", HOST)) as client:
        assert client.answer().status == 500
        client.send(get("/", HOST))
        assert client.answer().status == 200
