"""A sign-in at an OpenID provider, from departure to account, and every answer that must not make one."""

from __future__ import annotations

import base64
import time

import pytest

from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.protocol.params import Params
from tests.protocol.connections_oidc.conftest import connect
from tests.protocol.connections_oidc.support import CALLBACK, depart, now, protocol, refusal, sign_in
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider


@pytest.mark.spec(
    "OpenID Connect Core 1.0", "3.1.2.1", "The authorization request asks for a code, for openid, with a nonce"
)
@pytest.mark.spec("RFC 7636", "4.3", "The authorization request carries an S256 challenge")
def test_the_browser_departs_with_everything_that_binds_the_answer_to_it(provider, connection):
    departure, asked = depart(connection)
    assert departure.url.startswith(f"{provider.issuer}/authorize?")
    assert asked["response_type"] == "code"
    assert asked["client_id"] == CLIENT
    assert asked["redirect_uri"] == CALLBACK
    assert asked["scope"] == "openid profile email"
    assert asked["state"] == "st-1"
    assert asked["nonce"] == departure.flow_data["nonce"]
    assert asked["code_challenge_method"] == "S256"
    assert departure.flow_data["verifier"] not in departure.url
    assert depart(connection)[1]["nonce"] != asked["nonce"]


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.7", "A good ID token signs somebody in")
def test_a_good_answer_is_an_account(provider, connection):
    account = sign_in(provider, connection)
    assert account.sub == "mary"
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", True)
    assert account.profile["name"] == "Mary"
    assert account.auth_time is None
    assert account.upstream["iss"] == provider.issuer


def test_the_code_is_exchanged_with_verifier_callback_and_secret(provider, connection):
    sign_in(provider, connection)
    form, headers = provider.forms[0], provider.headers[0]
    assert form["grant_type"] == "authorization_code"
    assert form["code"] == "c-1"
    assert form["redirect_uri"] == CALLBACK
    assert len(form["code_verifier"]) >= 43
    assert "client_secret" not in form
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"


def test_a_client_whose_name_has_odd_characters_is_encoded_before_basic(provider):
    sign_in_as = connect(provider, client_id="a:b c")
    provider.claims["aud"] = "a:b c"
    sign_in(provider, sign_in_as)
    sent = base64.b64decode(provider.headers[0]["Authorization"].removeprefix("Basic ")).decode()
    assert sent.startswith("a%3Ab+c:")


@pytest.mark.parametrize(
    ("options", "supported"),
    [
        ({"token_endpoint_auth_method": "client_secret_post"}, None),
        ({}, ["client_secret_post", "private_key_jwt"]),
    ],
)
def test_the_secret_travels_in_the_form_where_that_is_configured_or_the_only_way(provider, options, supported):
    if supported:
        provider.metadata["token_endpoint_auth_methods_supported"] = supported
    sign_in(provider, connect(provider, **options))
    assert provider.forms[0]["client_secret"] == SECRET
    assert "Authorization" not in provider.headers[0]


def test_a_public_client_sends_its_name_only(provider, connection):
    connection.sealed_options = {}
    sign_in(provider, connection)
    assert provider.forms[0]["client_id"] == CLIENT
    assert "client_secret" not in provider.forms[0]


def test_endpoints_that_are_configured_win_over_discovered_ones(provider):
    connection = connect(provider, authorization_endpoint="https://login.example.com/go?tenant=7")
    departure, asked = depart(connection)
    assert departure.url.startswith("https://login.example.com/go?tenant=7&")
    assert asked["tenant"] == "7"


