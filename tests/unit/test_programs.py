"""The short way of endpoints for programs past the middleware of pages."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver, include, path, re_path

from idp.http import middleware
from idp.http.middleware import ProgramsMiddleware, for_programs
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
PATHS = {
    "openid_configuration": "/.well-known/openid-configuration",
    "oauth_authorization_server": "/.well-known/oauth-authorization-server",
    "jwks": "/.well-known/jwks.json",
    "asset_links": "/.well-known/assetlinks.json",
    "apple_app_site_association": "/.well-known/apple-app-site-association",
    "csp_reports": "/csp-reports",
    "theme": "/theme.css",
    "token": "/oauth/token",
    "revoke": "/oauth/revoke",
    "introspect": "/oauth/introspect",
    "device_code": "/oauth/device/code",
    "pushed_request": "/oauth/par",
    "protected_resource": "/.well-known/oauth-protected-resource/userinfo",
    "userinfo": "/userinfo",
    "register": "/oidc/register",
    "livez": "/livez",
    "readyz": "/readyz",
    "metrics": "/metrics",
    "register_manage": "/oidc/register/somebody",
    "saml_metadata": "/samlp/Acme/metadata",
    "saml_idp_metadata": "/samlp/metadata/somebody",
    "wsfed_metadata": "/wsfed/somebody/FederationMetadata/2007-06/FederationMetadata.xml",
    "brand_image": f"/branding/{'a' * 64}.png",
    "backchannel_logout": "/backchannel-logout/Acme",
    "global_token_revocation_by_issuer": "/oauth/global-token-revocation",
    "global_token_revocation": "/oauth/global-token-revocation/connection/Acme",
    "shared_signals": "/ssf/Acme/events",
    "ssf_configuration": "/.well-known/ssf-configuration",
    "risc_configuration": "/.well-known/risc-configuration",
    "ssf_streams": "/ssf/streams",
    "ssf_status": "/ssf/status",
    "ssf_add_subject": "/ssf/subjects/add",
    "ssf_remove_subject": "/ssf/subjects/remove",
    "ssf_verify": "/ssf/verify",
    "ssf_poll": "/ssf/poll/something",
    "scim": "/scim/v2/connections/Acme",
    "scim_of": "/scim/v2/connections/Acme/Users",
    "exported_people": "/exports/something",
    "api_users": "/api/v2/users",
    "api_sessions__str_sid_": "/api/v2/sessions/somebody",
}
CACHED = ("no-store", "no-cache", "public, max-age=600")


def test_no_page_is_among_them():
    marked = {pattern.name for pattern in _patterns() if hasattr(pattern.callback, "for_programs")}
    assert {name for name in marked if not name.startswith("api_") or name in PATHS} == PATHS.keys()


@pytest.mark.parametrize("name", PATHS)
def test_each_of_them_goes_the_short_way_whether_its_path_has_parameters_or_not(name):
    view, parameters = middleware._program(PATHS[name])
    assert view is next(pattern.callback for pattern in _patterns() if pattern.name == name)
    assert view is get_resolver().resolve(PATHS[name]).func
    assert parameters == get_resolver().resolve(PATHS[name]).kwargs


@pytest.mark.parametrize(
    "elsewhere",
    ["/", "/login", "/samlp/Acme/slo", "/samlp/Acme/nothing", "/backchannel-logout/", "/oauth/token/", "/oauth/tokens"],
)
def test_a_page_beside_them_goes_the_long_way(elsewhere):
    assert middleware._program(elsewhere) is None


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_none_of_them_looks_at_a_cookie(monkeypatch, method, path):
    def looked_at(_):
        raise AssertionError("a cookie was looked at")

    client = browser(make_session(make_user()))
    monkeypatch.setattr(WSGIRequest, "COOKIES", property(looked_at))
    response = client.generic(method, path, "{}", content_type="application/json")
    assert response.status_code < 500
    assert "Cookie" not in response.headers.get("Vary", "")
    assert not response.cookies


def test_a_path_with_a_parameter_asks_the_database_for_its_own_rows_only(django_assert_num_queries):
    client = browser(make_session(make_user()))
    client.post("/backchannel-logout/Nobody")  # the configuration is read
    with django_assert_num_queries(2):  # whether that is still the newest, and whether the connection is new
        response = client.post("/backchannel-logout/Nobody")
    assert response.status_code == 404


@pytest.mark.parametrize("path", PATHS.values())
def test_their_answers_have_the_headers_of_every_answer(path):
    answer = Client().get(path)
    headers = answer.headers
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] in CACHED
    assert int(headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", sorted(set(PATHS.values()) - middleware.PROBES))
def test_a_host_that_is_not_ours_is_refused(path):
    assert Client(headers={"host": "evil.example"}).get(path).status_code == 400


def test_a_cookie_that_travels_along_is_not_looked_at(django_assert_num_queries):
    client = browser(make_session(make_user()))
    with django_assert_num_queries(0):
        response = client.post("/oauth/token", {"grant_type": "x"}, content_type="text/plain")
    assert response.status_code == 415
    assert "Cookie" not in response.headers["Vary"]


def test_an_error_of_theirs_is_answered_as_everywhere(monkeypatch):
    monkeypatch.setattr("sessions_app.views.oauth.token.body_params", lambda _: 1 / 0)
    response = Client(raise_request_exception=False).post("/oauth/token")
    assert response.status_code == 500
    assert response.json()["error"] == "server_error"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_one_inside_of_other_paths_goes_the_short_way_too(settings):
    settings.ROOT_URLCONF = (path("api/<slug:version>/", include([path("users/<str:user>", _view)])),)
    answer = ProgramsMiddleware(_page)(RequestFactory().get("/api/v2/users/mary"))
    assert answer.content == b"v2 mary"
    assert ProgramsMiddleware(_page)(RequestFactory().get("/api/v2/users")).content == b"page"


def test_one_behind_a_regular_expression_is_a_mistake_that_is_said(settings):
    settings.ROOT_URLCONF = (re_path(r"^api/(?P<version>v\d)/(?P<user>.+)$", _view),)
    with pytest.raises(ImproperlyConfigured, match="_view is for programs"):
        ProgramsMiddleware(_page)(RequestFactory().get("/api/v2/mary"))


@for_programs
def _view(request, version, user):
    return HttpResponse(f"{version} {user}")


def _page(request):
    return HttpResponse("page")


def _patterns(resolver=None):
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLPattern):
            yield entry
        else:
            yield from _patterns(entry)
