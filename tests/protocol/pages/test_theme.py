"""The tenant's accent colour: in every page of ours, readable in both themes, and nothing but a colour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser

from idp.models import TenantSettings
from idp.tenants import configuration
from tests.support import axe
from tests.support.chromium import chromium
from tests.support.factories import browser, make_session, make_user
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def choose(colour: str) -> int:
    tenant = configuration.load_tenant()
    tenant.accent_color = colour
    tenant.save()
    return TenantSettings.objects.get().config_version


def test_the_stylesheet_is_kept_for_ever_under_its_version_and_asked_for_anew_after_a_change(client: Client) -> None:
    version = choose("#b00020")
    sheet = f"/theme.css?v={version}"
    assert f'<link rel="stylesheet" href="{sheet}">' in client.get("/login").content.decode()
    answer = client.get(sheet)
    assert answer["Content-Type"] == "text/css; charset=utf-8"
    assert "--accent: #b00020" in answer.content.decode()
    assert "immutable" in answer["Cache-Control"]
    assert client.get("/theme.css")["Cache-Control"] == client.get("/theme.css?v=1x")["Cache-Control"] == "no-cache"
    assert choose("#004d40") != version
    assert sheet not in client.get("/login").content.decode()
    assert client.get(sheet)["Cache-Control"] == "no-cache"


def test_nobody_is_asked_for_a_stylesheet_without_a_colour(client: Client) -> None:
    assert "theme.css" not in client.get("/login").content.decode()
    assert client.get("/theme.css").content == b""


def test_what_is_no_colour_does_not_get_into_the_stylesheet(client: Client) -> None:
    configuration.load_tenant()
    TenantSettings.objects.update(accent_color="red}*{x")
    configuration.bump()
    assert client.get("/theme.css").content == b""


@pytest.mark.parametrize(
    ("scheme", "chosen", "shown"),
    [
        ("light", "#b00020", "rgb(176, 0, 32)"),
        ("dark", "#ffdd00", "rgb(255, 221, 0)"),
        ("light", "#ffdd00", ""),
        ("dark", "#0a0a3c", ""),
    ],
)
def test_login_sign_out_and_account_pages_wear_it_and_can_be_read(
    chrome: Browser, live_server: Any, scheme: str, chosen: str, shown: str
) -> None:
    choose(chosen)
    plain = {"light": "rgb(36, 80, 184)", "dark": "rgb(143, 178, 255)"}[scheme]
    session = make_session(make_user())
    cookie = {"name": settings.SSO_COOKIE_NAME, "value": session.raw_cookie, "url": live_server.url}  # type: ignore[attr-defined]
    with page_of(chrome, live_server, color_scheme=scheme) as (page, complaints):
        for path in ("/login", "/account/sessions", "/account/mfa/", "/oidc/logout"):
            page.goto(path)
            colour = page.evaluate(
                """() => { const probe = document.createElement("a"); probe.href = "#"; document.body.append(probe);
                const colour = getComputedStyle(probe).color; probe.remove(); return colour; }"""
            )
            assert colour == shown if shown else colour not in (plain, shown), path
            assert axe.again(page) == [], (
                path
            )  # the rest is looked at in colours of ours, by test_every_page_in_chromium
            assert complaints == [], path
            page.context.add_cookies([cookie])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("chosen", "said"), [("#ffdd00", True), ("#ff0", None), ("#b00020", "dark"), ("#767e8c", True)]
)
def test_the_form_says_when_the_contrast_is_too_low(chosen: str, said: object) -> None:
    configuration.load_tenant()
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    url = reverse("admin:idp_tenantsettings_change", args=(1,))
    form = admin.get(url).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None and value is not False}
    answer = admin.post(url, {**data, "allowed_logout_urls": "", "accent_color": chosen, "_continue": "1"}, follow=True)
    text = answer.content.decode()
    if said is None:
        assert "must be a colour like #2450b8" in text
        return
    assert f"Text in {chosen} is hard to read" in text
    assert "4.5 to 1 is enough" in admin.get(url).content.decode()
