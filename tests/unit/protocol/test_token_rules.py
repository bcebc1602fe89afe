"""Pure rules: PKCE, scopes, claims, parameters, the generations of a refresh token family."""

from datetime import UTC, datetime, timedelta

import pytest

from idp.protocol.errors import InvalidRequest, InvalidScope
from idp.protocol.params import from_json, from_urlencoded, printable
from sessions_app.models import RefreshTokenFamily
from sessions_app.oauth.refresh import Step, step
from sessions_app.protocol import claims, pkce, scopes
from sessions_app.protocol.authorization import ResponseMode, response_mode

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.spec("RFC 7636", "Appendix B", "The example verifies")
def test_the_example_of_rfc_7636():
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert pkce.verifies("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge)
    assert not pkce.verifies("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge)
    assert not pkce.verifies(challenge, challenge)
    assert not pkce.verifies("", challenge)
    assert not pkce.verifies("é" * 43, challenge)


@pytest.mark.spec("OpenID Connect Core 1.0", "A.3", "at_hash of the example")
def test_the_half_hash_of_openid_connect_core():
    assert claims.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


def test_a_refresh_never_widens():
    granted = ["openid", "read:things"]
    assert scopes.narrow([], granted, ["read:things", "write:things"]) == granted
    assert scopes.narrow(["openid"], granted, []) == ["openid"]
    assert scopes.narrow(["openid", "nonsense", "offline_access"], granted, []) == ["openid"]
    for wider in (["email"], ["openid", "write:things"]):
        with pytest.raises(InvalidScope):
            scopes.narrow(wider, granted, ["read:things", "write:things"])


def test_claims_follow_scopes_and_names():
    known = {"name": "Mary", "email": "m@x.example", "picture": "", "phone_number": None, "role": "admin"}
    assert claims.select(known, ["openid", "profile"]) == {"name": "Mary"}
    assert claims.select(known, ["openid"], ["email"]) == {"email": "m@x.example"}


def test_authentication_methods_have_their_registered_names():
    assert claims.methods([{"name": "password"}, {"name": "mfa"}, {"name": "password"}]) == ["pwd", "mfa"]
    assert claims.Authentication("s", "x", NOW, ["pwd", "otp"]).acr == "2"
    assert claims.Authentication("s", "x", NOW, ["pwd"]).acr == "1"


@pytest.mark.parametrize(
    ("generation", "newest", "seconds", "expected"),
    [
        (5, 5, 9999, Step.ROTATE),
        (4, 5, 0, Step.SIBLING),
        (4, 5, 30, Step.SIBLING),
        (4, 5, 31, Step.REUSE),
        (3, 5, 0, Step.REUSE),
        (0, 5, 0, Step.REUSE),
    ],
)
def test_what_presenting_a_generation_means(generation, newest, seconds, expected):
    family = RefreshTokenFamily(generation=newest, rotated_at=NOW, rotating=True)
    assert step(generation, family, 30, NOW + timedelta(seconds=seconds)) is expected


def test_parameters_come_once():
    params = from_urlencoded("a=1&b=&a=2&resource=x&resource=y")
    assert params.duplicates == ["a"]
    assert "b" not in params
    assert params.all("resource") == ["x", "y"]
    with pytest.raises(InvalidRequest):
        params.refuse_duplicates()
    assert from_json(b'{"a": "1", "n": null, "t": true, "i": 5}').pairs == [("a", "1"), ("t", "true"), ("i", "5")]
    assert printable('a"b\\c\nd\u00e9') == "a?b?c?d?"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("response_type=code", ResponseMode.QUERY),
        ("response_type=token", ResponseMode.FRAGMENT),
        ("response_type=id_token&response_mode=query", ResponseMode.FRAGMENT),
        ("response_type=code&response_mode=form_post", ResponseMode.FORM_POST),
        ("response_type=code&response_mode=nonsense", ResponseMode.QUERY),
    ],
)
def test_where_an_answer_goes(query, expected):
    assert response_mode(from_urlencoded(query)) is expected