def test_a_connection_by_hand_needs_no_discovery(provider):
    by_hand = {
        name: provider.metadata[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    }
    connection = connect(provider, **by_hand)
    assert sign_in(provider, connection).sub == "mary"
    assert provider.hits["/.well-known/openid-configuration"] == 0


def test_wishes_are_passed_on(provider, connection):
    asked = depart(
        connection, login_hint="mary@x.example", max_age=600, ui_locales="de", acr_values="urn:a", select_account=True
    )[1]
    assert asked["login_hint"] == "mary@x.example"
    assert asked["max_age"] == "600"
    assert asked["ui_locales"] == "de"
    assert asked["acr_values"] == "urn:a"
    assert asked["prompt"] == "select_account"


def test_who_must_prove_anew_is_asked_in_a_way_that_can_be_checked(provider, connection):
    asked = depart(connection, force=True, max_age=600)[1]
    assert asked["prompt"] == "login"
    assert asked["max_age"] == "0"


def test_google_is_asked_for_what_it_knows(provider):
    asked = depart(connect(provider, "google-oauth2"), force=True, max_age=600)[1]
    assert asked["prompt"] == "select_account"
    assert "max_age" not in asked


def test_upstream_params_are_sent_and_give_way_to_wishes(provider):
    rules = {"hd": {"value": "fabrikamcorp.com"}, "username": {"alias": "login_hint"}, "prompt": {"value": "consent"}}
    connection = connect(provider, upstream_params=rules)
    asked = depart(connection, login_hint="mary")[1]
    assert asked["hd"] == "fabrikamcorp.com"
    assert asked["username"] == "mary"
    assert asked["prompt"] == "consent"
    assert depart(connection, force=True)[1]["prompt"] == "login"


def test_a_reserved_upstream_parameter_changes_nothing(provider):
    connection = connect(
        provider, upstream_params={"redirect_uri": {"value": "https://evil.example"}, "nonce": {"value": "n"}}
    )
    departure, asked = depart(connection)
    assert asked["redirect_uri"] == CALLBACK
    assert asked["nonce"] == departure.flow_data["nonce"]


@pytest.mark.spec("RFC 9207", "2.4", "An iss that is not the issuer's, or missing where it is promised, is refused")
@pytest.mark.parametrize("refused", [False, True])
def test_the_answer_of_another_provider_is_recognised_before_its_code_is_used(provider, connection, refused):
    """Mix-up; also for answers that say no."""
    answer = {"error": "access_denied"} if refused else {"code": "c-1"}
    assert "from another issuer" in refusal(provider, connection, {**answer, "iss": "https://evil.example"})
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    assert provider.forms == []


@pytest.mark.spec("RFC 9207", "2.4", "An iss that is not the issuer's, or missing where it is promised, is refused")
def test_a_provider_that_always_names_itself_must_do_so(provider, connection):
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    assert "does not say that it is from" in refusal(provider, connection, {"code": "c-1"})
    assert sign_in(provider, connection, {"code": "c-1", "iss": provider.issuer}).sub == "mary"


def test_a_no_reaches_the_person_in_the_words_of_the_upstream(provider, connection):
    answer = {"error": "access_denied", "error_description": "User is not assigned to this application."}
    with pytest.raises(UpstreamRefused) as caught:
        sign_in(provider, connection, answer)
    assert caught.value.sentence == "User is not assigned to this application."
    assert caught.value.error == "access_denied"


def test_an_endless_or_unprintable_no_is_made_readable(provider, connection):
    text = "No\r\n\u202e way <b>\0" + "x" * 5000
    with pytest.raises(UpstreamRefused) as caught:
        sign_in(provider, connection, {"error": "login_required", "error_description": text})
    assert caught.value.sentence.startswith("No way <b> xxx")
    assert len(caught.value.sentence) <= 200
    assert caught.value.sentence.isprintable()
    assert caught.value.error == "login_required"


@pytest.mark.parametrize("error", ["invalid_scope", "unauthorized_client", "server_error", "temporarily_unavailable"])
def test_what_is_not_the_persons_fault_is_for_the_administrator(provider, connection, error):
    assert error in refusal(provider, connection, {"error": error, "error_description": "The scope is unknown."})


@pytest.mark.parametrize("answer", [{}, {"state": "st-1"}, {"code": "x" * 5000}, {"id_token": "a.b.c"}])
def test_an_answer_without_a_code_is_none(provider, connection, answer):
    assert "neither a code nor an error" in refusal(provider, connection, answer)
    assert provider.forms == []


def test_a_repeated_parameter_is_refused(provider, connection):
    departure, _ = depart(connection)
    answer = Params([("code", "a"), ("code", "b")])
    with pytest.raises(UpstreamFault, match="repeats a parameter"):
        protocol.arrive(connection, departure.flow_data, answer, callback=CALLBACK, at=now())


def test_an_answer_that_nobody_asked_for_is_refused(connection):
    with pytest.raises(UpstreamFault, match="nobody had asked for"):
        protocol.arrive(connection, None, Params([("code", "a")]), callback=CALLBACK, at=now())


def test_a_connection_that_changed_its_issuer_meanwhile_believes_nobody(provider, connection):
    departure, _ = depart(connection)
    with ScriptedProvider() as other:
        connection.options = {**connection.options, "discovery_url": other.discovery_url}
        with pytest.raises(UpstreamFault, match="was changed while"):
            protocol.arrive(connection, departure.flow_data, Params([("code", "a")]), callback=CALLBACK, at=now())
        assert other.forms == []


TOKEN_ENDPOINT = {
    "wrong secret": (
        (401, {"error": "invalid_client", "error_description": "Bad secret"}),
        "check client_id, client_secret",
    ),
    "spent code": ((400, {"error": "invalid_grant"}), "the code was used before"),
    "odd error": ((400, {"error": ["x"], "error_description": {"a": 1}}), "refused us"),
    "list": ((200, [1]), "did not answer with tokens"),
    "odd lifetime": ((200, {"expires_in": "soon", "id_token": "x"}), "did not answer with tokens"),
    "odd lifetimes": ((200, {"expires_in": [1], "id_token": "x"}), "did not answer with tokens"),
    "nothing": ((200, {}), "gave no ID token"),
    "error page": ((502, {}), "answered HTTP 502"),
    "page": ((404, [1]), "answered HTTP 404"),
}


@pytest.mark.parametrize("name", TOKEN_ENDPOINT)
def test_a_token_endpoint_that_refuses_or_stammers_is_a_sentence(provider, connection, name):
    answer, sentence = TOKEN_ENDPOINT[name]
    provider.token_answer = lambda _: answer
    assert sentence in refusal(provider, connection)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 5000])
