"""The demo: its data, its credentials, and how its applications treat a logout token."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from examples.cli import app as cli
from examples.demo_app.app import DemoApp
from examples.demo_app.provider import FAILURES, LOGOUT_EVENT, Provider
from examples.demo_app.sessions import Session
from examples.web import Request
from idp.connections.options import secret
from idp.models import Application, Connection, Provisioning, User
from idp.operations import demo
from idp.scim import tokens
from idp.tenants import configuration

ISSUER = "http://localhost:8000/"
CLIENT_ID = "the-app"
KEY = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})


@pytest.fixture
def data(settings: Any, tmp_path: Path) -> Path:
    settings.DATA = tmp_path
    return tmp_path


@pytest.mark.django_db
def test_the_demo_is_prepared_once_and_its_credentials_stay(data: Path) -> None:
    first = demo.prepare(9000)
    before = configuration.load_tenant().config_version
    assert demo.prepare(9000) == first
    assert configuration.load_tenant().config_version == before
    assert Application.objects.count() == 3
    mary = User.objects.get(email=demo.MARY)
    assert mary.check_password(demo.kept_credentials()["mary"])
    assert not mary.is_staff
    assert User.objects.get(email=demo.ADMINISTRATOR).is_superuser


@pytest.mark.django_db
def test_the_okta_organisation_and_its_connection_know_the_same_secret(data: Path) -> None:
    demo.prepare(9000)
    connection = Connection.objects.get(name="acme-okta")
    okta = demo.children(9000)[-1]
    assert okta.env["OKTA_PORT"] == "9004"
    assert connection.options["discovery_url"] == "http://localhost:9004/.well-known/openid-configuration"
    assert okta.env["OKTA_CLIENT_ID"] == connection.options["client_id"]
    assert okta.env["OKTA_CLIENT_SECRET"] == secret(connection, "client_secret")
    assert okta.env["OKTA_CONNECTION"] == connection.name


@pytest.mark.django_db
def test_the_okta_organisation_may_provision_its_connection_and_a_removed_token_is_made_anew(data: Path) -> None:
    demo.prepare(9000)
    first = demo.children(9000)[-1].env["OKTA_SCIM_TOKEN"]
    row = tokens.find(first, timezone.now())
    assert row is not None
    assert row.provisioning.connection.name == "acme-okta"
    demo.prepare(9000)
    assert demo.children(9000)[-1].env["OKTA_SCIM_TOKEN"] == first
    row.delete()
    demo.prepare(9000)
    second = demo.children(9000)[-1].env["OKTA_SCIM_TOKEN"]
    assert second != first
    assert tokens.find(second, timezone.now()) is not None


@pytest.mark.django_db
def test_an_administrator_who_took_both_places_keeps_their_tokens(data: Path) -> None:
    demo.prepare(9000)
    provisioning = Provisioning.objects.get()
    provisioning.tokens.all().delete()
    for _ in range(2):
        tokens.create(provisioning, actor="admin:1", at=timezone.now())
    demo.prepare(9000)
    assert provisioning.tokens.count() == 2


def test_an_older_demo_gets_the_credentials_that_it_lacks(data: Path) -> None:
    first = demo.kept_credentials()
    older = {name: value for name, value in first.items() if name != "okta"}
    (data / "demo" / "credentials.json").write_text(json.dumps(older))
    second = demo.kept_credentials()
    assert {name: value for name, value in second.items() if name != "okta"} == older
    assert second["okta"] != first["okta"]
    assert demo.kept_credentials() == second


@pytest.mark.django_db
def test_the_demos_credentials_are_for_the_owner_only(data: Path) -> None:
    demo.prepare(9000)
    for name in ("credentials.json", "tenant.yaml"):
        assert (data / "demo" / name).stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_the_lines_to_print_say_what_to_open_and_who_to_be(data: Path) -> None:
    text = "\n".join(demo.prepare(9000))
    for expected in ("http://localhost:9001/", "http://localhost:9003/", demo.MARY, demo.kept_credentials()["mary"]):
        assert expected in text


def test_every_application_runs_on_its_own_port_and_knows_the_others(data: Path) -> None:
    *children, _ = demo.children(9000)
    assert [child.env["DEMO_PORT"] for child in children] == ["9001", "9002", "9003"]
    assert json.loads(children[0].env["DEMO_PEERS"]) == {
        "SharePoint Intranet": "http://localhost:9002/",
        "Timesheet SaaS": "http://localhost:9003/",
    }


def test_the_demo_is_refused_with_an_https_issuer(data: Path, settings: Any) -> None:
    settings.HTTPS = True
    with pytest.raises(CommandError, match="loopback"):
        call_command("demo")


@pytest.fixture
def app() -> DemoApp:
    provider = Provider(ISSUER, CLIENT_ID, "secret", "http://localhost:9001/")
    provider._metadata = {"issuer": ISSUER, "jwks_uri": ""}
    provider._keys = KeySet([KEY])
    return DemoApp("debugger", provider, {})


def logout_token(header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": f"jti-{now}-{time.perf_counter_ns()}",
        "sub": "auth0|1",
        "sid": "sid-1",
        "events": {LOGOUT_EVENT: {}},
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": "one", "typ": "logout+jwt"} | (header or {}), claims, KEY)


def post(app: DemoApp, token: str) -> str:
    return app.backchannel_logout(Request("POST", "/backchannel-logout", {}, {"logout_token": token}, {}, "")).status


def signed_in(app: DemoApp, sid: str = "sid-1", sub: str = "auth0|1") -> str:
    return app.store.open(Session({"sid": sid, "sub": sub}, "a.b.c", None))


@pytest.mark.spec("Back-Channel Logout 1.0", "2.6", "B14 a receiver ends the session that the sid names, and no other")
def test_a_logout_token_ends_the_session_of_its_sid(app: DemoApp) -> None:
    mine, other = signed_in(app), signed_in(app, sid="sid-2")
    assert post(app, logout_token()) == "200 OK"
    assert app.store.get(mine) is None
    assert app.store.get(other) is not None


@pytest.mark.spec("Back-Channel Logout 1.0", "2.4", "B5 without sid every session of the person ends")
def test_a_logout_token_without_sid_ends_every_session_of_the_person(app: DemoApp) -> None:
    mine, other = signed_in(app), signed_in(app, sid="sid-3", sub="auth0|2")
    assert post(app, logout_token(sid=None)) == "200 OK"
    assert app.store.get(mine) is None
    assert app.store.get(other) is not None


def test_somebody_who_is_signed_out_already_is_a_success(app: DemoApp) -> None:
    assert post(app, logout_token(sid="nobody's")) == "200 OK"


def test_the_same_token_again_ends_nothing_that_began_since(app: DemoApp) -> None:
    token = logout_token()
    assert post(app, token) == "200 OK"
    mine = signed_in(app)
    assert post(app, token) == "200 OK"
    assert app.store.get(mine) is not None


@pytest.mark.spec("Back-Channel Logout 1.0", "2.6", "B14 a receiver validates all of the token")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: logout_token(iss="http://evil.example/"), id="another issuer"),
        pytest.param(lambda: logout_token(aud="another-app"), id="another audience"),
        pytest.param(lambda: logout_token(exp=int(time.time()) - 300), id="expired"),
        pytest.param(lambda: logout_token(nonce="n"), id="a nonce"),
        pytest.param(lambda: logout_token(events=None), id="no events"),
        pytest.param(lambda: logout_token(events={"other": {}}), id="another event"),
        pytest.param(lambda: logout_token(events={LOGOUT_EVENT: True}), id="an event that is no object"),
        pytest.param(lambda: logout_token(sid=None, sub=None), id="nobody's"),
        pytest.param(lambda: logout_token(jti=None), id="no jti"),
        pytest.param(lambda: logout_token({"typ": "at+jwt"}), id="an access token"),
        pytest.param(lambda: logout_token()[:-8] + "AAAAAAAA", id="another signature"),
        pytest.param(lambda: "not a token", id="not a token"),
        pytest.param(lambda: "", id="nothing"),
    ],
)
def test_a_token_with_a_fault_ends_nothing(app: DemoApp, token: Any) -> None:
    mine = signed_in(app)
    assert post(app, token()) == "400 Bad Request"
    assert app.store.get(mine) is not None


@pytest.mark.spec("Back-Channel Logout 1.0", "2.8", "B13 answers to logout tokens are not kept by caches")
@pytest.mark.parametrize("token", [logout_token, lambda: "not a token"], ids=["good", "bad"])
def test_answers_to_logout_tokens_are_not_kept_by_caches(app: DemoApp, token: Any) -> None:
    request = Request("POST", "/backchannel-logout", {}, {"logout_token": token()}, {}, "")
    assert ("Cache-Control", "no-store") in app.backchannel_logout(request).headers


@pytest.mark.spec("Front-Channel Logout 1.0", "2", "F5 the page in the frame is not kept by caches")
def test_the_front_channel_page_is_not_kept_by_caches(app: DemoApp) -> None:
    query = {"iss": ISSUER, "sid": "sid-1"}
    answer = app.frontchannel_logout(Request("GET", "/frontchannel-logout", query, {}, {}, ""))
    assert ("Cache-Control", "no-store") in answer.headers


def test_an_id_token_is_no_logout_token(app: DemoApp) -> None:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "jti": "x", "sub": "auth0|1", "sid": "s"}
    with pytest.raises(FAILURES):
        app.provider.logout_token(jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY))


@pytest.mark.parametrize(("issuer", "ends"), [(ISSUER, True), ("http://evil.example/", False)])
def test_a_front_channel_request_ends_the_browsers_session_for_our_issuer_only(
    app: DemoApp, issuer: str, ends: bool
) -> None:
    key = signed_in(app)
    query = {"iss": issuer, "sid": "sid-1"}
    app.frontchannel_logout(Request("GET", "/frontchannel-logout", query, {}, {app.session_cookie: key}, ""))
    assert (app.store.get(key) is None) is ends


def test_a_front_channel_request_without_the_cookie_ends_the_session_of_its_sid(app: DemoApp) -> None:
    """The page says that it is done, so it must be, also where third-party cookies are blocked."""
    key, other = signed_in(app), signed_in(app, sid="sid-2")
    query = {"iss": ISSUER, "sid": "sid-1"}
    app.frontchannel_logout(Request("GET", "/frontchannel-logout", query, {}, {}, ""))
    assert app.store.get(key) is None
    assert app.store.get(other) is not None


def test_a_front_channel_request_for_another_sid_ends_nothing(app: DemoApp) -> None:
    key = signed_in(app)
    query = {"iss": ISSUER, "sid": "of-a-former-session"}
    app.frontchannel_logout(Request("GET", "/frontchannel-logout", query, {}, {app.session_cookie: key}, ""))
    assert app.store.get(key) is not None


def test_what_another_program_brings_to_the_command_line_application_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = {"state": "ours", "iss": cli.ISSUER, "code": "1"}
    brought = iter([{"state": "\u00e9", "iss": cli.ISSUER}, {"state": "ours", "iss": "https://evil.example/"}, real])

    class Server:
        timeout = 0

        def handle_request(self) -> None:
            monkeypatch.setattr(cli.Callback, "answer", next(brought))

    assert cli.wait_for_answer(Server(), "ours") == real  # type: ignore[arg-type]
