"""Where a logout may lead: odd addresses against both matchers."""

from __future__ import annotations

import pytest

from logout_app.protocol import redirects

OUT = "https://app.example.com/out"

# address, whether /v2/logout (registered: OUT) goes there, whether /oidc/logout does
ODD = [
    (OUT, True, True),
    # Auth0: "query string and hash information are not taken into account"
    (OUT + "?anything=1", True, False),
    (OUT + "?", True, False),
    (OUT + "#x", True, False),
    (OUT + "?a=1#b?c", True, False),
    (OUT + "?next=https://evil.example/", True, False),
    (OUT + "?q=é", True, False),
    # scheme and host without case, path with
    ("HTTPS://APP.EXAMPLE.COM/out", True, False),
    ("https://app.example.com/OUT", False, False),
    ("http://app.example.com/out", False, False),
    # other hosts
    ("//evil.example", False, False),
    ("///evil.example", False, False),
    ("\\\\evil.example", False, False),
    ("/\\evil.example", False, False),
    ("https:/evil.example", False, False),
    ("https:evil.example", False, False),
    ("https://app.example.com@evil.example/out", False, False),
    ("https://user:pw@app.example.com/out", False, False),
    ("https://@app.example.com/out", False, False),
    ("https://app.example.com\\@evil.example/out", False, False),
    ("https://evil.example#https://app.example.com/out", False, False),
    ("https://evil.example/?https://app.example.com/out", False, False),
    ("https://app.example.com.evil.example/out", False, False),
    ("https://evilapp.example.com/out", False, False),
    ("https://appXexample.com/out", False, False),
    ("https://app.example.com./out", False, False),
    ("https://app..example.com/out", False, False),
    ("https://app.example.com:443/out", False, False),
    ("https://app.example.com:4443/out", False, False),
    ("https://app.example.com:/out", False, False),
    ("https://app.example.com:99999999/out", False, False),
    ("https://app.example.com%00.evil.example/", False, False),
    ("https://app.example.com%2f@evil.example", False, False),
    ("https://\u0430pp.example.com/out", False, False),  # a Cyrillic letter
    ("https://app.example\u3002com/out", False, False),
    ("https://*.example.com/out", False, False),
    ("https://[::1]/", False, False),
    ("https://0x7f.1/", False, False),
    ("https://2130706433/", False, False),
    # other paths
    ("https://app.example.com/out/", False, False),
    ("https://app.example.com/out/../admin", False, False),
    ("https://app.example.com/out/..;/admin", False, False),
    ("https://app.example.com/out/%2e%2e%2fadmin", False, False),
    ("https://app.example.com/x/../out", False, False),
    ("https://app.example.com//out", False, False),
    ("https://app.example.com/%6fut", False, False),
    ("https://app.example.com/out;x", False, False),
    ("https://app.example.com", False, False),
    # what splits headers or is read differently
    ("https://app.example.com/out%0d%0aSet-Cookie:%20x=1", False, False),
    (OUT + "\r\nSet-Cookie: x=1", False, False),
    (OUT + "?a=\r\nb", False, False),
    (OUT + "\x00", False, False),
    (OUT + " ", False, False),
    (" " + OUT, False, False),
    ("\t" + OUT, False, False),
    ("ht\ntps://app.example.com/out", False, False),
    (OUT + "?\\", False, False),
    (OUT + "?\ud800", False, False),
    # schemes that run or read something
    ("javascript:alert(document.domain)", False, False),
    ("JaVaScRiPt://app.example.com/out%0aalert(1)", False, False),
    ("java\nscript:alert(1)", False, False),
    ("data:text/html;base64,PHNjcmlwdD4=", False, False),
    ("vbscript:x", False, False),
    ("blob:https://app.example.com/out", False, False),
    ("file:///etc/passwd", False, False),
    ("", False, False),
    ("out", False, False),
    ("https://", False, False),
    (OUT + "?" + "x" * 100_000, False, False),
]


