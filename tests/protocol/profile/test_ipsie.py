"""The tenant's switches that hold for every application: PKCE, and the profile `ipsie` (docs/ipsie.md)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import Application, TenantSettings
from idp.tenants import apply as tenant_file
from idp.tenants import configuration
from idp.tenants.reader import TenantFileError
from sessions_app.models import SSOSession
from tests.protocol.token.test_algorithms import claims_of
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    exchange,
    header_of,
    refresh,
    request_params,
    tokens_for,
)
from tests.support.second_factors import proved_two

pytestmark = pytest.mark.django_db
SL1 = "IPSIE SL1 OpenID Connect Profile"
LEVELS = "IPSIE Levels"
WITHOUT = {"code_challenge": None, "code_challenge_method": None}


def switch(**columns: object) -> TenantSettings:
    tenant = configuration.load_tenant()
    for name, value in columns.items():
        setattr(tenant, name, value)
    tenant.save()
    return tenant


@pytest.fixture
def session(session: SSOSession) -> SSOSession:
    """The profile wants two factors of everybody."""
    return proved_two(session)


@pytest.fixture
def ipsie() -> TenantSettings:
    return switch(profile="ipsie", dynamic_client_registration=True)


@pytest.mark.spec(SL1, "OpenID Providers", "PKCE with S256 is required")
@pytest.mark.parametrize("columns", [{"require_pkce": True}, {"profile": "ipsie"}], ids=str)
def test_pkce_is_required_of_confidential_applications(
    app: Application, session: SSOSession, columns: dict[str, object]
) -> None:
    assert "code" in answer_of(authorize(session, app, **WITHOUT))
    switch(**columns)
    refused = answer_of(authorize(session, app, **WITHOUT))
    assert refused["error"] == "invalid_request"
    assert "PKCE" in refused["error_description"]
    assert "code" in answer_of(authorize(session, app))


@pytest.mark.spec("IPSIE Common Requirements", "Cryptography", "PS256, ES256 or EdDSA, not RS256")
def test_the_profile_signs_nothing_by_rs256(ipsie: TenantSettings, app: Application, session: SSOSession) -> None:
    assert header_of(tokens_for(session, app)["id_token"])["alg"] == "PS256"
    other = make_application("Elliptic", id_token_signed_response_alg="ES256")
    assert header_of(tokens_for(session, other)["id_token"])["alg"] == "ES256"


@pytest.mark.spec(SL1, "OpenID Providers", "No unauthenticated dynamic registration")
def test_the_profile_closes_registration(ipsie: TenantSettings) -> None:
    answer = Client().post("/oidc/register", json.dumps({}), content_type="application/json")
    assert answer.status_code == 404
    said = Client().get("/.well-known/openid-configuration").json()
    assert "registration_endpoint" not in said
    assert said["id_token_signing_alg_values_supported"] == ["PS256", "ES256", "EdDSA"]
    assert said["token_endpoint_auth_signing_alg_values_supported"] == ["PS256", "ES256", "EdDSA"]


@pytest.mark.spec(SL1, "OpenID Providers", "Authorization responses travel over TLS only")
def test_the_profile_answers_no_plain_http_but_native_applications_on_loopback(
    ipsie: TenantSettings, session: SSOSession
) -> None:
    web = make_application("Web", redirect_uris="http://localhost:3000/callback")
    page = browser(session).get("/authorize", request_params(web))
    assert page.status_code == 400
    native = make_application(
        "Native",
        redirect_uris="http://127.0.0.1/callback",
        app_type="native",
        token_endpoint_auth_method="none",
        client_secret="",
    )
    assert "code" in answer_of(authorize(session, native, redirect_uri="http://127.0.0.1:5000/callback"))


@pytest.mark.spec(SL1, "OpenID Providers", "ID tokens: aud as one string, acr as a string, amr, auth_time; nonce of 64")
def test_an_id_token_holds_what_the_profile_asks_for(
    ipsie: TenantSettings, app: Application, session: SSOSession
) -> None:
    body = exchange(app, code_for(session, app, nonce="n" * 64)).json()
    claims = claims_of(body["id_token"])
    assert claims["aud"] == app.client_id
    assert isinstance(claims["acr"], str)
    assert claims["amr"] == ["pwd", "mfa", "otp"]
    assert claims["auth_time"] == int(session.auth_time.timestamp())
    assert claims["nonce"] == "n" * 64


@pytest.mark.spec(SL1, "OpenID Providers", "ID tokens say session_expiry")
def test_the_end_of_the_session_is_said_to_every_application(ipsie: TenantSettings, session: SSOSession) -> None:
    app, end = make_application(session_expiry=False), int(session.expires_at.timestamp())
    tokens = tokens_for(session, app)
    assert claims_of(tokens["id_token"])["session_expiry"] == end
    assert claims_of(refresh(app, tokens["refresh_token"]).json()["id_token"])["session_expiry"] == end


@pytest.mark.spec(LEVELS, "SL1", "A second factor is enforced, and the class is said")
def test_nobody_gets_anywhere_with_one_factor(ipsie: TenantSettings, app: Application) -> None:
    one = make_session(make_user("bob@fabrikamcorp.com"))
    assert urlsplit(authorize(one, app).headers["Location"]).path == "/login/step-up"
    assert answer_of(authorize(one, app, prompt="none"))["error"] == "interaction_required"
    claims = claims_of(tokens_for(proved_two(one), app)["id_token"])
    assert (claims["acr"], "mfa" in claims["amr"]) == ("2", True)


def test_the_tenant_file_says_profile_and_switches(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    wanted = {"profile": "ipsie", "require_pkce": True, "require_pushed_authorization_requests": True}
    path.write_text(json.dumps({"tenant": wanted}))
    tenant_file.apply(path, at=timezone.now())
    stored = configuration.load_tenant()
    assert {name: getattr(stored, name) for name in wanted} == wanted
    path.write_text(json.dumps({"tenant": {"profile": "fapi"}}))
    with pytest.raises(TenantFileError, match="profile"):
        tenant_file.apply(path, at=timezone.now())
    path.write_text(json.dumps({"tenant": {"profile": ""}}))
    tenant_file.apply(path, at=timezone.now())
    assert configuration.load_tenant().profile == ""


def test_the_tenant_file_says_what_an_application_must_do(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    wanted = {
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "strict_client_assertions": True,
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://app.example/sector.json",
    }
    client = {"name": "Bank", "callbacks": ["https://a.example/cb", "https://b.example/cb"], **wanted}
    path.write_text(json.dumps({"clients": [client | {"jwt_configuration": {"alg": "EdDSA"}}]}))
    tenant_file.apply(path, at=timezone.now())
    row = Application.objects.get(name="Bank")
    assert {name: getattr(row, name) for name in wanted} == wanted
    assert row.id_token_signed_response_alg == "EdDSA"


@pytest.mark.spec("IPSIE Common Requirements", "Network", "No CORS at the authorization endpoint")
def test_no_script_reads_the_authorization_endpoint(session: SSOSession) -> None:
    app = make_application(web_origins=["https://page.example"], allowed_origins="https://page.example")
    client = browser(session)
    for answer in (
        client.get("/authorize", request_params(app), headers={"Origin": "https://page.example"}),
        client.options("/authorize", headers={"Origin": "https://page.example"}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
