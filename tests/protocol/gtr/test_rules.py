"""The rules of a revocation request, without a network: its token and its body."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from idp.protocol.errors import InvalidRequest, InvalidToken
from idp.protocol.jwt_profile import Unverified
from logout_app.protocol import gtr
from logout_app.protocol.gtr import ExpectedRequest, Forbidden, Subject
from tests.support.upstreams.scripted_oidc import ABSENT, encode

pytestmark = pytest.mark.once

DRAFT = "draft-parecki-oauth-global-token-revocation"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
ENDPOINT = "https://id.example.com/oauth/global-token-revocation/connection/acme"
EXPECTED = ExpectedRequest("https://acme.okta.example", "0oa1", ENDPOINT)


def token(**changes):
    claims = {
        "jti": "one",
        "iss": EXPECTED.issuer,
        "sub": EXPECTED.subject,
        "aud": ENDPOINT,
        "iat": AT,
        "nbf": AT - 300,
        "exp": AT + 300,
    }
    kept = {name: value for name, value in (claims | changes).items() if value is not ABSENT}
    return Unverified("RS256", None, kept)


def parse(header, payload):
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return gtr.read_token(".".join([*map(encode, parts), "c2ln"]))


@pytest.mark.spec(DRAFT, "Okta's profile", "Okta's own shape is accepted")
def test_what_okta_sends_is_accepted():
    proof = gtr.check(token(), EXPECTED, NOW)
    assert proof.jti == "one"
    assert (proof.expires_at - NOW).total_seconds() == 360


@pytest.mark.spec(DRAFT, "Okta's profile", "nbf 5 min back and exp 5 min ahead; a life of more than 10 min is refused")
@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": AT - 300},
        {"nbf": ABSENT},
        {"nbf": AT + 30},
        {"iat": AT + 30, "nbf": AT},
        {"iat": AT - 590, "exp": AT + 5},
        {"exp": AT - 30, "iat": AT - 300},
        {"exp": AT + 300.5},
        {"aud": [ENDPOINT]},
    ],
)
def test_times_within_the_leeway_and_one_audience_in_a_list(changes):
    assert gtr.check(token(**changes), EXPECTED, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ABSENT},
        {"exp": AT - 120},
        {"exp": AT - 60, "iat": AT - 300},
        {"iat": ABSENT},
        {"iat": AT - 3600, "exp": AT + 60},
        {"iat": AT + 3600, "exp": AT + 3700},
        {"nbf": AT + 3600},
        {"exp": AT + 900},
        {"exp": AT - 10, "iat": AT},
        {"exp": str(AT + 300)},
        {"exp": True},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"nbf": None},
        {"jti": ABSENT},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
        {"jti": "a\nb"},
        {"iss": "https://acme.okta.example/"},
        {"iss": ABSENT},
        {"iss": ["https://acme.okta.example"]},
        {"aud": ABSENT},
        {"aud": f"{ENDPOINT}/"},
        {"aud": f"{ENDPOINT}?x=1"},
        {"aud": f"{ENDPOINT}#f"},
        {"aud": ENDPOINT.replace("id.example", "ID.EXAMPLE")},
        {"aud": ENDPOINT.replace("https:", "HTTPS:")},
        {"aud": ENDPOINT.replace("https:", "http:")},
        {"aud": ENDPOINT[:-1]},
        {"aud": ["https://evil.example", ENDPOINT]},
        {"aud": [ENDPOINT, ENDPOINT]},
        {"aud": []},
        {"aud": {"x": ENDPOINT}},
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(changes):
    with pytest.raises(InvalidToken) as error:
        gtr.check(token(**changes), EXPECTED, NOW)
    assert error.value.status == 401
    assert error.value.detail


def test_the_sub_of_another_application_is_forbidden():
    gtr.check_subject(token(), EXPECTED)
    for sub in ("0oa2", "0OA1", ABSENT, ["0oa1"]):
        with pytest.raises(Forbidden) as error:
            gtr.check_subject(token(sub=sub), EXPECTED)
        assert error.value.status == 403


@pytest.mark.spec(DRAFT, "Okta's profile", "a token of another type is no revocation request")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256"},
        {"alg": "RS256", "typ": "JWT"},
        {"alg": "RS256", "typ": "logout+jwt"},
        {"alg": "RS256", "typ": "at+jwt"},
        {"alg": "RS256", "typ": 7},
        {"alg": "none", "typ": gtr.TYP},
        {"alg": "HS256", "typ": gtr.TYP},
        {"alg": "RS1", "typ": gtr.TYP},
        {"alg": ["RS256"], "typ": gtr.TYP},
        {"typ": gtr.TYP},
        {"alg": "RS256", "typ": gtr.TYP, "crit": ["zz"], "zz": 1},
        {"alg": "RS256", "typ": gtr.TYP, "crit": ["b64"], "b64": False},
        {"alg": "RS256", "typ": gtr.TYP, "b64": False},
        {"alg": "RS256", "typ": gtr.TYP, "zip": "DEF"},
        {"alg": "RS256", "typ": gtr.TYP, "kid": 7},
        {"alg": "RS256", "typ": gtr.TYP, "kid": "a\u0000b"},
        b'{"alg":"none","alg":"RS256","typ":"global-token-revocation+jwt"}',
        b'["RS256"]',
        b"not json",
        b"\xff\xfe",
    ],
)
def test_a_header_that_is_not_that_of_a_revocation_request_is_refused(header):
    with pytest.raises(InvalidToken):
        parse(header, {"iss": "x"})


def test_the_type_may_be_spelt_as_a_media_type():
    assert parse({"alg": "RS256", "typ": "application/Global-Token-Revocation+JWT"}, {}).algorithm == "RS256"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"https://evil.example","iss":"https://acme.okta.example"}',
        b'{"exp":NaN}',
        b'{"exp":1e400}',
        b'{"exp":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"null",
        b'"text"',
        b"",
    ],
)
def test_a_payload_that_two_readers_could_understand_differently_is_refused_at_once(payload):
    began = time.process_time()
    with pytest.raises(InvalidToken):
        parse({"alg": "RS256", "typ": gtr.TYP}, payload)
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer a b",
        "Bearer a.b.c,Bearer a.b.c",
        "Bearer a.b.c.d.e",
        "Bearer a.b",
        "Bearer a.b.",
        "Bearer a.b.c\n",
        "Bearer ä.b.c",
        "Bearer " + "a" * 9000 + ".b.c",
    ],
)
def test_only_one_compact_token_in_the_header_is_taken(header):
    with pytest.raises(InvalidToken):
        gtr.bearer(header)


def test_the_scheme_is_not_case_sensitive():
    assert gtr.bearer("bearer a.b.c") == "a.b.c"


def body(value):
    return gtr.read_body(value if isinstance(value, bytes) else json.dumps(value).encode())


ISS_SUB = {"format": "iss_sub", "iss": "https://acme.okta.example", "sub": "u1"}
OTHER = {**ISS_SUB, "sub": "u2"}


@pytest.mark.spec("RFC 9493", "3", "The formats iss_sub, email, opaque and aliases")
@pytest.mark.parametrize(
    ("value", "subjects"),
    [
        ({"sub_id": ISS_SUB}, [Subject("iss_sub", ("https://acme.okta.example", "u1"))]),
        ({"sub_id": {"format": "email", "email": "ann@acme.example"}}, [Subject("email", ("ann@acme.example",))]),
        ({"sub_id": {"format": "opaque", "id": "okta|acme|u1"}}, [Subject("opaque", ("okta|acme|u1",))]),
        ({"subject": ISS_SUB}, [Subject("iss_sub", ("https://acme.okta.example", "u1"))]),
        ({"sub_id": ISS_SUB, "subject": ISS_SUB}, [Subject("iss_sub", ("https://acme.okta.example", "u1"))]),
        ({"sub_id": ISS_SUB, "reason": {"en": "risk"}}, [Subject("iss_sub", ("https://acme.okta.example", "u1"))]),
        (
            {"sub_id": {"format": "aliases", "identifiers": [ISS_SUB, {"format": "email", "email": "a@b.example"}]}},
            [Subject("iss_sub", ("https://acme.okta.example", "u1")), Subject("email", ("a@b.example",))],
        ),
    ],
)
def test_a_body_says_whom_it_is_about(value, subjects):
    """Members beside the subject are tolerated, and the older name of it is known."""
    assert list(body(value)) == subjects


@pytest.mark.spec("RFC 9493", "3", "exactly the members of its format, none null or empty")
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"NaN",
        b"{",
        b"\xff",
        {},
        {"sub_id": []},
        {"sub_id": None},
        {"sub_id": "u1"},
        {"sub_id": {}},
        {"sub_id": {"iss": "i", "sub": "s"}},
        {"sub_id": {**ISS_SUB, "format": 7}},
        {"sub_id": {**ISS_SUB, "format": "ISS_SUB"}},
        {"sub_id": {"format": "did", "url": "did:example:1"}},
        {"sub_id": {"format": "phone_number", "phone_number": "+12065550100"}},
        {"sub_id": {"format": "account", "uri": "acct:ann@acme.example"}},
        {"sub_id": {"format": "uid", "id": "u1"}},
        {"sub_id": {"format": "iss_sub", "iss": "i"}},
        {"sub_id": {**ISS_SUB, "extra": 1}},
        {"sub_id": {**ISS_SUB, "sub": None}},
        {"sub_id": {**ISS_SUB, "sub": ""}},
        {"sub_id": {**ISS_SUB, "sub": ["u1"]}},
        {"sub_id": {**ISS_SUB, "sub": "a\0b"}},
        {"sub_id": {**ISS_SUB, "sub": "\ud800"}},
        {"sub_id": {**ISS_SUB, "sub": "x" * 10_000}},
        {"sub_id": {"format": "email", "email": "a" * 255}},
        {"sub_id": {"format": "aliases"}},
        {"sub_id": {"format": "aliases", "identifiers": []}},
        {"sub_id": {"format": "aliases", "identifiers": [ISS_SUB] * 1000}},
        {"sub_id": {"format": "aliases", "identifiers": [ISS_SUB], "extra": 1}},
        {"sub_id": {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [ISS_SUB]}]}},
        {"sub_id": {"format": "aliases", "identifiers": ["u1"]}},
        {"sub_id": ISS_SUB, "subject": OTHER},
        b'{"sub_id":%s,"sub_id":%s}' % (json.dumps(ISS_SUB).encode(), json.dumps(OTHER).encode()),
        b"[" * 16_000,
        b'{"sub_id":' * 1000 + b"1" + b"}" * 1000,
    ],
)
def test_a_body_that_does_not_say_whom_it_is_about_is_refused_at_once(value):
    began = time.process_time()
    with pytest.raises(InvalidRequest) as error:
        body(value)
    assert (error.value.status, error.value.error) == (400, "invalid_request")
    assert time.process_time() - began < 0.05
