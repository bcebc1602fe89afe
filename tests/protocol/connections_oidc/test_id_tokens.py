"""The ID token of a sign-in: what it must say and be signed with, and what is kept of it."""

from __future__ import annotations

import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from joserfc.jwk import OctKey

from idp.connections.contract import LogoutSubject
from idp.connections.oidc.flow import id_token_hint
from idp.connections.oidc.logout import OidcLogout
from idp.models import Connection
from tests.protocol.connections_oidc.conftest import connect
from tests.protocol.connections_oidc.support import gives, refusal, sign_in
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

THIEF = "https://evil.example/out"
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
    """Nonce wrong or absent, aud wrong."""
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


def test_the_id_token_is_kept_sealed_for_the_logout(provider, connection):
    account = sign_in(provider, connection)
    assert account.upstream["id_token"].startswith("v1.")
    there = f"{provider.issuer}/logout"
    assert id_token_hint(connection, account.upstream, there).count(".") == 2
    assert id_token_hint(connection, {}, there) == ""


def test_the_kept_id_token_goes_to_no_address_that_was_configured_since(provider, connection):
    account = sign_in(provider, connection)
    leaver = LogoutSubject("mary", "", "", account.upstream)
    for options in ({"logout": {"url": THIEF}}, {"oidc_metadata": {"end_session_endpoint": THIEF}}):
        changed = connect(provider, **options)
        departure = OidcLogout().begin_logout(
            changed, leaver, state="s", callback="https://id.example/", at=timezone.now()
        )
        assert departure.url.startswith(f"{THIEF}?client_id={CLIENT}&")
        assert "id_token_hint" not in departure.url
    own = connect(provider, logout={"url": THIEF})
    account = sign_in(provider, own)  # who signs in after it was configured is known there
    leaver = LogoutSubject("mary", "", "", account.upstream)
    departure = OidcLogout().begin_logout(own, leaver, state="s", callback="https://id.example/", at=timezone.now())
    assert "id_token_hint=" in departure.url


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
    assert sign_in(provider, connect(provider)).expires_at is None


@pytest.mark.parametrize("strategy", ["oidc", "okta"])
def test_a_sign_in_without_the_claim_fails_in_auth0s_words_where_the_connection_needs_it(provider, strategy):
    bounded = connect(provider, strategy, id_token_session_expiry_supported=True)
    said = "The upstream Identity Provider did not return a session_expiry claim"
    assert refusal(provider, bounded) == said


@pytest.mark.parametrize(
    ("said", "several"),
    [
        ({"amr": ["pwd", "mfa"]}, True),
        ({"amr": ["pwd", "otp"]}, True),
        ({"amr": ["hwk", "fpt"]}, True),
        ({"amr": ["pwd", "pin"]}, False),
        ({"amr": ["otp", "sms"]}, False),
        ({"amr": "mfa"}, False),
        ({"amr": [["mfa"], 2]}, False),
        ({"acr": "http://schemas.openid.net/pape/policies/2007/06/multi-factor"}, True),
        ({"acr": "2"}, False),
        ({"acr": ["2"]}, False),
        ({}, False),
    ],
)
def test_two_factors_upstream_count_where_the_connection_trusts_them(provider, said, several):
    gives(provider, lambda: provider.id_token(**said))
    assert sign_in(provider, connect(provider, trust_upstream_mfa=True)).has_proved_several is several
    assert sign_in(provider, connect(provider)).has_proved_several is False


@pytest.mark.parametrize("value", [1_900_000_000_000, "soon", True, 5, -1])
def test_a_session_expiry_that_is_no_time_after_the_token_is_refused(provider, value):
    gives(provider, lambda: provider.id_token(session_expiry=value))
    assert "session_expiry" in refusal(provider, connect(provider, id_token_session_expiry_supported=True))


def test_moments_are_aware_and_in_utc(provider, connection):
    gives(provider, lambda: provider.id_token(auth_time=time.time() - 1.5))
    found = sign_in(provider, connection).auth_time
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "write",
    [lambda m: str(int(m)), lambda m: datetime.fromtimestamp(m, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"],
)
def test_auth_time_may_be_text(provider, connection, write):
    """A date by ADFS (dexidp/dex pull request 2639), digits by others; it is checked as any."""
    moment = int(time.time()) - 30
    gives(provider, lambda: provider.id_token(auth_time=write(moment)))
    assert sign_in(provider, connection, max_age=60).auth_time == datetime.fromtimestamp(moment, UTC)
    assert "auth_time" in refusal_with(provider, connection, auth_time=write(time.time() + 3600))


@pytest.mark.parametrize(
    "said", ["", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "-5", "1e9", "\uff11\uff17\uff10\uff10"]
)
def test_text_that_is_no_moment_is_no_auth_time(provider, connection, said):
    assert "auth_time" in refusal_with(provider, connection, auth_time=said)


@pytest.mark.parametrize("name", ["exp", "iat", "auth_time"])
def test_a_time_with_more_digits_than_a_float_holds_is_no_time(provider, connection, name):
    assert "a number is too large" in refusal_with(provider, connection, **{name: 10**400})


def refusal_with(provider: ScriptedProvider, connection: Connection, **claims: Any) -> str:
    """With these claims in an ID token that is good otherwise."""
    gives(provider, lambda: provider.id_token(**claims))
    return refusal(provider, connection)