def test_a_token_endpoint_that_speaks_no_json_is_a_sentence(provider, connection, body):
    provider.bodies["/token"] = body
    assert "did not answer with tokens" in refusal(provider, connection)


def test_an_upstream_that_is_down_is_a_sentence(provider, connection):
    provider.stop()
    assert "The discovery document at" in refusal(provider, connection)
    assert "could not be reached" in refusal(provider, connection)


def test_an_upstream_that_goes_down_meanwhile_is_a_sentence(provider, connection):
    departure, _ = depart(connection)
    provider.stop()
    with pytest.raises(UpstreamFault, match=r"The token endpoint at .* could not be reached") as caught:
        protocol.arrive(connection, departure.flow_data, Params([("code", "a")]), callback=CALLBACK, at=now())
    assert caught.value.status == 502


@pytest.mark.once
def test_everything_that_is_slow_together_is_given_five_seconds(provider, connection, monkeypatch):
    """Two slow endpoints in a row: neither is too slow by itself."""
    provider.delays = {"/token": 3, "/jwks": 3}
    began = time.monotonic()
    reason = refusal(provider, connection)
    assert time.monotonic() - began < 5.5
    assert "The key set at" in reason
    assert "did not answer in time" in reason


DISCOVERY = {
    "another issuer": ({"issuer": "https://evil.example"}, "names the issuer https://evil.example"),
    "no issuer": ({"issuer": 7}, "names no issuer"),
    "no token endpoint": ({"token_endpoint": None}, "The token_endpoint of"),
    "a script": ({"authorization_endpoint": "javascript:alert(1)"}, "The authorization_endpoint of"),
    "cleartext": ({"token_endpoint": "http://token.example.com/"}, "http is allowed on loopback only"),
    "inside": ({"jwks_uri": "https://169.254.169.254/keys"}, "which is not a public address"),
    "credentials": ({"jwks_uri": "https://a:b@x.example/"}, "The jwks_uri of"),
    "odd userinfo": ({"userinfo_endpoint": {"a": 1}}, "The userinfo_endpoint of"),
}


@pytest.mark.spec(
    "OpenID Connect Discovery 1.0", "4.3", "The issuer of the document must be the one that it was asked for"
)
@pytest.mark.parametrize("name", DISCOVERY)
def test_a_discovery_document_that_leads_astray_is_not_followed(provider, connection, name):
    changes, sentence = DISCOVERY[name]
    provider.metadata.update(changes)
    assert sentence in refusal(provider, connection)


def test_an_issuer_with_a_last_slash_is_found_at_the_same_place(provider, connection):
    provider.metadata["issuer"] = provider.issuer = f"{provider.issuer}/"
    assert sign_in(provider, connection).upstream["iss"].endswith("/")


def test_an_issuer_that_is_configured_must_be_met_exactly(provider):
    connection = connect(provider, issuer=f"{provider.issuer}/")
    assert "is expected" in refusal(provider, connection)
