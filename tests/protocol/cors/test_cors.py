"""What scripts of other origins may ask and read: every public endpoint that browsers call, and with which headers."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from idp.http import cors
from idp.models import TenantSettings
from tests.support.factories import make_application

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ORIGIN = "https://spa.example"
TRACED = "authorization,baggage,content-type,sentry-trace,traceparent,tracestate,x-datadog-trace-id,x-requested-with"
# Read by anybody, or asked for by whoever is not registered yet.
PUBLIC = {
    "/.well-known/openid-configuration": "GET",
    "/.well-known/oauth-authorization-server": "GET",
    "/.well-known/jwks.json": "GET",
    "/.well-known/assetlinks.json": "GET",
    "/.well-known/apple-app-site-association": "GET",
    "/oidc/register": "POST",
    "/oidc/register/somebody": "DELETE",
}
REGISTERED = {
    "/oauth/token": "POST",
    "/oauth/revoke": "POST",
    "/oauth/introspect": "POST",
    "/oauth/device/code": "POST",
    "/userinfo": "GET",
}


@pytest.fixture(autouse=True)
def _registered():
    make_application("SPA", token_endpoint_auth_method="none", web_origins=[ORIGIN])
    TenantSettings.objects.update_or_create(pk=1, defaults={"dynamic_client_registration": True})


def preflight(path, *, method="POST", origin=ORIGIN, asked=TRACED):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return Client().options(path, headers=headers | ({"Access-Control-Request-Headers": asked} if asked else {}))


def allowed(response):
    return {name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")}


@pytest.mark.parametrize(("path", "method"), [*PUBLIC.items(), *REGISTERED.items()])
def test_a_preflight_is_allowed_every_header_that_it_asks_for(path, method):
    response = preflight(path, method=method)
    assert response.status_code == 204
    assert set(TRACED.split(",")) <= allowed(response)
    assert method in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Origin"] in (ORIGIN, "*")
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Access-Control-Request-Headers" in response.headers["Vary"]


@pytest.mark.parametrize(("path", "method"), PUBLIC.items())
def test_what_is_public_is_read_by_every_origin_errors_and_wrong_methods_too(path, method):
    assert (
        preflight(path, method=method, origin="https://anybody.example").headers["Access-Control-Allow-Origin"] == "*"
    )
    for sent in (method, "PATCH"):
        answer = Client().generic(
            sent, path, "{}", content_type="application/json", headers={"Origin": "https://a.example"}
        )
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert (answer.status_code == 405) is (sent == "PATCH")


@pytest.mark.parametrize("path", REGISTERED)
def test_an_origin_that_nobody_registered_is_allowed_nothing_whatever_it_asks_for(path):
    response = preflight(path, origin="https://evil.example")
    assert not [name for name in response.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/oauth/token", "/oidc/register"])
@pytest.mark.parametrize("asked", ["", "x" * 3000, "x-a\x01", "x-a;x-b", "x-ä", ","])
def test_a_list_of_headers_that_cannot_be_read_is_not_repeated(path, asked):
    response = preflight(path, asked=asked)
    assert allowed(response) == {name.lower() for name in cors.ALLOWED_HEADERS}


def test_a_page_that_registers_itself_reads_why_it_was_refused_and_its_registration():
    document = {"redirect_uris": ["https://new.example/callback"], "token_endpoint_auth_method": "none"}
    for body, status in (({}, 400), (document, 201)):
        answer = Client().post(
            "/oidc/register",
            json.dumps(body),
            content_type="application/json",
            headers={"Origin": "https://new.example"},
        )
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    answer = preflight("/oauth/token", origin="https://new.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://new.example"


def test_a_script_reads_when_to_come_again():
    answer = Client().post("/oauth/token", headers={"Origin": ORIGIN})
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
