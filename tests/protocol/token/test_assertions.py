"""private_key_jwt where it is strict: our issuer is the only audience, and RSA signs as PSS (FAPI 2.0 section 5.3.2.1)."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from django.http import HttpResponse

from idp.models import Application
from idp.tenants import configuration
from tests.support.dpop import new_key, signed
from tests.support.factories import make_application
from tests.support.oauth import issuer, post_form

pytestmark = pytest.mark.django_db
FAPI = "FAPI 2.0 Security Profile"
ALGORITHMS = ("ES256", "PS256", "EdDSA", "RS256")
KEYS = {algorithm: new_key(algorithm) for algorithm in ALGORITHMS}


@pytest.fixture
def app() -> Application:
    public = [{**key.as_dict(private=False), "kid": algorithm} for algorithm, key in KEYS.items()]
    return make_application(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": public}, strict_client_assertions=True
    )


def ask(app: Application, algorithm: str = "ES256", **claims: Any) -> HttpResponse:
    now = int(time.time())
    said = {"iss": app.client_id, "sub": app.client_id, "aud": issuer(), "jti": uuid.uuid4().hex, "exp": now + 60}
    said = {name: value for name, value in (said | claims).items() if value is not None}
    assertion = signed({"alg": algorithm, "kid": algorithm}, said, KEYS[algorithm], algorithm)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    body = {"client_assertion": assertion, "client_assertion_type": kind, "token": "x"}
    return post_form("/oauth/introspect", body)


@pytest.mark.spec(FAPI, "5.3.2.1", "The issuer as a string is the only audience of client assertions")
def test_the_issuer_is_the_only_audience(app: Application) -> None:
    assert ask(app).status_code == 200
    endpoint = f"{issuer()}oauth/token"
    for wrong in (endpoint, [issuer()], [issuer(), "https://other.example/"], issuer().rstrip("/"), "x", None):
        answer = ask(app, aud=wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), wrong


@pytest.mark.spec(
    "RFC 7523 (JWT Client Authentication)", "3", "An assertion whose end is unreasonably far away is refused"
)
@pytest.mark.parametrize(("seconds", "status"), [(3600, 200), (3700, 401)])
def test_an_assertion_lives_for_an_hour_at_most(app: Application, seconds: int, status: int) -> None:
    assert ask(app, exp=int(time.time()) + seconds).status_code == status


@pytest.mark.spec(FAPI, "5.4.1", "PS256, ES256 and EdDSA, not RS256")
def test_rsa_signs_as_pss_only(app: Application) -> None:
    assert {algorithm: ask(app, algorithm).status_code for algorithm in ALGORITHMS} == {
        "ES256": 200,
        "PS256": 200,
        "EdDSA": 200,
        "RS256": 401,
    }


def test_elsewhere_the_endpoints_are_audiences_too(app: Application) -> None:
    app.strict_client_assertions = False
    app.save()
    for audience in (issuer(), f"{issuer()}oauth/token", f"{issuer()}oauth/par", [issuer(), "https://other.example/"]):
        assert ask(app, aud=audience).status_code == 200
    assert ask(app, "RS256").status_code == 200


def test_the_profile_makes_every_application_strict(app: Application) -> None:
    app.strict_client_assertions = False
    app.save()
    tenant = configuration.load_tenant()
    tenant.profile = "ipsie"
    tenant.save()
    assert ask(app).status_code == 200
    assert ask(app, aud=f"{issuer()}oauth/token").status_code == 401
    assert ask(app, "RS256").status_code == 401
