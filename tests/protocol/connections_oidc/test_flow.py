"""A sign-in at an OpenID provider, from departure to account, and every answer that must not make one."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc.jwk import OctKey

from idp.connections.oidc.flow import OidcProtocol, id_token_hint
from idp.connections.upstream import Account, UpstreamFault, UpstreamRefused, Wishes
from idp.models import Connection
from idp.protocol.params import Params
from tests.protocol.connections_oidc.conftest import connect
from tests.support.upstreams.scripted_oidc import (
    ABSENT,
    CLIENT,
    SECRET,
    ScriptedProvider,
    at_hash,
    ec_key,
    encode,
    rsa_key,
    sign,
    unsigned,
)

CALLBACK = "https://id.example.com/login/callback"
protocol = OidcProtocol()


def now() -> datetime:
    return datetime.now(UTC)


def depart(connection: Connection, **wishes: Any):
    """The departure, and the parameters that the upstream's authorization endpoint gets."""
    departure = protocol.depart(connection, Wishes(**wishes), state="st-1", callback=CALLBACK, at=now())
    return departure, dict(parse_qsl(urlsplit(departure.url).query))


def sign_in(
    provider: ScriptedProvider, connection: Connection, answer: dict[str, str] | None = None, **wishes: Any
) -> Account:
    departure, asked = depart(connection, **wishes)
    provider.nonce = asked["nonce"]
    kept = json.loads(json.dumps(dict(departure.kept)))
    pairs = {"code": "c-1", "state": "st-1"} if answer is None else answer
    return protocol.arrive(connection, kept, Params(pairs.items()), callback=CALLBACK, at=now())


def refusal(
    provider: ScriptedProvider, connection: Connection, answer: dict[str, str] | None = None, **wishes: Any
) -> str:
    """The sentence for the administrator."""
    with pytest.raises(UpstreamFault) as caught:
        sign_in(provider, connection, answer, **wishes)
    return caught.value.reason


def gives(provider: ScriptedProvider, token: Any, **more: Any) -> None:
    """The token endpoint answers with this ID token."""
    provider.token_answer = lambda _: (
        200,
        {"access_token": "at-1", "token_type": "Bearer", "id_token": token(), **more},
    )


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
    assert asked["nonce"] == departure.kept["nonce"]
    assert asked["code_challenge_method"] == "S256"
    assert departure.kept["verifier"] not in departure.url
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
    assert asked["nonce"] == departure.kept["nonce"]


FORGED = {
    "another issuer": ({"iss": "https://evil.example"}, "is from another issuer"),
    "no issuer": ({"iss": ABSENT}, "is from another issuer"),
    "issuer with a slash": ({"iss": "SLASH"}, "is from another issuer"),
    "another audience": ({"aud": "somebody-else"}, "aud is not our client_id"),
    "no audience": ({"aud": ABSENT}, "aud is not our client_id"),
    "audience of another type": ({"aud": {"curfew": 1}}, "aud is not our client_id"),
    "mixed audience": ({"aud": [CLIENT, 7]}, "aud is not our client_id"),
    "two audiences without azp": ({"aud": [CLIENT, "b"]}, "azp is not our client_id"),
    "azp of another": ({"azp": "somebody-else"}, "azp is not our client_id"),
    "no subject": ({"sub": ABSENT}, "names nobody"),
    "empty subject": ({"sub": ""}, "names nobody"),
    "subject of another type": ({"sub": 7}, "names nobody"),
    "endless subject": ({"sub": "x" * 256}, "names nobody"),
    "expired": ({"exp": time.time() - 120}, "expired"),
    "no expiry": ({"exp": ABSENT}, "no times in seconds"),
    "expiry as text": ({"exp": "9999999999"}, "no times in seconds"),
    "expiry in milliseconds": ({"exp": 1_900_000_000_000}, "no times in seconds"),
    "expiry true": ({"exp": True}, "no times in seconds"),
    "no issue time": ({"iat": ABSENT}, "no times in seconds"),
    "from the future": ({"iat": time.time() + 3600}, "is from the future"),
    "not valid yet": ({"nbf": time.time() + 3600}, "is from the future"),
    "another nonce": ({"nonce": "theirs"}, "its nonce is not ours"),
    "no nonce": ({"nonce": ABSENT}, "its nonce is not ours"),
    "nonce of another type": ({"nonce": ["x"]}, "its nonce is not ours"),
    "another access token": ({"at_hash": at_hash("another")}, "its at_hash does not fit"),
    "signed in tomorrow": ({"auth_time": time.time() + 86400}, "auth_time"),
    "auth_time as text": ({"auth_time": "yesterday"}, "auth_time"),
    "NUL in a name": ({"name": "Ma\0ry"}, "no claims that can be read"),
    "lone surrogate": ({"name": "Ma\ud800ry"}, "no claims that can be read"),
}


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.7", "Issuer, audience, azp, times, nonce and at_hash are checked")
@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_says_something_wrong_signs_nobody_in(provider, connection, name):
    """SES-016: nonce wrong or absent, aud wrong."""
    changes, sentence = FORGED[name]
    if changes.get("iss") == "SLASH":
        changes = {"iss": f"{provider.issuer}/"}
    gives(provider, lambda: provider.id_token(**changes))
    assert sentence in refusal(provider, connection)