@pytest.mark.parametrize(("url", "auth0", "exact"), ODD, ids=[repr(url)[:60] for url, *_ in ODD])
def test_an_odd_address_is_followed_only_where_the_rules_say_so(url, auth0, exact):
    assert redirects.matches_auth0(url, [OUT]) is auth0
    assert redirects.matches_auth0(url, [OUT], wildcards=True) is auth0
    assert redirects.matches_exactly(url, [OUT]) is exact


@pytest.mark.parametrize(
    "url", [url for url, *_ in ODD if url.lower().startswith(("java", "data", "vb", "blob", "file"))]
)
def test_a_script_is_not_followed_even_if_somebody_registered_it(url):
    assert not redirects.matches_auth0(url, [url], wildcards=True)
    assert not redirects.matches_exactly(url, [url])


@pytest.mark.parametrize(
    ("entry", "url", "matches"),
    [
        ("https://*.example.com/out", "https://a.example.com/out", True),
        ("https://*.example.com/out", "https://A.Example.com/out?x=1#y", True),
        ("https://*.example.com/out", "https://a.b.example.com/out", False),
        ("https://*.example.com/out", "https://example.com/out", False),
        ("https://*.example.com/out", "https://.example.com/out", False),
        ("https://*.example.com/out", "https://a.example.com.evil.example/out", False),
        ("https://*.example.com/out", "https://evil.example/.example.com/out", False),
        ("https://*.example.com/out", "http://a.example.com/out", False),
        ("https://*.example.com/out", "https://a.example.com:8443/out", False),
        ("https://pr-*.example.com/", "https://pr-12.example.com", True),
        ("https://pr-*.example.com/", "https://pr-.example.com/", False),
        ("https://pr-*.example.com/", "https://qr-12.example.com/", False),
        ("https://*-app.example.com/", "https://x-app.example.com/", True),
        ("https://*-*.example.com/", "https://a-b.example.com/", False),
        ("https://a.*.example.com/", "https://a.b.example.com/", False),
        ("https://*.com/", "https://evil.com/", False),
        ("https://*/", "https://evil.example/", False),
        ("app://*.example.com/", "app://a.example.com/", False),
    ],
)
def test_a_wildcard_stands_for_part_of_the_leftmost_label_and_only_where_it_is_turned_on(entry, url, matches):
    """As Auth0 allows it in logout URLs."""
    assert redirects.matches_auth0(url, [entry], wildcards=True) is matches
    assert not redirects.matches_auth0(url, [entry], wildcards=False)
    assert not redirects.matches_exactly(url, [entry])


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8001/", "http://[::1]:8001/out", "com.example.app://host/path", "https://app.example.com"],
)
def test_both_matchers_accept_what_was_registered(url):
    assert redirects.matches_auth0(url, ["https://other.example/", url])
    assert redirects.matches_exactly(url, ["https://other.example/", url])


def test_a_missing_path_is_the_root():
    assert redirects.matches_auth0("https://app.example.com/#complete", ["https://app.example.com"])


def test_a_native_application_s_scheme_without_a_host_is_compared_as_a_whole():
    """RP-Initiated Logout 1.0, section 3: custom schemes are allowed."""
    assert redirects.matches_exactly("com.example.app:/out", ["com.example.app:/out"])
    assert not redirects.matches_exactly("com.example.app:/other", ["com.example.app:/out"])


@pytest.mark.parametrize(
    ("url", "state", "result"),
    [
        (OUT, None, OUT),
        (OUT, "abc", OUT + "?state=abc"),
        (OUT, "", OUT + "?state="),
        (OUT + "?a=1", "x", OUT + "?a=1&state=x"),
        (OUT + "?", "x", OUT + "?state=x"),
        (OUT + "?a=1#f", "x", OUT + "?a=1&state=x#f"),
        (OUT, "a b&c=d#é", OUT + "?state=a%20b%26c%3Dd%23%C3%A9"),
    ],
)
def test_state_is_added_to_whatever_the_address_has(url, state, result):
    assert redirects.with_state(url, state) == result


def test_the_first_usable_address_names_one_place():
    assert redirects.first_usable(["https://*.example.com/", "javascript:x", OUT]) == OUT
    assert redirects.first_usable([]) == ""
