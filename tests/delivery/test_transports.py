"""Both guarded transports against real sockets, in cleartext and with TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import trustme
import uvloop

from idp.outbound import answer, policy, web
from idp.outbound.many import Fanout, Reply
from tests.support.outbound import LOOPBACK, PUBLIC, Names, post_form
from tests.support.receiver import Receiver


def post(url: str, *, rules=LOOPBACK, timeout: float = 1.0, tls=None, resolver=None, times: int = 1) -> Reply:
    async def work() -> Reply:
        async with Fanout(rules, timeout=timeout, tls=tls, resolver=resolver) as client:
            for _ in range(times):
                reply = await post_form(client, url, b"logout_token=x")
        return reply

    return uvloop.run(work())


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def tls_receiver(folder: Path, issued: trustme.LeafCert, host: str = "localhost") -> Receiver:
    folder.mkdir(exist_ok=True)
    pem = folder / "server.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    return Receiver(folder, pem, host)


# --- where a request may go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "①②⑦.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ],
)
def test_no_spelling_of_a_private_address_is_dialled(host, receiver):
    url = f"https://{host}:{receiver.port}/app"
    assert policy.check_url(url, PUBLIC) is not None or host == "localhost"
    assert post(url, rules=PUBLIC).error in ("blocked", "dns")
    with pytest.raises(requests.RequestException):
        web.session(rules=PUBLIC).post(url)
    assert receiver.posts() == []


@pytest.mark.parametrize("answers", [["10.0.0.5"], ["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"]])
def test_one_bad_answer_of_a_name_refuses_all(answers, receiver, monkeypatch):
    url = f"https://rp.example:{receiver.port}/app"
    assert post(url, rules=PUBLIC, resolver=Names(rp=answers)).error == "blocked"
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, receiver.port)) for a in answers]
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(web.BlockedTarget):
        web.session(rules=PUBLIC).get(url)
    assert receiver.posts() == []


def test_a_name_is_resolved_once_so_that_it_cannot_be_rebound(receiver, monkeypatch):
    answers = iter([("127.0.0.1", receiver.port), ("127.0.0.2", 1)])
    monkeypatch.setattr(
        web.socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", next(answers))]
    )
    assert web.session(rules=LOOPBACK).get(f"http://rp.example:{receiver.port}/app").status_code == 200


def test_cleartext_goes_to_the_operators_own_networks_only():
    assert post("http://rp.example/", rules=LOOPBACK, resolver=Names(rp=["93.184.216.34"])).error == "blocked"
    assert post("http://93.184.216.34/", rules=LOOPBACK).error == "blocked"


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
def test_a_redirect_is_not_followed(status, receiver):
    receiver.behave(away=f"{status}:{receiver.url('elsewhere')}")
    assert post(receiver.url("away")).status == int(status)
    assert web.session(rules=LOOPBACK).get(receiver.url("away")).status_code == int(status)
    assert receiver.posts("elsewhere") == []


# --- how long, how much ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["drip-header", "drip-body", "hang:30", "informational"])
def test_everything_ends_by_one_deadline(behaviour, receiver):
    """F-N08."""
    receiver.behave(slow=behaviour)
    begun = time.monotonic()
    reply = post(receiver.url("slow"))
    assert time.monotonic() - begun < 1.5
    assert reply.error == "timeout"
    begun = time.monotonic()
    try:
        response = web.session(rules=LOOPBACK, timeout=1.0).get(receiver.url("slow"))
    except requests.RequestException:
        response = None
    assert response is None or response.status_code == 103  # http.client takes it for the answer
    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_peer_that_accepts_and_says_nothing_costs_the_deadline(scheme):
    """A TCP connection without an answer, and a TLS handshake that never ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/"
        begun = time.monotonic()
        assert post(url).error == "timeout"
        with pytest.raises(requests.Timeout):
            web.session(rules=LOOPBACK, timeout=1.0).get(url)
        assert time.monotonic() - begun < 3


def test_a_resolver_that_hangs_costs_the_deadline(monkeypatch):
    begun = time.monotonic()
    assert post("https://hangs.example/", resolver=Names()).error == "timeout"
    monkeypatch.setattr(web.socket, "getaddrinfo", lambda *_, **__: time.sleep(3))
    with pytest.raises(requests.Timeout):
        web.session(rules=LOOPBACK, timeout=0.5).get("https://hangs.example/")
    assert time.monotonic() - begun < 2.5


def test_a_name_that_does_not_exist_is_a_dns_error():
    """F-N10."""
    assert post("https://rp.example/", resolver=Names()).error == "dns"


def test_a_reset_is_an_error_like_any_other(receiver):
    """F-N09."""
    receiver.behave(app="reset")
    assert post(receiver.url("app")).error == "reset"
    assert len(receiver.posts()) == 1


