"""Both guarded transports through a real proxy: the rules hold as without it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import trustme
import uvloop
from django.core.exceptions import ImproperlyConfigured

from idp import conf
from idp.outbound import policy, proxy, web
from idp.outbound.many import Fanout, Reply
from tests.support.connect_proxy import ConnectProxy
from tests.support.outbound import LOOPBACK, PUBLIC, Names, post_form
from tests.support.receiver import Receiver

pytestmark = pytest.mark.once
CUT = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def trusting() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture
def receiver(tmp_path: Path, trusting: ssl.SSLContext) -> Iterator[Receiver]:
    """An application with a certificate for `localhost` and `app.example`."""
    authority = trustme.CA()
    authority.configure_trust(trusting)
    authority.issue_cert("localhost", "app.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pem"))
    with Receiver(tmp_path, tmp_path / "pem", "localhost") as running:
        yield running


def through(running: ConnectProxy, rules: policy.Rules = LOOPBACK, login: str = "", **options) -> policy.Rules:
    url = f"http://{login}127.0.0.1:{running.port}"
    return replace(rules, proxy=proxy.proxy_of(url=url, **{"resolves": False, "direct": [], **options}))


def fan_out(url: str, rules: policy.Rules, tls: ssl.SSLContext | None = None, times: int = 1) -> Reply:
    async def work() -> Reply:
        names = Names(app=["127.0.0.1"], localhost=["127.0.0.1"], private=["10.1.2.3"], two=["127.0.0.2", "127.0.0.1"])
        async with Fanout(rules, timeout=10, tls=tls, resolver=names) as client:
            for _ in range(times):
                reply = await post_form(client, url, b"logout_token=x")
        return reply

    return uvloop.run(work())


def test_the_fan_out_goes_through_it_to_the_address_that_was_vetted(receiver, trusting) -> None:
    with ConnectProxy() as running:
        reply = fan_out(receiver.url("app"), through(running), trusting, times=2)
        assert (reply.status, reply.error, reply.detail) == (200, "", "")
        assert len(receiver.posts()) == 2
        port = receiver.url("app").split(":")[2].split("/")[0]
        assert running.targets == [f"127.0.0.1:{port}"]  # one tunnel, kept


def test_requests_go_through_it_to_the_address_that_was_vetted(receiver, trusting) -> None:
    with ConnectProxy() as running:
        answer = web.session(rules=through(running), tls=trusting, timeout=10).post(
            receiver.url("app"), data={"a": "b"}
        )
        assert answer.status_code == 200
        assert running.targets[-1].startswith(("127.0.0.1:", "[::1]:"))


def test_a_proxy_that_resolves_is_told_the_name_and_the_certificate_must_be_for_it(receiver, trusting) -> None:
    url = receiver.url("app").replace("localhost", "app.example")
    with ConnectProxy(hosts={"app.example": "127.0.0.1", "other.example": "127.0.0.1"}) as running:
        rules = through(running, PUBLIC, resolves=True)
        assert fan_out(url, rules, trusting).status == 200
        assert web.session(rules=rules, tls=trusting, timeout=10).post(url).status_code == 200
        assert {target.split(":")[0] for target in running.targets} == {"app.example"}
        other = url.replace("app.example", "other.example")
        assert fan_out(other, rules, trusting).error == "tls"
        with pytest.raises(requests.exceptions.SSLError):
            web.session(rules=rules, tls=trusting, timeout=10).get(other)


@pytest.mark.parametrize(
    "url", ["https://private.example/", "https://10.0.0.1/", "https://[::1]/", "https://127.0.0.1/"]
)
def test_what_the_rules_refuse_never_reaches_it(url: str, monkeypatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda _host, port, **_: [(2, 1, 6, "", ("10.1.2.3", port))])
    with ConnectProxy() as running:
        rules = through(running, PUBLIC)
        assert fan_out(url, rules).error == "blocked"
        with pytest.raises(web.BlockedTarget):
            web.session(rules=rules).get(url)
        assert running.heads == []


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/", "https://localhost/", "https://id.example.com/", "http://app.example/"]
)
def test_a_proxy_that_resolves_gets_no_private_address_and_no_name_of_its_own_machine(url: str) -> None:
    with ConnectProxy() as running:
        rules = through(running, PUBLIC, resolves=True)
        assert fan_out(url, rules).error == "blocked"
        with pytest.raises(web.BlockedTarget):
            web.session(rules=rules).get(url)
        assert running.heads == []


def test_hosts_that_the_operator_names_are_reached_without_it(receiver, trusting) -> None:
    with ConnectProxy() as running:
        rules = through(running, direct=["localhost"])
        assert fan_out(receiver.url("app"), rules, trusting).status == 200
        assert web.session(rules=rules, tls=trusting, timeout=10).post(receiver.url("app")).status_code == 200
        assert running.heads == []


def test_its_password_is_sent_and_only_to_it(receiver, trusting) -> None:
    with ConnectProxy() as running:
        rules = through(running, login="curfew:p%40ss@")
        assert fan_out(receiver.url("app"), rules, trusting).status == 200
        assert f"Proxy-Authorization: Basic {base64.b64encode(b'curfew:p@ss').decode()}" in running.heads[0]
        assert "Proxy-Authorization" not in str(receiver.posts())


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (CUT, "the proxy refuses: HTTP/1.1 403 Forbidden"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy refuses: HTTP/1.1 407"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the proxy refuses: SSH-2.0"),
        (b"", "the proxy ended the connection"),
        (b"HTTP/1.1 200 OK\r\n\r\nbytes", "something else than the proxy spoke first"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "the proxy's answer is too long"),
    ],
)
def test_what_it_says_instead_of_a_tunnel_is_told(receiver, trusting, said: bytes, heard: str) -> None:
    with ConnectProxy(answers=[said] * 4) as running:
        rules = through(running)
        url = receiver.url("app").replace("localhost", "127.0.0.1")
        reply = fan_out(url, rules, trusting)
        assert (reply.error, heard in reply.detail) == ("connect", True), reply
        with pytest.raises(requests.ConnectionError, match="roxy") as failed:
            web.session(rules=rules, tls=trusting, timeout=10).get(url)
        assert heard in str(failed.value)


def test_the_next_address_is_tried_when_it_cannot_reach_the_first(receiver, trusting) -> None:
    url = receiver.url("app").replace("localhost", "two.example")
    with ConnectProxy(answers=[CUT]) as running:
        reply = fan_out(url, through(running), trusting)
        assert reply.error == "tls"  # the tunnel is there; the certificate is for other names
        assert [target.split(":")[0] for target in running.targets] == ["127.0.0.2", "127.0.0.1"]


def test_a_proxy_that_is_away_is_told(receiver, trusting) -> None:
    with ConnectProxy() as running:
        rules = through(running)
    assert fan_out(receiver.url("app"), rules, trusting).error == "connect"
    with pytest.raises(requests.ConnectionError):
        web.session(rules=rules, tls=trusting, timeout=10).get(receiver.url("app"))


def test_one_that_says_nothing_is_left_after_the_timeout(receiver, trusting) -> None:
    with ConnectProxy() as running:
        running._serve = lambda _client: None  # type: ignore[method-assign]
        with pytest.raises(requests.Timeout):
            web.session(rules=through(running), tls=trusting, timeout=0.5).get(receiver.url("app"))


@pytest.mark.parametrize(
    "url", ["proxy:3128", "https://proxy", "socks5://proxy", "http://", "http://proxy:port", "http://proxy/path"]
)
def test_a_proxy_that_is_none_stops_the_start_with_a_sentence(monkeypatch, url: str) -> None:
    monkeypatch.setenv("CURFEW_OUTBOUND_PROXY", url)
    with pytest.raises(ImproperlyConfigured, match=r"^CURFEW_OUTBOUND_PROXY "):
        conf.read_outbound_proxy()


def test_the_settings_say_what_is_reached_without_it(monkeypatch) -> None:
    monkeypatch.setenv("CURFEW_OUTBOUND_PROXY", "http://proxy.example")
    monkeypatch.setenv("CURFEW_OUTBOUND_NO_PROXY", ".corp.example, 10.0.0.0/8")
    found = conf.read_outbound_proxy()
    assert found is not None
    assert (found.host, found.port, found.resolves) == ("proxy.example", 3128, False)
    hosts = ["a.corp.example", "corp.example", "notcorp.example", "10.1.1.1", "11.1.1.1", "A.CORP.example."]
    assert [host for host in hosts if not found.serves("https", host)] == [hosts[0], hosts[1], hosts[3], hosts[5]]
    assert not found.serves("http", "11.1.1.1")
