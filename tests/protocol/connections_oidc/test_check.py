"""*Test connection*: what an administrator is told before anybody signs in."""

from __future__ import annotations

import pytest

from idp.connections.oidc import document_cache, keys
from idp.connections.oidc.check import check
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from tests.protocol.connections_oidc.conftest import connect
from tests.support.upstreams.scripted_oidc import WELL_KNOWN, ec_key, rsa_key


@pytest.fixture
def refusing(provider):
    """Its token endpoint knows us, and no code that was made up."""
    provider.token_answer = lambda _: (400, {"error": "invalid_grant"})
    return provider


def texts(connection, level):
    return [finding.text for finding in check(connection) if finding.level == level]


def test_a_good_connection_has_nothing_to_complain_about(refusing, connection):
    assert {finding.level for finding in check(connection)} == {"ok"}


def test_it_asks_the_server_not_the_cache(refusing, connection, monkeypatch):
    monkeypatch.setattr(document_cache, "COOL_DOWN", 1000.0)
    keys.signing_keys(connection, "one", "RS256")
    check(connection)
    check(connection)
    assert refusing.hits["/jwks"] == refusing.hits[WELL_KNOWN] == 3


def test_options_that_cannot_work_are_named_without_asking_anybody(provider):
    assert texts(connect(provider, client_id=""), "error") == [
        "client_id: is missing, it is what the upstream calls this connection"
    ]
    assert provider.hits.total() == 0


@pytest.mark.parametrize(
    ("answer", "level", "sentence"),
    [
        ((401, {"error": "invalid_client"}), "error", "check client_id, client_secret"),
        ((400, {"error": "unauthorized_client"}), "error", "may not use authorization codes"),
        ((400, {"error": "invalid_request", "error_description": "redirect_uri"}), "warning", "invalid_request"),
        ((200, {"access_token": "x"}), "warning", "an answer without an error"),
    ],
)
def test_what_the_token_endpoint_thinks_of_us_is_told(provider, connection, answer, level, sentence):
    provider.token_answer = lambda _: answer
    assert any(sentence in text for text in texts(connection, level))


def test_a_missing_secret_is_an_error(refusing):
    connection = connect(refusing, token_endpoint_auth_method="client_secret_post")
    connection.sealed_options = {}
    assert texts(connection, "error") == ["The connection has no client_secret, which client_secret_post needs."]


def test_a_secret_that_cannot_be_unsealed_is_an_error(refusing, connection):
    connection.sealed_options = {"client_secret": seal("x", secret_context("Other", "client_secret"))}
    assert any("cannot be read" in text for text in texts(connection, "error"))


def test_algorithms_that_do_not_meet_are_an_error(refusing, connection):
    refusing.metadata["id_token_signing_alg_values_supported"] = ["ES256", "HS256"]
    refusing.keys = [ec_key("e")]
    found = texts(connection, "error")
    assert "ID tokens are signed with ES256, HS256 there, but only RS256 is allowed here." in found
    assert "The key set has 1 key(s), but none for RS256." in found


def test_keys_are_counted(refusing, connection):
    refusing.keys = [rsa_key("one"), rsa_key("two"), ec_key("e")]
    assert "The key set has 2 key(s) for RS256." in texts(connection, "ok")


def test_a_clock_that_is_wrong_there_is_a_warning(refusing, connection):
    refusing.response_headers[WELL_KNOWN] = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert any("s behind ours" in text for text in texts(connection, "warning"))


def test_scopes_that_it_does_not_know_are_a_warning(refusing, connection):
    refusing.metadata["scopes_supported"] = ["openid", "email"]
    assert any("scope profile" in text for text in texts(connection, "warning"))


def test_a_provider_without_a_sign_out_address_is_a_warning(refusing, connection):
    del refusing.metadata["end_session_endpoint"]
    assert any("leaves people signed in there" in text for text in texts(connection, "warning"))


def test_a_connection_by_hand_is_tested_too(refusing):
    by_hand = {
        name: refusing.metadata[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    }
    found = check(connect(refusing, **by_hand))
    assert found[0].text == f"Configured by hand, without discovery, for the issuer {refusing.issuer}."
    assert [finding.text for finding in found if finding.level == "error"] == []


@pytest.mark.parametrize("path", [WELL_KNOWN, "/jwks", "/token"])
def test_what_is_broken_is_said_with_its_address(refusing, connection, path):
    refusing.statuses[path] = 503
    found = check(connection)
    assert found[-1].level == "error"
    assert f"{refusing.issuer}{path} answered HTTP 503" in found[-1].text
