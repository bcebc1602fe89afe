"""Registering an application by its kind: what is asked, what it begins with, and the snippet that really works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.test import Client, RequestFactory
from django.urls import reverse

from idp.admin.snippets import snippets
from idp.applications import kinds
from idp.applications.kinds import KINDS, kind_of
from idp.crypto import keys
from idp.models import Application, ClientGrant, ResourceServer
from sessions_app.models import SessionEvent
from tests.protocol.admin.conftest import clerk_with
from tests.support.factories import make_application
from tests.support.stack import ROOT

pytestmark = pytest.mark.django_db
CALLBACK, HOME = "https://timesheet.example/callback", "https://timesheet.example/"
ANSWERS: dict[str, dict[str, str]] = {
    "web": {
        "redirect_uris": CALLBACK,
        "post_logout_redirect_uris": HOME,
        "backchannel_logout_uri": "https://timesheet.example/backchannel",
    },
    "saml": {"redirect_uris": "https://timesheet.example/acs", "entity_id": "https://timesheet.example/saml"},
    "spa": {"redirect_uris": CALLBACK, "post_logout_redirect_uris": HOME},
    "native": {"redirect_uris": "com.example.timesheet:/callback"},
    "machine": {},
    "device": {},
}


def wizard(kind: str) -> str:
    return f"{reverse('admin:idp_application_add')}?kind={kind}"


def register(admin: Client, kind: str, **more: Any) -> Any:
    return admin.post(wizard(kind), {"name": "Timesheet SaaS", **ANSWERS[kind], **more})


def test_adding_begins_with_the_kind(admin: Client) -> None:
    page = admin.get(reverse("admin:idp_application_add")).content.decode()
    assert all(f'href="?kind={name}"' in page for name in (*KINDS, "all"))
    assert "csrfmiddlewaretoken" not in page.partition('<div class="ask">')[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_asked_only_what_it_needs(admin: Client, kind: str) -> None:
    form = admin.get(wizard(kind)).context["form"]
    grant = {"api", "scope"} if kind == "machine" else set()
    assert {*form.fields} == {"name", *ANSWERS[kind], *grant}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_registered_is_of_its_kind_and_the_secret_is_shown_once(admin: Client, kind: str) -> None:
    response = register(admin, kind)
    assert response.status_code == 200, response.context["form"].errors
    application = Application.objects.get()
    assert kind_of(application) is KINDS[kind]
    assert "no-store" in response["Cache-Control"]
    secret, page = response.context["secret"], response.content.decode()
    assert bool(secret) == (kind in ("web", "machine"))
    if secret:
        assert check_password(secret, application.client_secret)
        assert f"CURFEW_CLIENT_SECRET={secret}" in page
        assert secret not in "".join(snippet.code for snippet in response.context["snippets"])
    if kind == "saml":  # which is configured, not written
        assert f"/samlp/metadata/{application.client_id}" in page
    else:
        assert application.client_id in response.context["snippets"][0].code
    later = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert not secret or secret not in later
    assert LogEntry.objects.get().object_id == str(application.pk)
    assert SessionEvent.objects.filter(type="application_changed", client_id=application.client_id).exists()


def test_a_page_calls_from_where_people_come_back_to(admin: Client) -> None:
    register(admin, "spa", redirect_uris=f"{CALLBACK}\nhttps://timesheet.example/second\nhttp://localhost:3000/")
    application = Application.objects.get()
    assert application.web_origins == ["https://timesheet.example", "http://localhost:3000"]
    assert application.require_pkce


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("web", "name", "  "),
        ("web", "name", ""),
        ("device", "name", ""),
        ("web", "redirect_uris", ""),
        ("web", "redirect_uris", "http://timesheet.example/callback"),
        ("web", "backchannel_logout_uri", "gopher://timesheet.example/"),
        ("spa", "post_logout_redirect_uris", "https://*.timesheet.example/"),
        ("native", "redirect_uris", "javascript:alert(1)"),
        ("machine", "scope", "read:reports"),
    ],
)
def test_what_the_rules_refuse_is_said_beside_the_field(admin: Client, kind: str, field: str, value: str) -> None:
    response = register(admin, kind, **{field: value})
    assert {"api" if field == "scope" else field} == {*response.context["form"].errors}
    assert not Application.objects.exists()


def test_a_machine_is_granted_its_api(admin: Client) -> None:
    api = ResourceServer.objects.create(
        identifier="https://api.example/", scopes=[{"value": "read:reports"}, {"value": "write:reports"}]
    )
    assert "scope" in register(admin, "machine", api=api.pk, scope="read:everything").context["form"].errors
    response = register(admin, "machine", api=api.pk, scope="read:reports")
    assert ClientGrant.objects.get().scope == ["read:reports"]
    assert "audience=https://api.example/" in response.context["snippets"][0].code


def test_who_may_not_grant_apis_is_not_asked_for_one(db: None) -> None:
    clerk = clerk_with("view_application", "add_application")
    api = ResourceServer.objects.create(identifier="https://api.example/", scopes=[{"value": "read:reports"}])
    assert {*clerk.get(wizard("machine")).context["form"].fields} == {"name"}
    assert register(clerk, "machine", api=api.pk).status_code == 200
    assert not ClientGrant.objects.exists()


def test_who_may_not_add_applications_gets_no_wizard(db: None) -> None:
    clerk = clerk_with("view_application")
    for kind in ("web", "all", ""):
        assert clerk.get(wizard(kind)).status_code == 403
    assert register(clerk, "web").status_code == 403
    assert not Application.objects.exists()


def test_the_page_offers_the_code_again_without_the_secret(admin: Client) -> None:
    application = make_application()
    page = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert "express-openid-connect" in page
    assert "process.env.CURFEW_CLIENT_SECRET" in page


def test_no_code_is_offered_that_could_not_work() -> None:
    assert snippets(make_application(token_endpoint_auth_method="private_key_jwt")) == []


# --- the snippets run ------------------------------------------------------------------------------------------------------
@pytest.fixture
def server(live_server: Any, settings: Any) -> str:
    settings.ISSUER = f"{live_server.url}/"
    settings.ISSUER_ORIGIN = live_server.url
    keys.ensure()
    return str(live_server.url)


def run(code: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.django_db(transaction=True)
def test_the_snippet_of_a_machine_gets_a_token(admin: Client, server: str) -> None:
    api = ResourceServer.objects.create(identifier="https://api.example/", scopes=[{"value": "read:reports"}])
    response = register(admin, "machine", api=api.pk)
    (token,) = response.context["snippets"]
    answer = run(token.code, CURFEW_CLIENT_SECRET=response.context["secret"])
    assert answer["scope"] == "read:reports"
    assert run(token.code, CURFEW_CLIENT_SECRET="another")["error"] == "invalid_client"


@pytest.mark.django_db(transaction=True)
def test_the_snippets_of_a_device_get_a_code_and_ask_for_tokens(admin: Client, server: str) -> None:
    code, token = register(admin, "device").context["snippets"]
    answer = run(code.code)
    assert answer["verification_uri"].endswith("/activate")
    assert run(token.code, DEVICE_CODE=answer["device_code"])["error"] == "authorization_pending"


@pytest.mark.django_db(transaction=True)
def test_the_django_snippet_leads_to_the_login_page_and_to_the_sign_out(
    admin: Client, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = register(admin, "web", redirect_uris="http://localhost:3000/callback")
    monkeypatch.setenv("CURFEW_CLIENT_SECRET", response.context["secret"])
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    views: dict[str, Any] = {}
    exec(response.context["snippets"][0].code, views)
    request = RequestFactory().get("/login")
    request.session = type("Kept", (dict,), {"flush": dict.clear})()  # type: ignore[attr-defined]
    leads = requests.get(views["login"](request).url, allow_redirects=False, timeout=30)
    assert leads.status_code == 303
    assert "/login?next=" in leads.headers["Location"]
    assert views["logout"](request).url.startswith(f"{server}/oidc/logout?")


@pytest.mark.parametrize("kind", [kinds.WEB, kinds.SPA], ids=lambda kind: kind.name)
def test_the_javascript_is_javascript_whatever_the_ids_are(kind: kinds.ApplicationKind, tmp_path: Any) -> None:
    """An administrator may choose a client id with characters that mean something in code."""
    node = shutil.which("node")
    assert node
    application = kind.begin()
    application.name, application.client_id = "Odd", """a"b'c`$(d)\\e"""
    application.redirect_uris, application.post_logout_redirect_uris = CALLBACK, HOME
    script = snippets(application)[-1].code
    path = tmp_path / ("snippet.mjs" if kind is kinds.SPA else "snippet.cjs")
    path.write_text(script)
    subprocess.run([node, "--check", str(path)], cwd=ROOT, check=True)
    assert json.dumps(application.client_id) in script