def test_two_audiences_and_an_azp_that_is_ours_are_fine(provider, connection):
    gives(provider, lambda: provider.id_token(aud=[CLIENT, "b"], azp=CLIENT, at_hash=at_hash("at-1")))
    assert sign_in(provider, connection).sub == "mary"


def test_a_clock_that_is_a_little_off_hurts_nobody(provider, connection):
    gives(provider, lambda: provider.id_token(iat=time.time() + 40, exp=time.time() + 41))
    assert sign_in(provider, connection).sub == "mary"
    gives(provider, lambda: provider.id_token(exp=time.time() - 40))
    assert sign_in(provider, connection).sub == "mary"


def claims_of(provider):
    return {
        "iss": provider.issuer,
        "aud": CLIENT,
        "sub": "eve",
        "nonce": provider.nonce,
        "iat": 1,
        "exp": time.time() + 60,
    }


def with_public_key_as_secret(provider):
    head, body = (encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "one"}, claims_of(provider)))
    pem = rsa_key("one").as_pem(private=False)
    return f"{head}.{body}.{encode(hmac.digest(pem, f'{head}.{body}'.encode(), 'sha256'))}"


def with_client_secret(provider):
    key = OctKey.import_key(SECRET)
    return sign(json.dumps(claims_of(provider)).encode(), key, alg="HS256", kid=ABSENT)


UNSIGNED = {
    "alg none": (lambda p: unsigned(claims_of(p)), "does not allow"),
    "alg None": (lambda p: unsigned(claims_of(p), alg="None"), "does not allow"),
    "no alg": (lambda p: p.id_token(header={"alg": "RS256"}).replace(".", "", 1), "is not a signed JWT"),
    "HMAC with our public key of theirs": (with_public_key_as_secret, "does not allow"),
    "HMAC with the client secret": (with_client_secret, "does not allow"),
    "algorithm that is not allowed": (lambda p: p.id_token(header={"alg": "RS512"}), "does not allow"),
    "somebody else's key": (lambda p: p.id_token(key=rsa_key("eve")), "not in the key set"),
    "somebody else's key under a known name": (
        lambda p: p.id_token(key=rsa_key("eve"), header={"kid": "one"}),
        "signature is wrong",
    ),
    "somebody else's key without a name": (
        lambda p: p.id_token(key=rsa_key("eve"), header={"kid": ABSENT}),
        "signature is wrong",
    ),
    "key inside the token": (
        lambda p: p.id_token(key=rsa_key("eve"), header={"jwk": rsa_key("eve").as_dict(private=False)}),
        "not in the key set",
    ),
    "key that the token links to": (
        lambda p: p.id_token(key=rsa_key("eve"), header={"jku": "https://evil.example/jwks"}),
        "not in the key set",
    ),
    "critical extension": (lambda p: p.id_token(header={"typ": "logout+jwt"}), "is of another type"),
    "access token": (lambda p: p.id_token(header={"typ": "at+jwt"}), "is of another type"),
    "altered": (lambda p: p.id_token()[:-6] + "AAAAAA", "signature is wrong"),
    "nothing": (lambda _: None, "no ID token"),
    "number": (lambda _: 7, "no ID token"),
    "empty": (lambda _: "", "is missing"),
    "words": (lambda _: "a.b.c", "is not a signed JWT"),
    "one part": (lambda _: "e30", "is not a signed JWT"),
    "endless": (lambda p: p.id_token(name="x" * 70_000), "is missing, or is not a signed JWT of a size"),
}


@pytest.mark.spec(
    "OpenID Connect Core 1.0", "3.1.3.7", "Only a signature by the upstream's key and an allowed algorithm counts"
)
@pytest.mark.parametrize("name", UNSIGNED)
def test_a_token_without_a_good_signature_signs_nobody_in(provider, connection, name):
    make, sentence = UNSIGNED[name]
    gives(provider, lambda: make(provider))
    assert sentence in refusal(provider, connection)


def test_algorithms_can_be_chosen_but_only_public_ones(provider):
    provider.keys = [ec_key("e")]
    assert sign_in(provider, connect(provider, id_token_signed_response_algs=["ES256"])).sub == "mary"
    assert "does not allow" in refusal(provider, connect(provider))
    gives(provider, lambda: with_client_secret(provider))
    assert "does not allow" in refusal(provider, connect(provider, id_token_signed_response_algs=["HS256"]))


def test_a_token_without_kid_is_verified_by_whichever_key_fits(provider, connection):
    provider.keys = [rsa_key("two"), rsa_key("one")]
    gives(provider, lambda: provider.id_token(key=rsa_key("one"), header={"kid": ABSENT}))
    assert sign_in(provider, connection).sub == "mary"


