"""Every URL field of an application, at every door, with every kind of bad value; and what stored ones do that became bad."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.applications import client_keys, registration, rules
from idp.models import Application
from idp.protocol.errors import InvalidClient
from idp.tenants import apply as tenant
from idp.tenants import configuration
from idp.tenants.clients import KEYS
from idp.tenants.reader import TenantFileError
from logout_app.delivery.channels.registry import SENT
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import authorize
from tests.support.unrendered import form_of, unrendered

pytestmark = pytest.mark.django_db
CALLBACK = "https://app.example/cb"
# What no URL of any kind may be.
MALFORMED = (
    "https://",
    "https:///path",
    "//app.example/x",
    "app.example/x",
    "/x",
    "https://user:secret@app.example/x",
    "https://user@app.example/x",
    "https://app.example:0/x",
    "https://app.example:/x",
    "https://app.example:99999/x",
    "https://app.example\\@evil.example/x",
    "https://-app.example/x",
    "https://app..example/x",
    "https://[::1]x/",
    "https://[2606:4700::1111].evil.example/",
    "https://[v1.a]/",
    "ftp://app.example/x",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "ws://app.example/x",
    "https://app.example/" + "x" * 1000,
)
# What Curfew itself requests, and must not be led to.
NOT_TO_BE_CALLED = (
    "https://169.254.169.254/latest",
    "http://169.254.169.254/latest",
    "https://metadata.google.internal/x",
    "https://127.0.0.1/x",
    "https://localhost/x",
    "https://localhost.localdomain/x",
    "https://localhost6/x",
    "https://app.localhost/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://10.0.0.8/x",
    "https://192.168.1.1/x",
    "https://100.64.0.1/x",
    "https://[fd00::1]/x",
    "https://0.0.0.0/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://app.example:25/x",
    "https://app.example:6379/x",
    "http://app.example/x",
    "https://app.example/x#y",
)
OURS = "http://localhost:8000/x"
BAD: dict[str, tuple[str, ...]] = {
    "redirect_uris": (
        *MALFORMED,
        "https://app.example/cb#x",
        "https://*.app.example/cb",
        "http://app.example/cb",
        "a:b",
    ),
    "post_logout_redirect_uris": (*MALFORMED, "https://app.example/o?state=1", "https://*.app.example/o"),
    "web_origins": (*MALFORMED, "*", "null", "https://app.example/", "https://*.app.example", "https://APP.example"),
    "allowed_origins": (*MALFORMED, "*", "null", "https://app.example/", "http://app.example"),
    "backchannel_logout_uri": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "global_token_revocation_uri": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "reauthentication_uri": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "command_endpoint": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "frontchannel_logout_uri": (*MALFORMED, "https://other.example/x", "https://app.example/x?sid=1", OURS),
    "jwks_uri": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "sector_identifier_uri": (*MALFORMED, *NOT_TO_BE_CALLED, OURS),
    "logo_uri": (*MALFORMED, "http://app.example/logo.png"),
    "policy_uri": (*MALFORMED, "http://app.example/policy", "javascript:alert(1)", "data:text/html,x"),
    "tos_uri": (*MALFORMED, "http://app.example/terms", "javascript:alert(1)"),
    "outbound_hosts": ("https://app.example", "app.example:443", "a b", "-app.example", "app.example/"),
}
EVERY_FIELD = pytest.mark.parametrize("field", BAD)
REGISTERED = [field for field in BAD if field in registration.METADATA]


def test_the_table_knows_every_field_that_the_rules_know() -> None:
    assert set(BAD) == set(rules.RULES) <= set(KEYS)
    assert {"redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri", "jwks_uri"} <= set(REGISTERED)


@EVERY_FIELD
def test_the_model_refuses_each_bad_value(field: str) -> None:
    for value in BAD[field]:
        stored: Any = [value] if isinstance(getattr(Application(), field), list) else value
        with pytest.raises(ValidationError) as caught:
            Application(**{"name": "App", "redirect_uris": CALLBACK, field: stored}).full_clean()
        assert field in caught.value.message_dict, value


@EVERY_FIELD
def test_the_admin_refuses_each_bad_value_beside_its_field(field: str) -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    url = reverse("admin:idp_application_add") + "?kind=all"
    with unrendered():
        form = form_of(admin.get(url))
        data = {item.html_name: item.value() for item in form if item.value() not in (None, False, "")}
        for value in BAD[field]:
            answer = admin.post(url, data | {"name": "App", "redirect_uris": CALLBACK, field: value})
            assert field in form_of(answer).errors, value
    page = admin.post(url, data | {"name": "App", "redirect_uris": CALLBACK, field: value}).content.decode()
    assert f'id="id_{field}_error"' in page
    assert not Application.objects.exists()


@EVERY_FIELD
def test_the_tenant_file_refuses_each_bad_value_and_says_where(tmp_path: Path, field: str) -> None:
    key = KEYS[field]
    section, _, name = key.rpartition(".")
    path = tmp_path / "tenant.yaml"
    for value in BAD[field]:
        given = {name.removesuffix("[]"): [value] if name.endswith("[]") else value}
        entry = {"name": "App", "callbacks": [CALLBACK], **({section: given} if section else given)}
        path.write_text(json.dumps({"clients": [entry]}))  # JSON is YAML
        with pytest.raises(TenantFileError) as caught:
            tenant.apply(path, at=timezone.now())
        assert caught.value.problems[0].startswith(f"clients[0].{key.replace('[]', '[0]')}: "), value


@pytest.mark.parametrize("field", REGISTERED)
def test_registration_refuses_each_bad_value_in_its_own_form(client: Client, field: str) -> None:
    row = configuration.load_tenant()
    row.dynamic_client_registration = True
    row.save()
    for value in BAD[field]:
        document: dict[str, Any] = {"redirect_uris": [CALLBACK], field: [value] if field.endswith("uris") else value}
        answer = client.post("/oidc/register", json.dumps(document), content_type="application/json")
        error = "invalid_redirect_uri" if field == "redirect_uris" else "invalid_client_metadata"
        assert (answer.status_code, answer.json()["error"]) == (400, error), value
        assert field in answer.json()["error_description"], value
    assert not Application.objects.exists()


# --- what is fine stays fine -----------------------------------------------------------------------------------------


def test_the_operator_opens_networks_and_the_application_narrows_hosts(settings: Any) -> None:
    application = Application(name="App", redirect_uris=CALLBACK, backchannel_logout_uri="http://10.0.0.8:8080/bc")
    assert [problem.field for problem in rules.problems(application)] == ["backchannel_logout_uri"]
    settings.OUTBOUND_ALLOW = ["10.0.0.0/8"]
    assert not list(rules.problems(application))
    application.outbound_hosts = ["app.example"]
    (problem,) = rules.problems(application)
    assert problem.reason == "it is not one of the application's outbound hosts"


def test_loopback_by_name_is_open_where_loopback_is(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    assert not list(
        rules.problems(
            Application(name="App", redirect_uris=CALLBACK, backchannel_logout_uri="http://localhost:3000/bc")
        )
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"redirect_uris": "http://localhost:3000/cb http://127.0.0.1/cb"},
        {"redirect_uris": "com.example.app:/cb", "app_type": "native"},
        {"post_logout_redirect_uris": "https://*.app.example/o", "allow_logout_url_wildcards": True},
        {"backchannel_logout_uri": "https://app.internal:8443/bc", "redirect_uris": CALLBACK},
        {"frontchannel_logout_uri": "https://app.example/fc", "redirect_uris": CALLBACK},
        {"logo_uri": "https://cdn.example/logo.png", "jwks_uri": "https://app.example/jwks.json"},
        {"web_origins": ["https://app.example", "http://localhost:3000"], "allowed_origins": "https://app.example"},
    ],
)
def test_what_applications_have_is_allowed(columns: dict[str, Any]) -> None:
    assert not list(rules.problems(Application(**{"name": "App", "redirect_uris": CALLBACK} | columns)))


# --- a stored value that became bad is not used ----------------------------------------------------------------------
OUT = "com.example.app://host/out"


def store(application: Application, **columns: Any) -> Application:
    """As a change of the rules, or of another column, leaves it: past every door."""
    Application.objects.filter(pk=application.pk).update(**columns)
    configuration.bump()
    application.refresh_from_db()
    return application


def test_a_callback_of_a_native_application_that_is_none_any_more_gets_no_code() -> None:
    application = make_application("App", app_type="native", redirect_uris="com.example.app:/cb")
    session = make_session(make_user())
    assert authorize(session, application).headers["Location"].startswith("com.example.app:/cb?code=")
    store(application, app_type="regular_web")
    answer = authorize(session, application)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize("path", ["/v2/logout", "/oidc/logout"])
def test_a_logout_url_that_the_rules_refuse_is_no_target(path: str) -> None:
    application = make_application("App", client_id="app", app_type="native", post_logout_redirect_uris=OUT)
    query = {"client_id": "app", "returnTo": OUT, "post_logout_redirect_uri": OUT}
    assert Client().get(path, query).headers["Location"] == OUT
    store(application, app_type="spa")
    answer = Client().get(path, query)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_without_return_to_a_refused_first_url_is_passed_over() -> None:
    make_application("App", client_id="app", post_logout_redirect_uris=f"{OUT} https://app.example/out")
    assert Client().get("/v2/logout", {"client_id": "app"}).headers["Location"] == "https://app.example/out"


def test_a_wildcard_is_dead_when_wildcards_are_switched_off() -> None:
    application = make_application(
        "App", post_logout_redirect_uris="https://*.app.example/out", allow_logout_url_wildcards=True
    )
    query = {"client_id": "app", "returnTo": "https://one.app.example/out"}
    assert Client().get("/v2/logout", query).status_code == 302
    store(application, allow_logout_url_wildcards=False)
    assert Client().get("/v2/logout", query).status_code == 400
    assert not application.usable.logout_urls


@pytest.mark.parametrize("path", ["/v2/logout", "/oidc/logout"])
def test_a_refused_logout_url_of_the_tenant_is_no_target(path: str) -> None:
    row = configuration.load_tenant()
    row.allowed_logout_urls = ["http://app.example/out"]
    row.save()
    answer = Client().get(
        path, {"returnTo": row.allowed_logout_urls[0], "post_logout_redirect_uri": "http://app.example/out"}
    )
    assert "Location" not in answer.headers


def test_an_origin_that_the_rules_refuse_reads_nothing() -> None:
    application = make_application("App", web_origins=["http://app.example"])
    session = make_session(make_user(), application)
    for path in ("/user/ssodata", "/userinfo"):
        answer = browser(session).get(path, headers={"Origin": "http://app.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers
    silent = authorize(session, application, response_mode="web_message", prompt="none")
    assert silent.status_code == 400


def test_a_refused_front_channel_url_is_not_framed_and_a_refused_logo_not_shown() -> None:
    application = make_application(
        "App",
        client_id="app",
        frontchannel_logout_uri="https://elsewhere.example/fc",
        logo_uri="ftp://elsewhere.example/logo.png",
    )
    client = browser(make_session(make_user(), application))
    page = client.get(client.get("/v2/logout", headers={"Sec-Fetch-Dest": "document"})["Location"])
    assert "elsewhere.example" not in page.content.decode()
    assert "elsewhere.example" not in page["Content-Security-Policy"]
    login = Client().get("/login", {"next": "/authorize?client_id=app"})
    assert "elsewhere.example" not in login.content.decode()


def test_keys_are_not_fetched_from_a_refused_url(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json"
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        application = make_application("App", jwks_uri=url)
        assert application.usable.jwks_uri == url
        settings.OUTBOUND_ALLOW = []
        store(application)
        with pytest.raises(InvalidClient):
            client_keys.of(application)
        with pytest.raises(BlockingIOError):  # nobody knocked
            server.accept()


@pytest.mark.parametrize(
    ("channel", "field"),
    [
        ("backchannel", "backchannel_logout_uri"),
        ("gtr", "global_token_revocation_uri"),
        ("reauthentication", "reauthentication_uri"),
        ("command", "command_endpoint"),
    ],
)
def test_nothing_is_posted_to_a_refused_url(channel: str, field: str) -> None:
    application = make_application("App", **{field: "https://169.254.169.254/x"})
    route = SENT[channel].route.reach(application, configuration.current())
    assert route.refusal == "it goes to 169.254.169.254, which is not a public address"


def test_the_application_s_page_shows_what_is_not_used_and_why() -> None:
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    url = reverse("admin:idp_application_change", args=(make_application("Fine").pk,))
    assert "not used" not in admin.get(url).content.decode()
    application = make_application("App", redirect_uris="com.example.app:/cb", logo_uri="ftp://x.example/l.png")
    page = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert "2 stored values of this application are not used" in page
    assert "<code>com.example.app:/cb</code> (redirect_uris): it must begin with https://" in page
    assert "<code>ftp://x.example/l.png</code> (logo_uri): ftp: is not allowed" in page


def test_a_tenant_file_that_leaves_the_callbacks_out_keeps_them_unused_and_says_so(tmp_path: Path, capsys: Any) -> None:
    application = make_application("App", client_id="app", app_type="native", redirect_uris="com.example.app:/cb")
    path = tmp_path / "tenant.yaml"
    path.write_text("clients: [{name: App, client_id: app, app_type: regular_web}]")
    call_command("apply", str(path))
    application.refresh_from_db()
    assert application.callbacks == ["com.example.app:/cb"]
    assert application.usable.callbacks == ()
    assert "warning: App: com.example.app:/cb of callbacks[0] is kept but not used" in capsys.readouterr().err