def test_a_compressed_body_is_neither_asked_for_nor_unpacked(receiver):
    receiver.behave(app="bomb")
    reply = post(receiver.url("app"))
    assert (reply.status, len(reply.body) <= answer.BODY_LIMIT) == (500, True)
    assert web.session(rules=LOOPBACK).get(receiver.url("app")).content[:2] == b"\x1f\x8b"
    assert {row["headers"]["accept-encoding"] for row in receiver.posts()} == {"identity"}


def test_a_long_body_is_cut_off(receiver):
    receiver.behave(app="rude")
    assert len(post(receiver.url("app"), timeout=5).body) <= answer.BODY_LIMIT
    with pytest.raises(web.AnswerTooLarge):
        web.session(rules=LOOPBACK).get(receiver.url("app"))


def test_cookies_are_never_sent_back(receiver):
    receiver.behave(app="cookie")
    post(receiver.url("app"), times=2)
    session = web.session(rules=LOOPBACK)
    session.get(receiver.url("app"))
    session.get(receiver.url("app"))
    assert len(receiver.posts()) == 4
    assert not [row for row in receiver.posts() if "cookie" in row["headers"]]


def test_proxies_and_netrc_of_the_environment_are_ignored(receiver, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url("app")).status == 200
    assert web.session(rules=LOOPBACK).get(receiver.url("app")).status_code == 200
    assert not [row for row in receiver.posts() if "authorization" in row["headers"]]


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_a_certificate_of_a_trusted_authority_for_the_name_is_accepted(tmp_path, authority, trusting):
    with tls_receiver(tmp_path, authority.issue_cert("localhost")) as receiver:
        assert post(receiver.url("app"), tls=trusting).status == 200
        assert web.session(rules=LOOPBACK, tls=trusting).get(receiver.url("app")).status_code == 200


def bad_certificate(kind: str, authority: trustme.CA) -> trustme.LeafCert:
    if kind == "wrong host":
        return authority.issue_cert("other.example")
    if kind == "expired":
        return authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    return trustme.CA().issue_cert("localhost")


@pytest.mark.parametrize("kind", ["wrong host", "expired", "unknown authority"])
def test_a_bad_certificate_is_refused_whatever_the_caller_asks(kind, tmp_path, authority, trusting):
    with tls_receiver(tmp_path, bad_certificate(kind, authority)) as receiver:
        assert post(receiver.url("app"), tls=trusting).error == "tls"
        with pytest.raises(requests.exceptions.SSLError):
            web.session(rules=LOOPBACK, tls=trusting).get(receiver.url("app"), verify=False)
        assert receiver.posts() == []


def test_old_versions_of_tls_are_refused():
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.fixture
def shared(tmp_path, authority, monkeypatch) -> Iterator[ssl.SSLContext]:
    """The context of the process, made anew with one authority as what the system trusts."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    web.shared_tls.cache_clear()
    yield web.shared_tls()
    web.shared_tls.cache_clear()


def test_all_sessions_share_one_context_that_is_as_strict_as_the_default(shared):
    default = ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version", "protocol"):
        assert getattr(shared, name) == getattr(default, name), name
    assert shared.get_ca_certs() == default.get_ca_certs() != []
    assert web.session().adapters["https://"].poolmanager.connection_pool_kw["ssl_context"] is shared


def test_many_threads_connect_with_the_shared_context_at_once(shared, tmp_path, authority):
    """And it goes on refusing whom it does not trust."""
    with (
        tls_receiver(tmp_path, authority.issue_cert("localhost")) as good,
        tls_receiver(tmp_path / "bad", trustme.CA().issue_cert("localhost")) as bad,
        ThreadPoolExecutor(8) as threads,
    ):
        urls = [good.url("app"), bad.url("app")] * 20
        answers = list(threads.map(status_or_refusal, urls))
    assert answers == [200, None] * 20


def status_or_refusal(url: str) -> int | None:
    try:
        return web.session(rules=LOOPBACK).get(url, verify=False).status_code
    except requests.exceptions.SSLError:
        return None


def test_the_certificate_is_checked_against_the_name_not_the_address(tmp_path, authority, trusting):
    """A request to a vetted address still asks for the name in SNI and certificate."""
    with tls_receiver(tmp_path, authority.issue_cert("rp.example")) as receiver:
        url = f"https://rp.example:{receiver.port}/app"
        assert post(url, tls=trusting, resolver=Names(rp=["127.0.0.1"])).status == 200
        assert post(f"https://127.0.0.1:{receiver.port}/app", tls=trusting).error == "tls"


def test_an_ip_literal_is_judged_without_asking_for_it():
    resolver = Names()
    assert post("https://10.1.2.3/", rules=PUBLIC, resolver=resolver).error == "blocked"
    assert resolver.asked == []
