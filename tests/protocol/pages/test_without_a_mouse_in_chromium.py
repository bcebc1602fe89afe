"""The main tasks by keyboard alone, seen where the focus is; pages at 200 % zoom, and for whom nothing shall move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from idp.models import User
from sessions_app.models import SSOSession
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
MOST_STOPS = 120  # of the Tab key, on the longest of these pages
FOCUSED = """() => {
    const one = document.activeElement;
    const style = getComputedStyle(one);
    const drawn = [style, getComputedStyle(one, "::after")].some(
        by => (by.outlineStyle !== "none" && parseFloat(by.outlineWidth) > 0) || by.boxShadow !== "none");
    const label = one.labels && one.labels.length ? one.labels[0].innerText : "";
    const said = one.ariaLabel || label || (one.matches("input[type=submit]") ? one.value : "") || one.innerText || "";
    return {
        said: said.replace(/\\s+/g, " ").replace(" :", ":").trim(), seen: one.matches("iframe") || (drawn && one.matches(":focus-visible")), body: one === document.body,
        inside: (box => box.width > 0 && box.bottom > 0 && box.top < innerHeight)(one.getBoundingClientRect()),
    };
}"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def tab_to(page: Page, name: str) -> None:
    """By the Tab key until the focus is there; each stop on the way can be seen."""
    stops: list[str] = []
    for _ in range(MOST_STOPS):
        focus = page.evaluate(FOCUSED)
        if not focus["body"]:
            assert focus["seen"], f"{page.url}: the focus on {focus['said']!r} is not drawn"
            assert focus["inside"], f"{page.url}: {focus['said']!r} has the focus outside of what is shown"
            if focus["said"].lower().startswith(name.lower()):  # some are set in capitals
                return
            stops.append(focus["said"])
        page.keyboard.press("Tab")
    raise AssertionError(f"{page.url}: {name!r} is not among {list(dict.fromkeys(stops))}")


def press(page: Page, name: str, key: str = "Enter") -> None:
    """Go there and press it, and wait for the page that it leads to."""
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press(key)


def type_into(page: Page, name: str, text: str) -> None:
    tab_to(page, name)
    page.keyboard.type(text)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def test_a_person_signs_in_with_two_factors_looks_at_their_account_and_signs_out(
    chrome: Browser, live_server: Any
) -> None:
    mary, secret = make_user(), generate_totp_secret()
    TOTP.activate(mary, secret)
    app = make_application("Intranet")
    phone = make_session(
        mary, app, last_user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"
    )
    with page_of(chrome, live_server, timezone_id="Asia/Tokyo") as (page, complaints):
        page.set_default_timeout(60_000)
        page.goto("/login?next=/account/")
        type_into(page, "E-mail address or user name", "mary@fabrikamcorp.com")
        type_into(page, "Password", PASSWORD)
        press(page, "Sign in")
        type_into(page, "Code", format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))
        press(page, "Sign in")
        page.wait_for_url("**/account/")

        press(page, "Sessions")
        heading(page, "Your sessions")
        expect(page.locator("main")).to_contain_text(
            "GMT+9" if "JST" not in page.content() else "JST"
        )  # the browser's zone
        tab_to(page, "Sign out: Safari")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_be_visible()
        phone.refresh_from_db()
        assert phone.ended_at is not None

        press(page, "Sign-in methods")
        press(page, "Profile")
        tab_to(page, "Language")
        page.keyboard.press("End")  # of the list: another language
        page.keyboard.press("Tab")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert User.objects.get(pk=mary.pk).language

        User.objects.filter(pk=mary.pk).update(language="en")
        page.goto("/oidc/logout")
        press(page, "Sign out")
        expect(page.locator("main")).to_contain_text("signed out")
        assert not SSOSession.objects.filter(user=mary, ended_at=None).exists()
        assert complaints == []


def test_an_administrator_finds_a_person_and_ends_everything(chrome: Browser, live_server: Any) -> None:
    boss = make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))
    mary = make_user(name="Mary Fabrikam")
    session = make_session(mary, make_application("Intranet"))
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.set_default_timeout(60_000)
        page.goto("/admin/")
        type_into(page, "Find a person", "mary@fabrikamcorp.com")
        press(page, "Find")
        heading(page, "mary@")  # the only one who is called so
        press(page, "End everything")
        press(page, "End everything")
        session.refresh_from_db()
        assert session.ended_at is not None

        press(page, "Settings")
        tab_to(page, "Friendly name")
        page.keyboard.press("Control+A")
        page.keyboard.type("Contoso")
        press(page, "Save")
        expect(page.locator(".messagelist")).to_contain_text("was changed")
        press(page, "Audit")
        heading(page, "Audit")
        assert complaints == []


PEOPLES = ("/", "/login", "/account/", "/account/sessions", "/account/applications", "/account/activity", "/account/mfa/",
           "/account/address", "/account/password/change/", "/oidc/logout", "/activate")  # fmt: skip
CONSOLES = ("index", "find", "evidence", "idp_user_changelist", "idp_application_changelist", "idp_connection_changelist",
            "idp_tenantsettings_change", "sessions_app_ssosession_changelist", "logout_app_logoutevent_changelist",
            "logout_app_logoutdelivery_changelist", "sessions_app_sessionevent_changelist", "idp_user_change")  # fmt: skip


def test_at_twice_the_size_nothing_is_cut_off_and_for_who_wants_rest_nothing_moves(
    chrome: Browser, live_server: Any
) -> None:
    """WCAG 2.2 1.4.4 and 1.4.10: a window of 1280 px at 200 % is one of 640 with two dots for each. 2.3.3: no motion."""
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    session = make_session(boss, make_application("Intranet"))
    given = {"idp_tenantsettings_change": (1,), "idp_user_change": (boss.pk,)}
    paths = [*PEOPLES, *(reverse(f"admin:{name}", args=given.get(name, ())) for name in CONSOLES)]
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    moving = """() => [...document.querySelectorAll("*")].flatMap(one => [null, "::before", "::after"].map(
        part => [one, getComputedStyle(one, part)])).filter(([one, style]) =>
        style.animationName !== "none" || style.transitionDuration.split(", ").some(span => parseFloat(span) > 0.01))
        .map(([one]) => one.tagName + "." + one.className).slice(0, 3)"""
    found: dict[str, Any] = {}
    options = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2, "reduced_motion": "reduce"}
    with page_of(chrome, live_server, session, **options) as (page, _):
        page.set_default_timeout(60_000)
        for path in paths:
            page.goto(path)
            problems = [page.evaluate(wide) or None, *page.evaluate(moving)]
            if any(problems):
                found[path] = problems
    assert found == {}
