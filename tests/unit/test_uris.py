"""The table of URLs that configuration may and may not hold."""

from __future__ import annotations

import pytest

from idp.protocol import uris

CALLBACKS = ["https://rp.example/callback"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://rp.example/callback",
        "https://rp.example:8443/callback?tenant=1",
        "http://localhost:3000/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:3000/callback",
        "http://app.localhost/callback",
    ],
)
def test_these_callbacks_are_accepted(uri: str) -> None:
    assert uris.check_redirect_uri(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "callback",
        "//rp.example/callback",
        "http://rp.example/callback",
        "https://rp.example/callback#here",
        "https://rp.example/callback#",
        "https://*.rp.example/callback",
        "https://user:password@rp.example/",
        "https://rp.example\\@evil.example/",
        "https:///callback",
        "https://rp..example/",
        "https://rp.example:99999/",
        "https://rp.example:/",
        "https://rp.example/a b",
        "https://rp.example/\n",
        "https://rp.example/\0",
        "https://rp.exämple/",
        "https://[::1]x/",
        "https://[::1].evil.example/",
        "https://evil.example[::1]/",
        "https://[v1.a]/",
        "https://[v1.a:b]/",
        "https://[127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://rp.example/",
        "com.example.app:/callback",
        f"https://rp.example/{'x' * 1000}",
    ],
)
def test_these_callbacks_are_refused_with_a_reason(uri: str) -> None:
    assert uris.check_redirect_uri(uri)


def test_a_native_application_may_have_a_scheme_of_its_own() -> None:
    assert uris.check_redirect_uri("com.example.app:/callback", native=True) is None
    assert uris.check_redirect_uri("app:/callback", native=True)
    assert uris.check_redirect_uri("javascript:alert(1)", native=True)


@pytest.mark.parametrize(
    "url", ["https://rp.example/out?state=1", "https://rp.example/out?iss=x", "https://rp.example/?state"]
)
def test_a_logout_url_leaves_room_for_state(url: str) -> None:
    assert uris.check_logout_url(url)


def test_wildcards_stand_in_the_leftmost_label_and_only_where_they_are_on() -> None:
    assert uris.check_logout_url("https://*.rp.example/out")
    assert uris.check_logout_url("https://*.rp.example/out", wildcards=True) is None
    for url in ("https://*.example/out", "https://a.*.example/out", "https://*/", "https://rp.example/*"):
        assert uris.check_logout_url(url, wildcards=True), url


@pytest.mark.parametrize(
    "uri",
    [
        "gopher://rp.example/",
        "file:///etc/passwd",
        "ftp://rp.example/",
        "unix:/run/x",
        "https://rp.example:22/",
        "https://rp.example:25/",
        "http://rp.example:6379/",
        "https://rp.example/#x",
        "/relative",
    ],
)
def test_a_back_channel_goes_to_web_servers_only(uri: str) -> None:
    assert uris.check_backchannel_uri(uri)


def test_a_back_channel_may_be_plain_http_inside_a_network_that_the_guard_allows() -> None:
    assert uris.check_backchannel_uri("http://timesheet:8080/backchannel-logout") is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://other.example/out",
        "https://rp.example:444/out",
        "http://rp.example/out",
        "https://rp.example/out?sid=1",
        "https://rp.example/out?iss=x",
        "https://rp.example/out#x",
        "https://rp.example/x; script-src *",
        "https://rp.example/x;script-src",
        "https://rp.example/x\nscript-src",
    ],
)
def test_a_front_channel_is_on_a_callbacks_origin_and_cannot_break_the_policy_header(uri: str) -> None:
    assert uris.check_frontchannel_uri(uri, CALLBACKS)


def test_a_front_channel_is_never_ours_and_never_http_in_https() -> None:
    ours = "https://id.example/"
    assert uris.check_frontchannel_uri("https://id.example/out", ["https://id.example/cb"], issuer=ours)
    assert uris.check_frontchannel_uri("http://localhost/out", ["http://localhost/cb"], issuer=ours)
    assert uris.check_frontchannel_uri("https://rp.example/out", CALLBACKS, issuer=ours) is None


@pytest.mark.parametrize(
    "value", ["*", "null", "https://*.example.com", "https://app.example.com/path", "https://app.example.com/",
              "https://app.example.com:443", "https://APP.example.com", "http://app.example.com", "app.example.com"],
)  # fmt: skip
def test_only_exact_origins_may_read_with_credentials(value: str) -> None:
    assert uris.check_origin(value)


@pytest.mark.parametrize("value", ["https://app.example.com", "https://app.example.com:8443", "http://localhost:3000"])
def test_an_origin_as_browsers_write_it_is_accepted(value: str) -> None:
    assert uris.check_origin(value) is None


@pytest.mark.parametrize(
    "host", ["[[::1]]", "[::1", "::1]", "[127.0.0.1]", "[rp.example]", "fe80::1%eth0", "[v1.a]", ""]
)
def test_a_host_is_a_name_or_an_address_and_brackets_are_for_ipv6(host: str) -> None:
    assert uris.check_host(host)


@pytest.mark.parametrize("host", ["::1", "[::1]", "127.0.0.1", "rp.example", "intranet"])
def test_these_hosts_are_accepted(host: str) -> None:
    assert uris.check_host(host) is None
