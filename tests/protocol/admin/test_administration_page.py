"""docs/administration.md: its steps are done as they stand there, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from sessions_app.models import SSOSession
from tests.protocol.admin.scene import came_of, end, scene
from tests.support.chromium import chromium
from tests.support.factories import make_session, make_user
from tests.support.pages import follow, page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
TEXT = (Path(__file__).parents[3] / "docs" / "administration.md").read_text()
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
STEP = re.compile(r"^\d+\. (.+)$", re.MULTILINE)


def sections() -> list[tuple[str, list[str]]]:
    _, *parts = SECTION.split(TEXT)
    return [(title, STEP.findall(text)) for title, text in zip(parts[::2], parts[1::2], strict=True)]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    """Mary left her office, where one application did not answer, and sits at home."""
    found = scene()
    end(found.ended)
    came_of(found.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    make_session(found.mary, found.debugger)
    wrong = {"client_id": found.debugger.client_id, "redirect_uri": f"{found.debugger.callbacks[0]}/"}
    Client().get("/authorize", {**wrong, "response_type": "code"})
    Authenticator.objects.create(user=found.mary, type=Authenticator.Type.TOTP, data={"secret": "sealed elsewhere"})
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


@pytest.mark.parametrize(("title", "steps"), sections(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_steps_lead_where_the_page_says(
    chrome: Browser, live_server: Any, boss: SSOSession, title: str, steps: list[str]
) -> None:
    assert steps
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto("/admin/")
        for step in steps:
            do(page, step)


def do(page: Page, step: str) -> None:
    if opened := re.fullmatch(r"Open \*(.+?)\*(?:, then \*(.+?)\*)?\.", step):
        follow(page, page.locator(".tasks").get_by_role("link", name=opened[1], exact=True))
        if opened[2]:
            follow(page, page.locator(".places").get_by_role("link", name=opened[2], exact=True))
    elif typed := re.fullmatch(r"Type `(.+)` into \*(.+)\*\.", step):
        inside = page.locator("#content-start").get_by_label(typed[2])
        (inside if inside.count() else page.get_by_label(typed[2])).first.fill(typed[1])
    elif pressed := re.fullmatch(r"Press \*(.+)\*\.", step):
        button, link, choice = (
            page.get_by_role(role, name=pressed[1], exact=True) for role in ("button", "link", "radio")
        )
        if choice.count():
            choice.first.click()
        else:
            follow(page, button.or_(link).first)
    elif ticked := re.fullmatch(r"Tick \*(.+)\*\.", step):
        page.locator("#content-start").get_by_label(ticked[1]).check()
    elif chosen := re.fullmatch(r"Choose \*(.+)\* in \*(.+)\*\.", step):
        page.locator("#content-start").get_by_label(chosen[2]).select_option(label=chosen[1])
    elif said := re.fullmatch(r'The page says "(.+)"\.', step):
        expect(page.locator("#content-start")).to_contain_text(said[1])
    else:
        pytest.fail(f"nobody can do this step: {step}")
