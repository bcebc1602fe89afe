"""The pages of connections in a real browser: readable by everybody, not too wide, nothing against the policy, no script needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect

from idp.connections.options import secret_context
from idp.crypto import sealing
from idp.models import Connection, User
from sessions_app.models import SSOSession
from tests.protocol.admin.test_connection_health import certificate
from tests.protocol.admin.test_in_chromium import boss, chrome, page_of  # noqa: F401  fixtures
from tests.support.factories import PASSWORD, make_connection
from tests.support.looking import WIDE, look, shoot
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
ADD = "admin:idp_connection_add"


def test_a_connection_is_added_and_tested_without_javascript(
    chrome: Browser,  # noqa: F811
    live_server: Any,
    boss: SSOSession,  # noqa: F811
) -> None:
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(reverse("admin:idp_connection_changelist"))
        page.click(".object-tools >> text=Add connection")
        page.check("input[value=samlp]")
        page.fill("[name=name]", "partner")
        page.click("text=Continue")
        assert "/samlp/partner/metadata" in page.inner_text(".endpoints >> nth=0")
        page.locator("summary", has_text="Without metadata").click()
        page.fill("[name=signInEndpoint]", "https://idp.example.com/sso")
        page.fill("[name=signingCert]", certificate(12))
        page.click("input[name=_save]")
        assert "Now press Test connection." in page.inner_text(".messagelist")
        page.click(".object-tools >> text=Test connection")
        page.click("input[type=submit][value='Test connection']")
        assert "expires on" in page.inner_text(".attention .warn >> nth=-1")
        shoot(page, "connection-test-result")
    assert Connection.objects.get(name="partner").options["signInEndpoint"] == "https://idp.example.com/sso"


def test_a_connection_is_added_tried_as_oneself_and_opened(
    chrome: Browser,  # noqa: F811
    live_server: Any,
    boss: SSOSession,  # noqa: F811
    provider: ScriptedProvider,
    loopback_upstreams: None,
    settings: Any,
) -> None:
    """From the first page to the button on the login page, which is not there before."""
    settings.ISSUER_ORIGIN, settings.ISSUER = live_server.url, f"{live_server.url}/"
    provider.claims = {"sub": "00u1", "groups": ["staff"]}

    def sign_in_there(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        provider.nonce = asked["nonce"][0]
        answer = urlencode({"code": "c", "state": asked["state"][0]})
        route.fulfill(status=302, headers={"Location": f"{asked['redirect_uri'][0]}?{answer}"})

    with page_of(chrome, live_server, boss, viewport=WIDE) as (page, complaints):
        page.route(f"{provider.issuer}/authorize**", sign_in_there)
        page.goto(f"{reverse(ADD)}?strategy=oidc&name=acme")
        page.fill("[name=discovery_url]", provider.discovery_url)
        page.fill("[name=client_id]", CLIENT)
        page.fill("[name=client_secret]", SECRET)
        page.click("input[name=_save]")
        expect(page.locator(".steps")).to_be_visible()  # of the page that comes, not of the one that goes
        expect(page.locator(".steps .done")).to_have_count(0)
        page.wait_for_load_state()
        _look(page, complaints, "connection-closed")
        page.click(".steps >> text=Test it")
        page.click("input[value='Test connection']")
        page.click("text=Back to the connection")
        expect(page.locator(".steps .done")).to_have_count(1)
        page.click(".steps >> text=Sign in through it as yourself")
        page.click("input[value='Sign in as yourself']")
        expect(page.locator("#content")).to_contain_text("00u1")
        expect(page.locator("#content")).to_contain_text("staff")
        _look(page, complaints, "connection-tried")
        page.click("text=Back to the connection")
        expect(page.locator(".steps .done")).to_have_count(2)
        with page_of(chrome, live_server) as (login, _):
            login.goto("/login")
            assert "/login/upstream/acme" not in login.content()
            page.click(".steps >> text=Enable it")
            page.click("input[value='Enable this connection']")
            expect(page.locator(".messagelist")).to_contain_text("is open")
            login.goto("/login")
            assert "/login/upstream/acme" in login.content()
        assert complaints == []
    assert not User.objects.exclude(pk=boss.user_id).exists()


def _look(page: Page, complaints: list[str], name: str) -> None:
    assert [*complaints, *look(page, name)] == []
    complaints.clear()  # of axe's own
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def test_a_kept_secret_is_asked_for_beside_its_field_and_goes_nowhere_meanwhile(
    chrome: Browser,  # noqa: F811
    live_server: Any,
    boss: SSOSession,  # noqa: F811
    provider: ScriptedProvider,
    loopback_upstreams: None,
) -> None:
    options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
    sealed = {"client_secret": sealing.seal(SECRET, secret_context("Acme", "client_secret"))}
    connection = make_connection("Acme", "oidc", options=options, sealed_options=sealed)
    with ScriptedProvider() as thief, page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(reverse("admin:idp_connection_change", args=(connection.pk,)))
        page.locator("summary", has_text="Endpoints by hand").click()
        page.fill("[name=token_endpoint]", f"{thief.issuer}/token")
        page.click("input[name=_save]")
        assert "never sent to a new place" in page.inner_text(".field-client_secret .errorlist")
        page.goto(reverse("admin:idp_connection_act", args=(connection.pk, "test")))
        page.click("input[type=submit][value='Test connection']")
        page.wait_for_selector(".attention")
        assert provider.hits.total() > 0
        assert thief.hits.total() == 0
        assert complaints == []


def test_a_superuser_proves_who_they_are_in_another_tab_and_saves_what_was_typed(
    chrome: Browser,  # noqa: F811
    live_server: Any,
    boss: SSOSession,  # noqa: F811
) -> None:
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=2))
    connection = make_connection("Acme", "ad", options={"servers": ["ldaps://dc1.example.com"], "base_dn": "DC=a"})
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(reverse("admin:idp_connection_change", args=(connection.pk,)))
        assert "changed by superusers only" in page.inner_text(".banner >> nth=0")
        page.fill("[name=base_dn]", "DC=b")
        page.click("input[name=_save]")
        with page.context.expect_page() as opened:
            page.click("text=Prove who you are")
        tab = opened.value
        tab.fill("[name=password]", PASSWORD)
        tab.press("[name=password]", "Enter")
        tab.wait_for_url("**/idp/connection/**")
        tab.close()
        assert page.input_value("[name=base_dn]") == "DC=b"
        page.click("input[name=_save]")
        page.wait_for_selector(".messagelist .success")
        assert complaints == []
    connection.refresh_from_db()
    assert connection.options["base_dn"] == "DC=b"
