"""The tenant's switches that hold for every application: PKCE, and the profile `ipsie` (docs/ipsie.md)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import Application, TenantSettings
from idp.tenants import apply as tenant_file
from idp.tenants import configuration
from idp.tenants.reader import TenantFileError
from sessions_app.models import SSOSession
from tests.support.factories import browser, make_application
from tests.support.oauth import answer_of, authorize, code_for, exchange, header_of, request_params, tokens_for

pytestmark = pytest.mark.django_db
SL1 = "IPSIE SL1 OpenID Connect Profile"
WITHOUT = {"code_challenge": None, "code_challenge_method": None}


def switch(**columns: object) -> TenantSettings:
    tenant = configuration.load_tenant()
    for name, value in columns.items():
        setattr(tenant, name, value)
    tenant.save()
    return tenant


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
    from tests.protocol.token.test_algorithms import claims_of

    body = exchange(app, code_for(session, app, nonce="n" * 64)).json()
    claims = claims_of(body["id_token"])
    assert claims["aud"] == app.client_id
    assert isinstance(claims["acr"], str)
    assert claims["amr"] == ["pwd"]
    assert claims["auth_time"] == int(session.auth_time.timestamp())
    assert claims["nonce"] == "n" * 64


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
