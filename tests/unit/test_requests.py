"""Whose word about a request is believed: that of its peer, and of proxies that the settings name."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from idp.http.requests import ForwardedMiddleware, client_ip

pytestmark = pytest.mark.once
PROXIES = ["10.0.0.0/8", "2001:db8::/64"]


def request(peer: str, forwarded: str | None = None, proto: str | None = None) -> HttpRequest:
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": proto}
    given = {name: value for name, value in headers.items() if value is not None}
    return RequestFactory(headers=given).get("/", REMOTE_ADDR=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),  # no proxy of ours: a client may write what it likes
        ("::ffff:203.0.113.9", "192.0.2.1", "203.0.113.9"),
        ("10.1.2.3", "192.0.2.1", "192.0.2.1"),
        ("10.1.2.3", "6.6.6.6, 192.0.2.1", "192.0.2.1"),  # the client's own header comes first
        ("10.1.2.3", "6.6.6.6, 192.0.2.1, 10.9.9.9", "192.0.2.1"),  # two proxies of ours
        ("::ffff:10.1.2.3", "192.0.2.1", "192.0.2.1"),
        ("2001:db8::7", "::ffff:192.0.2.1", "192.0.2.1"),
        ("10.1.2.3", "::ffff:10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "", None),
        (
            "10.1.2.3",
            "192.0.2.1, unknown",
            None,
        ),  # what our own proxy cannot say is nobody's address, least of all its own
        ("10.1.2.3", "6.6.6.6, 203.0.113.7:51008", "203.0.113.7"),
        ("10.1.2.3", "203.0.113.7:51008, 10.9.9.9:443", "203.0.113.7"),
        ("10.1.2.3", "[2001:db8:1::1]:443", "2001:db8:1::1"),
        ("10.1.2.3", "[2001:db8:1::1]", "2001:db8:1::1"),
        ("10.1.2.3", "2001:db8:1::1", "2001:db8:1::1"),
        ("10.1.2.3", "[::ffff:192.0.2.1]:80, [2001:db8::9]:1", "192.0.2.1"),
        ("10.1.2.3", "192.0.2.1, 10.9.9.9, ", None),
        ("10.1.2.3", "192.0.2.1:http", None),
        ("10.1.2.3", "192.0.2.1:", None),
        ("10.1.2.3", "[192.0.2.1]:80", None),
        ("10.1.2.3", "[2001:db8:1::1", None),
        ("10.1.2.3", "[2001:db8:1::1]443", None),
        ("10.1.2.3", "192.0.2.1\xe9", None),
        ("10.1.2.3", "_hidden", None),
        ("10.1.2.3", "10.9.9.9, 203.0.113", None),
        ("10.1.2.3", "fe80::1%eth0", "fe80::1"),  # PostgreSQL's addresses have no zone
        ("", "192.0.2.1", None),  # a Unix socket
    ],
)
def test_the_client_is_the_last_address_that_a_trusted_proxy_names(settings, peer, forwarded, client):
    settings.TRUSTED_PROXIES = PROXIES
    assert client_ip(request(peer, forwarded)) == client


@pytest.mark.parametrize(
    ("header", "client"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ('For="192.0.2.60:51008"', "192.0.2.60"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for=6.6.6.6, for="[2001:db8:cafe::17]";proto=https, for=10.9.9.9', "2001:db8:cafe::17"),
        ("for = 192.0.2.60", None),
        ("for=6.6.6.6, for=_hidden", None),
        ("for=6.6.6.6, for=unknown", None),
        ("for=6.6.6.6, proto=https", None),
        ("for=6.6.6.6,", None),
        ("", None),
        ("for=6.6.6.6;for=192.0.2.1", None),
        ('for="6.6.6.6, for=192.0.2.1', None),  # a quote of the client's that would swallow what the proxy appended
        ('for=";, for="[2001:db8:cafe::17]:4711"', None),
        ('host="a, for=192.0.2.1;x=\\"y", for=192.0.2.60', "192.0.2.60"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it_where_the_setting_says_so(settings, header, client):
    settings.TRUSTED_PROXIES, settings.FORWARDED_HEADER = PROXIES, "Forwarded"
    asked = RequestFactory(headers={"Forwarded": header, "X-Forwarded-For": "6.6.6.6"}).get("/", REMOTE_ADDR="10.1.2.3")
    assert client_ip(asked) == client


@pytest.mark.parametrize(("used", "other"), [("X-Forwarded-For", "Forwarded"), ("Forwarded", "X-Forwarded-For")])
def test_the_two_headers_are_never_mixed_and_the_wrong_one_alone_is_not_the_proxy(settings, used, other):
    settings.TRUSTED_PROXIES, settings.FORWARDED_HEADER = PROXIES, used
    written = {"Forwarded": "for=192.0.2.{}", "X-Forwarded-For": "192.0.2.{}"}
    both = {used: written[used].format(1), other: written[other].format(2)}
    assert client_ip(RequestFactory(headers=both).get("/", REMOTE_ADDR="10.1.2.3")) == "192.0.2.1"
    assert client_ip(RequestFactory(headers={other: both[other]}).get("/", REMOTE_ADDR="10.1.2.3")) is None
    assert client_ip(RequestFactory(headers=both).get("/", REMOTE_ADDR="203.0.113.9")) == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "header", "secure"),
    [
        ("10.1.2.3", "for=192.0.2.1;proto=https", True),
        ("10.1.2.3", "for=192.0.2.1;proto=https, for=10.9.9.9;proto=http", False),
        ("10.1.2.3", "for=192.0.2.1", False),
        ("203.0.113.9", "for=192.0.2.1;proto=https", False),
    ],
)
def test_where_forwarded_is_used_it_says_whether_tls_was(settings, peer, header, secure):
    settings.TRUSTED_PROXIES, settings.FORWARDED_HEADER = PROXIES, "Forwarded"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    seen: list[bool] = []

    def view(asked: HttpRequest) -> HttpResponse:
        seen.append(asked.is_secure())
        return HttpResponse()

    asked = RequestFactory(headers={"Forwarded": header, "X-Forwarded-Proto": "https"}).get("/", REMOTE_ADDR=peer)
    ForwardedMiddleware(view)(asked)
    assert seen == [secure]


def test_a_proxy_may_be_named_by_its_mapped_address(settings):
    settings.TRUSTED_PROXIES = ["::ffff:10.0.0.0/104"]
    assert client_ip(request("10.1.2.3", "192.0.2.1")) == "192.0.2.1"
    assert client_ip(request("::ffff:10.1.2.3", "192.0.2.1")) == "192.0.2.1"
    assert client_ip(request("11.1.2.3", "192.0.2.1")) == "11.1.2.3"


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [
        ("10.1.2.3", "https", True),
        ("::ffff:10.1.2.3", "https", True),
        ("10.1.2.3", "http", False),
        ("10.1.2.3", None, False),
        ("203.0.113.9", "https", False),
        ("::ffff:203.0.113.9", "https", False),
        ("", "https", False),
        ("unix:", "https", False),
    ],
)
def test_only_a_trusted_proxy_says_that_a_request_came_over_tls(settings, peer, proto, secure):
    settings.TRUSTED_PROXIES = PROXIES
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    seen: list[bool] = []

    def view(asked: HttpRequest) -> HttpResponse:
        seen.append(asked.is_secure())
        return HttpResponse()

    ForwardedMiddleware(view)(request(peer, proto=proto))
    assert seen == [secure]


@pytest.mark.parametrize(("peer", "sent"), [("10.1.2.3", True), ("203.0.113.9", False)])
def test_what_django_itself_derives_from_tls_follows(settings, peer, sent):
    """The middleware is before all others: Django's own sends HSTS over TLS only."""
    settings.TRUSTED_PROXIES = PROXIES
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 60
    answer = Client(headers={"X-Forwarded-Proto": "https"}).get("/livez", REMOTE_ADDR=peer)
    assert answer.status_code == 200
    assert ("Strict-Transport-Security" in answer.headers) is sent
