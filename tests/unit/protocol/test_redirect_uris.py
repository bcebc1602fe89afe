"""The exact redirect URI matcher of /authorize."""

import pytest

from idp.protocol.uris import origin
from sessions_app.protocol.redirect_uris import is_registered, is_well_formed

REGISTERED = ["https://app.example/cb", "https://app.example/cb?tenant=1", "com.example.app:/cb", "http://127.0.0.1/cb"]


@pytest.mark.parametrize("uri", REGISTERED)
def test_registered_strings_match(uri):
    assert is_registered(uri, REGISTERED)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://app.example/cb/",
        "https://app.example/CB",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example:443/cb",
        "https://app.example/cb?x=1",
        "https://app.example/cb?",
        "https://app.example/cb#",
        "https://app.example/cb#x",
        "https://app.example/cb\n",
        "https://app.example/\tcb",
        " https://app.example/cb",
        "https://app.example/./cb",
        "https://app.example/x/../cb",
        "https://app.example//cb",
        "https://app.example/%63b",
        "https://user@app.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example\\@evil.example/cb",
        "https://app.example.evil.example/cb",
        "https://evil.example/https://app.example/cb",
        "//app.example/cb",
        "/cb",
        "http://app.example/cb",
        "https://\u0430pp.example/cb",
        "https://app.example/cb\x00",
        "javascript:alert(1)//https://app.example/cb",
        "http://127.0.0.1:8080/cb",
    ],
)
def test_everything_else_does_not(uri):
    assert not is_registered(uri, REGISTERED)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "blob:https://x/1",
        "https:///cb",
        "https://[::1/cb",
        "https://x:port/",
        "x" * 3000,
        "no-scheme",
    ],
)
def test_some_strings_never_match_even_if_registered(uri):
    assert not is_well_formed(uri)
    assert not is_registered(uri, [uri])


@pytest.mark.spec("RFC 8252", "7.3", "The port of a loopback redirect is free for native applications")
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://127.0.0.1:51004/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://127.0.0.1:51004/other", False),
        ("http://127.0.0.1:51004/cb?x=1", False),
        ("http://127.0.0.1:51004.evil.example/cb", False),
        ("http://127.0.0.1.evil.example/cb", False),
        ("http://127.0.0.1@evil.example/cb", False),
        ("https://127.0.0.1:51004/cb", False),
        ("http://localhost:51004/cb", False),
        ("http://[::1]:51004/cb", False),
        ("https://app.example:8443/cb", False),
    ],
)
def test_the_loopback_port_is_free_for_applications_on_the_persons_machine_only(uri, expected):
    assert is_registered(uri, REGISTERED, any_port=True) is expected
    assert not is_registered(uri, REGISTERED) or uri in REGISTERED


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://app.example/cb", "https://app.example"),
        ("https://App.example:443/cb", "https://app.example"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("com.example.app:/cb", ""),
    ],
)
def test_origins_are_spelt_as_browsers_do(uri, expected):
    assert origin(uri) == expected


@pytest.mark.parametrize(
    ("registered", "uri", "expected"),
    [
        ("http://localhost/callback", "http://localhost:51004/callback", True),
        ("http://localhost/callback?a=b", "http://localhost:51004/callback?a=b", True),
        ("http://localhost:3000/callback", "http://localhost:51004/callback", False),
        ("http://localhost:3000/callback", "http://localhost/callback", False),
        ("http://localhost/callback", "http://127.0.0.1:51004/callback", False),
        ("http://127.0.0.1/callback", "http://localhost:51004/callback", False),
        ("http://localhost/callback", "http://localhost:51004/other", False),
        ("http://localhost/callback", "http://localhost.evil.example:51004/callback", False),
        ("http://localhost/callback", "https://localhost:51004/callback", False),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:51004/", True),
        ("http://[::1]/callback", "http://[::1]:51004/callback", True),
        ("https://app.example/callback", "https://app.example:51004/callback", False),
    ],
)
def test_localhost_has_any_port_where_none_was_registered_and_an_address_always(registered, uri, expected):
    assert is_registered(uri, [registered], any_port=True) is expected
    assert not is_registered(uri, [registered])
