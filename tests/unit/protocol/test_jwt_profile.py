"""One checker for what others sign, and for what we signed ourselves: kinds of tokens are told apart, times are times."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from idp.applications.client_auth import CLIENT_ASSERTION
from idp.connections.oidc.id_token import ID_TOKEN as UPSTREAM_ID_TOKEN
from idp.connections.oidc.logout_token import EVENT, LOGOUT_TOKEN
from idp.crypto.own_tokens import ACCESS_TOKEN, ID_TOKEN
from idp.protocol.jwt_profile import Mismatch, Parties, Profile, check_claims, check_content, expiry, read_jwt
from logout_app.protocol.gtr import REVOCATION_REQUEST, TYP
from tests.support.upstreams.scripted_oidc import encode

AT = 1_800_000_000
NOW = datetime.fromtimestamp(AT, UTC)
PARTIES = Parties("https://issuer.example", ("us", "us by another name"))
ASYMMETRIC = ("RS256",)
KINDS = {
    "client assertion": CLIENT_ASSERTION,
    "upstream's ID token": replace(UPSTREAM_ID_TOKEN, algorithms=ASYMMETRIC),
    "logout token": replace(LOGOUT_TOKEN, algorithms=ASYMMETRIC),
    "revocation request": REVOCATION_REQUEST,
    "own ID token": ID_TOKEN,
    "own access token": ACCESS_TOKEN,
}
# What the real thing sends of each kind: header and the claims that tell it from the others.
REAL = {
    "client assertion": ({"typ": "JWT"}, {"jti": "a", "sub": "c", "iss": "c"}),
    "upstream's ID token": ({}, {"sub": "p", "nonce": "n", "iat": AT}),
    "logout token": ({"typ": "logout+jwt"}, {"sub": "p", "jti": "a", "iat": AT, "events": {EVENT: {}}}),
    "revocation request": ({"typ": TYP}, {"sub": "app", "jti": "a", "iat": AT}),
    "own ID token": ({"typ": "JWT"}, {"sub": "p", "nonce": "n", "iat": AT}),
    "own access token": ({"typ": "at+jwt"}, {"sub": "p", "client_id": "c", "scope": "openid", "jti": "a", "iat": AT}),
}


def jwt(header, claims, signature="c2ln"):
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    return ".".join([*map(encode, parts), signature])


def accepts(profile, header, claims):
    try:
        said = read_jwt(profile, jwt({"alg": "RS256", **header}, claims))
        check_content(profile, said.claims)
    except Mismatch:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_takes_what_is_really_sent(kind):
    header, claims = REAL[kind]
    assert accepts(KINDS[kind], header, claims)


@pytest.mark.spec("RFC 8725", "3.11", "Tokens of one kind are not taken for another")
@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ("logout token", "own ID token"),
        ("logout token", "revocation request"),
        ("logout token", "upstream's ID token"),
        ("logout token", "client assertion"),
        ("logout token", "own access token"),
        ("own access token", "own ID token"),
        ("own access token", "upstream's ID token"),
        ("own access token", "logout token"),
        ("own access token", "client assertion"),
        ("own ID token", "own access token"),
        ("own ID token", "revocation request"),
        ("own ID token", "logout token"),
        ("own ID token", "client assertion"),
        ("revocation request", "own ID token"),
        ("revocation request", "client assertion"),
        ("revocation request", "logout token"),
        ("client assertion", "own access token"),
        ("client assertion", "logout token"),
    ],
)
def test_a_token_of_one_kind_is_not_taken_for_another(sent, asked):
    header, claims = REAL[sent]
    assert not accepts(KINDS[asked], header, claims)


def test_a_logout_token_without_a_type_is_still_no_hint():
    _, claims = REAL["logout token"]
    assert not accepts(ID_TOKEN, {}, claims)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": ["RS256"]}, {"crit": ["exp"]}, {"b64": False}, {"kid": 7}]
)
def test_no_kind_takes_another_algorithm_or_extension(kind, header):
    good, claims = REAL[kind]
    assert not accepts(KINDS[kind], {**good, **header}, claims)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d.e", "é.b.c", "a b.c.d", None, 7, "e30=.e30.c2ln", "x" * 100_000])
def test_what_is_no_compact_jwt_is_refused_in_words(token):
    with pytest.raises(Mismatch, match="is not a signed JWT"):
        read_jwt(CLIENT_ASSERTION, token)


WHEN = Profile(types=frozenset({"jwt"}), algorithms=ASYMMETRIC, times=("exp", "iat"), leeway=60, lifetime=600)


def when(profile=WHEN, **times):
    check_claims(profile, {"iss": PARTIES.issuer, "aud": "us", **times}, PARTIES, NOW)


@pytest.mark.parametrize(
    "times",
    [
        {"iat": AT, "exp": AT + 600},
        {"iat": AT + 60, "exp": AT + 61},
        {"iat": AT - 100, "exp": AT - 59},
        {"iat": AT, "exp": AT + 1.5, "nbf": AT + 60},
    ],
)
def test_two_clocks_may_differ_by_the_leeway(times):
    when(**times)


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ({"iat": AT}, "no times"),
        ({"exp": AT + 1}, "no times"),
        ({"iat": AT, "exp": str(AT + 1)}, "no times"),
        ({"iat": AT, "exp": True}, "no times"),
        ({"iat": AT, "exp": AT + 1, "nbf": None}, "no times"),
        ({"iat": AT * 1000, "exp": AT * 1000 + 1}, "no times"),
        ({"iat": AT, "exp": 10**400}, "no times"),
        ({"iat": AT + 61, "exp": AT + 100}, "future"),
        ({"iat": AT, "exp": AT + 1, "nbf": AT + 61}, "future"),
        ({"iat": AT - 100, "exp": AT - 60}, "expired"),
        ({"iat": AT, "exp": AT - 1}, "before it was issued"),
        ({"iat": AT, "exp": AT + 601}, "longer than 600"),
    ],
)
def test_times_that_are_wrong_are_refused_in_words(times, says):
    with pytest.raises(Mismatch, match=says):
        when(**times)


def test_without_an_issue_time_the_lifetime_counts_from_now():
    profile = replace(WHEN, times=("exp",))
    when(profile, exp=AT + 660)
    with pytest.raises(Mismatch, match="longer than 600"):
        when(profile, exp=AT + 661)


def test_the_greatest_age_counts_whatever_the_expiry_says():
    profile = replace(WHEN, times=("iat",), lifetime=None, oldest=600)
    when(profile, iat=AT - 659)
    for times in ({"iat": AT - 660}, {"iat": AT - 660, "exp": AT + 999}, {"iat": AT, "exp": AT - 60}):
        with pytest.raises(Mismatch, match="expired"):
            when(profile, **times)
    assert expiry(profile, {"iat": AT}).timestamp() == AT + 660
    assert expiry(profile, {"iat": AT, "exp": AT + 5}).timestamp() == AT + 65


@pytest.mark.parametrize("audience", ["us", ["us"], ["others", "us by another name"]])
def test_one_of_our_names_must_be_in_the_audience(audience):
    check_claims(replace(WHEN, times=()), {"iss": PARTIES.issuer, "aud": audience}, PARTIES, NOW)


@pytest.mark.parametrize("audience", [None, "", "them", [], ["them"], {"us": 1}, ["us", 7], 7])
def test_another_audience_is_refused(audience):
    with pytest.raises(Mismatch, match="somebody else"):
        check_claims(replace(WHEN, times=()), {"iss": PARTIES.issuer, "aud": audience}, PARTIES, NOW)


def test_a_profile_may_want_to_be_the_only_one_named():
    with pytest.raises(Mismatch, match="somebody else"):
        when(replace(WHEN, lone_audience=True, times=()), aud=["us", "them"])
