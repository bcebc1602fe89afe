"""The account area in a real browser: read by axe in both themes and narrow, by keyboard and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from idp.models import User
from sessions_app.models import Consent, SessionEvent
from tests.protocol.account_area.conftest import DESK
from tests.support import axe, second_factors
from tests.support.chromium import chromium
from tests.support.factories import make_session
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PAGES = (
    "/account/",
    "/account/mfa/",
    "/account/sessions",
    "/account/applications",
    "/account/applications/photo-prints/remove",
    "/account/activity",
    "/account/password/change/",
    "/account/mfa/webauthn/",
)
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def lived_in(mary: User, consent: Consent) -> User:
    second_factors.give_all(mary)
    facts = {"sub": mary.user_id, "user_agent": DESK, "ip": "192.0.2.7"}
    for kind in ("opened", "joined", "sign_in_failed"):
        SessionEvent.objects.create(type=kind, client_id="photo-prints" if kind == "joined" else "", **facts)
    return mary


@pytest.mark.parametrize(("scheme", "size"), [("light", None), ("dark", NARROW)], ids=["light", "dark and narrow"])
def test_everybody_can_read_every_page(
    chrome: Browser, live_server: Any, lived_in: User, photos: Any, scheme: str, size: Any
) -> None:
    session = make_session(lived_in, photos)
    with page_of(chrome, live_server, session, color_scheme=scheme, viewport=size) as (page, complaints):
        for path in PAGES:
            page.goto(path)
            assert complaints == [], path
            assert axe.problems(page) == [], path
            complaints.clear()  # of axe's own styles, which the policy forbids
            wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not page.evaluate(wide), f"{path} is wider than the window"


def test_by_keyboard_and_without_javascript(chrome: Browser, live_server: Any, lived_in: User, photos: Any) -> None:
    session = make_session(lived_in, photos)
    with page_of(chrome, live_server, session, java_script_enabled=False) as (page, complaints):
        page.goto("/account/")
        for name in ("Skip to the content", "Profile", "Sign-in methods", "Sessions", "Applications"):
            page.keyboard.press("Tab")
            expect(page.locator(":focus")).to_have_text(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Applications", exact=True)).to_have_attribute("aria-current", "page")
        page.get_by_role("link", name="Photo Prints").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Remove Photo Prints?")
        page.get_by_role("button", name="Remove it").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Photo Prints cannot act for you any more.")
        page.get_by_role("link", name="Activity", exact=True).press("Enter")
        expect(page.locator(".activity")).to_contain_text("Photo Prints cannot act for you any more.")
        expect(page.locator(".activity")).to_contain_text("Being told: Photo Prints")
        assert complaints == []