def test_keys_that_rotate_are_followed(provider, connection):
    sign_in(provider, connection)
    provider.keys = [rsa_key("two")]
    assert sign_in(provider, connection).sub == "mary"


def test_keys_that_rotate_without_names_are_followed_too(provider, connection):
    gives(provider, lambda: provider.id_token(header={"kid": ABSENT}))
    sign_in(provider, connection)
    provider.keys = [rsa_key("two")]
    assert sign_in(provider, connection).sub == "mary"


@pytest.mark.spec("RFC 9207", "2.4", "An iss that is not the issuer's, or missing where it is promised, is refused")
@pytest.mark.parametrize("refused", [False, True])
def test_the_answer_of_another_provider_is_recognised_before_its_code_is_used(provider, connection, refused):
    """SES-016: mix-up; also for answers that say no."""
    answer = {"error": "access_denied"} if refused else {"code": "c-1"}
    assert "from another issuer" in refusal(provider, connection, {**answer, "iss": "https://evil.example"})
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    assert provider.forms == []


@pytest.mark.spec("RFC 9207", "2.4", "An iss that is not the issuer's, or missing where it is promised, is refused")
def test_a_provider_that_always_names_itself_must_do_so(provider, connection):
    """SES-016."""
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
        protocol.arrive(connection, departure.kept, answer, callback=CALLBACK, at=now())


def test_an_answer_that_nobody_asked_for_is_refused(connection):
    with pytest.raises(UpstreamFault, match="nobody had asked for"):
        protocol.arrive(connection, None, Params([("code", "a")]), callback=CALLBACK, at=now())


def test_a_connection_that_changed_its_issuer_meanwhile_believes_nobody(provider, connection):
    departure, _ = depart(connection)
    with ScriptedProvider() as other:
        connection.options = {**connection.options, "discovery_url": other.discovery_url}
        with pytest.raises(UpstreamFault, match="was changed while"):
            protocol.arrive(connection, departure.kept, Params([("code", "a")]), callback=CALLBACK, at=now())
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
        protocol.arrive(connection, departure.kept, Params([("code", "a")]), callback=CALLBACK, at=now())
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


def test_the_id_token_is_kept_sealed_for_the_logout(provider, connection):
    account = sign_in(provider, connection)
    assert account.upstream["id_token"].startswith("v1.")
    assert id_token_hint(connection, account.upstream).count(".") == 2
    assert id_token_hint(connection, {}) == ""


def test_the_sessions_name_upstream_is_kept(provider, connection):
    gives(provider, lambda: provider.id_token(sid="s-7"))
    assert sign_in(provider, connection).upstream_sid == "s-7"
    gives(provider, lambda: provider.id_token(sid="s" * 300))
    assert sign_in(provider, connection).upstream_sid == ""


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.7", "auth_time is checked where max_age asks for it")
def test_the_upstream_says_when_the_person_proved_who_they_are(provider, connection):
    moment = int(time.time()) - 30
    gives(provider, lambda: provider.id_token(auth_time=moment))
    assert sign_in(provider, connection, max_age=60).auth_time == datetime.fromtimestamp(moment, UTC)


@pytest.mark.parametrize("wishes", [{"max_age": 60}, {"force": True}])
def test_an_upstream_that_was_asked_for_auth_time_must_give_it(provider, connection, wishes):
    assert "auth_time" in refusal(provider, connection, **wishes)
    assert sign_in(provider, connect(provider, "google-oauth2"), **wishes).auth_time is None


def test_the_session_upstream_bounds_ours_where_that_is_switched_on(provider):
    ends = int(time.time()) + 600
    gives(provider, lambda: provider.id_token(session_expiry=ends))
    assert sign_in(provider, connect(provider)).expires_at is None
    bounded = connect(provider, id_token_session_expiry_supported=True)
    assert sign_in(provider, bounded).expires_at == datetime.fromtimestamp(ends, UTC)
    provider.token_answer = provider._usual_answer
    assert sign_in(provider, bounded).expires_at is None


@pytest.mark.parametrize("value", [1_900_000_000_000, "soon", True, 5, -1])
def test_a_session_expiry_that_is_no_time_after_the_token_is_refused(provider, value):
    gives(provider, lambda: provider.id_token(session_expiry=value))
    assert "session_expiry" in refusal(provider, connect(provider, id_token_session_expiry_supported=True))


def test_moments_are_aware_and_in_utc(provider, connection):
    gives(provider, lambda: provider.id_token(auth_time=time.time() - 1.5))
    found = sign_in(provider, connection).auth_time
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["exp", "iat", "auth_time"])
def test_a_time_with_more_digits_than_a_float_holds_is_no_time(provider, connection, name):
    assert "time" in refusal_with(provider, connection, **{name: 10**400})


def refusal_with(provider: ScriptedProvider, connection: Connection, **claims: Any) -> str:
    """With these claims in an ID token that is good otherwise."""
    gives(provider, lambda: provider.id_token(**claims))
    return refusal(provider, connection)
