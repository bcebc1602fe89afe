"""The address and origin of an application's frame (Front-Channel Logout 1.0, section 2)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logout_app.protocol import logout_token
from logout_app.protocol.frontchannel import frame_origin, frame_url
from logout_app.protocol.sign_out_state import row_state

ISSUER = "https://id.example/"


@pytest.mark.spec("frontchannel", "F2", "iss and sid: both or neither")
@pytest.mark.parametrize(
    ("uri", "required", "result"),
    [
        ("https://a.example/out", False, "https://a.example/out"),
        ("https://a.example/out", True, "https://a.example/out?iss=https%3A%2F%2Fid.example%2F&sid=s-1"),
        ("https://a.example/out?x=1", True, "https://a.example/out?x=1&iss=https%3A%2F%2Fid.example%2F&sid=s-1"),
    ],
)
def test_iss_and_sid_are_added_together_to_whatever_the_query_is(uri, required, result):
    assert frame_url(uri, issuer=ISSUER, sid="s-1", session_required=required) == result


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://a.example/out?x=1", "https://a.example"),
        ("https://a.example:8443/out", "https://a.example:8443"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("http://sp.corp/out", ""),  # mixed content
        ("https://id.example/out", ""),  # our own origin would leave the sandbox
        ("HTTPS://ID.EXAMPLE/out", ""),
        ("https://rp.example/x; script-src *", ""),
        ("https://rp.example/x;script-src", ""),
        ("https://rp.example/x\nx", ""),
        ("https://*.example/x", ""),
        ("https://rp.example/x#f", ""),
        ("com.example.app://x/", ""),
        ("", ""),
    ],
)
def test_only_a_plain_foreign_https_address_is_framed(uri, origin):
    assert frame_origin(uri, issuer_origin="https://id.example") == origin


def test_a_default_port_makes_no_other_origin():
    """Browsers leave it out: with it the frame's own message would be a stranger's, and we would not know ourselves."""
    assert frame_origin("https://a.example:443/out", issuer_origin="https://id.example") == "https://a.example"
    assert frame_origin("https://id.example:443/out", issuer_origin="https://id.example") == ""


def test_on_a_loopback_issuer_http_is_framed_from_other_ports():
    assert frame_origin("http://localhost:8001/out", issuer_origin="http://localhost:8000") == "http://localhost:8001"
    assert frame_origin("http://localhost:8000/out", issuer_origin="http://localhost:8000") == ""


@pytest.mark.parametrize(
    ("channels", "overdue", "state"),
    [
        ({}, False, "unreachable"),
        ({"backchannel": "dropped"}, False, "unreachable"),
        ({"backchannel": "pending"}, False, "pending"),
        ({"backchannel": "pending"}, True, "dead"),
        ({"backchannel": "delivered"}, True, "delivered"),
        ({"backchannel": "dead"}, False, "dead"),
        ({"backchannel": "pending", "frontchannel": "delivered"}, False, "delivered"),
        ({"backchannel": "delivered", "frontchannel": "dead"}, True, "delivered"),
        ({"backchannel": "pending", "frontchannel": "loaded"}, False, "pending"),
        ({"backchannel": "pending", "frontchannel": "loaded"}, True, "loaded"),
        ({"backchannel": "dead", "frontchannel": "loaded"}, False, "dead"),
        ({"backchannel": "failing", "frontchannel": "loaded"}, False, "pending"),
        ({"backchannel": "failing", "frontchannel": "loaded"}, True, "dead"),
        ({"backchannel": "failing", "frontchannel": "delivered"}, True, "delivered"),
        ({"backchannel": "failing"}, True, "dead"),
        ({"backchannel": "dropped", "frontchannel": "loaded"}, True, "loaded"),
        ({"backchannel": "dead", "frontchannel": "pending"}, False, "pending"),
        ({"frontchannel": "loaded"}, False, "loaded"),
        ({"frontchannel": "dead"}, False, "dead"),
    ],
)
def test_a_green_row_means_signed_out(channels, overdue, state):
    assert row_state(channels, overdue=overdue) == state


AT = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)


def token(**changes):
    arguments = {"issuer": ISSUER, "client_id": "app", "sub": "auth0|1", "sid": "s-1", "include_sub": True, "at": AT}
    return logout_token.claims(**{**arguments, **changes})


@pytest.mark.spec("backchannel", "B4", "The claims of a logout token")
@pytest.mark.spec("backchannel", "B8", "It lives for two minutes")
def test_a_logout_token_has_the_required_claims_and_no_nonce():
    claims = token()
    assert {"iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"} <= set(claims)
    assert (claims["iss"], claims["aud"], claims["sub"], claims["sid"]) == (ISSUER, "app", "auth0|1", "s-1")
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims["exp"] - claims["iat"] == 120
    assert claims["iat"] <= AT.timestamp()
    assert "nonce" not in claims


@pytest.mark.spec("backchannel", "B5", "Without sid it means every session of the person, and names them")
def test_sub_is_there_when_wanted_and_always_without_a_sid():
    assert "sub" not in token(include_sub=False)
    claims = token(include_sub=False, sid="")
    assert claims["sub"] == "auth0|1"
    assert "sid" not in claims


def test_each_attempt_has_its_own_jti():
    assert token()["jti"] != token()["jti"]
