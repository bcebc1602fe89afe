"""The console's pages in a real browser: everybody can read them, they are as wide as the screen, and tasks can be done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, expect

from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import SSOSession
from tests.protocol.admin.scene import FIREFOX, Scene, came_of, end, refresh_tokens, scene
from tests.support.chromium import chromium
from tests.support.factories import make_session, make_user
from tests.support.looking import shoot
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


@pytest.fixture
def happened(transactional_db: None) -> Scene:
    found = scene()
    for hours in (20, 9, 5, 3):
        earlier = make_session(found.mary, found.debugger, found.sharepoint, last_user_agent=FIREFOX)
        event = end(earlier)
        for application, after in ((found.debugger, 0.2 * hours), (found.sharepoint, 0.03 * hours)):
            came_of(application, "delivered", status=204, after=after)
        back = timedelta(hours=hours)
        LogoutEvent.objects.filter(pk=event.pk).update(at=event.at - back)
        for row in LogoutDelivery.objects.filter(event=event):
            moved = {"created_at": row.created_at - back, "finished_at": row.finished_at and row.finished_at - back}
            LogoutDelivery.objects.filter(pk=row.pk).update(**moved)
    end(found.ended, timezone.now() - timedelta(minutes=9))
    LogoutDelivery.objects.filter(session=found.ended).update(created_at=timezone.now() - timedelta(minutes=9))
    came_of(found.debugger, "delivered", status=204)
    came_of(found.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    refresh_tokens(found.mary, found.timesheet, offline=True)
    return found


def test_an_administrator_finds_mary_sees_that_she_is_in_and_ends_everything(
    chrome: Browser, live_server: Any, boss: SSOSession, happened: Scene
) -> None:
    make_session(happened.mary, happened.debugger, last_user_agent=FIREFOX)
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(reverse("admin:index"))
        page.fill("#find", "mary@fabrikamcorp.com")
        page.click(".find input[type=submit]")
        expect(page.locator("#answer")).to_contain_text("is signed in: 1 live session, in JWT Debugger")
        page.click("text=End everything")
        assert "the applications are told" in page.inner_text(".ask")
        page.click("input[type=submit][value='End everything']")
        assert "is signed out of 1 session" in page.inner_text(".messagelist")
        expect(page.locator("#answer")).to_contain_text("is out here, and perhaps not everywhere")
        assert "No answer: SharePoint Intranet" in page.inner_text(".answer")


def test_evidence_of_a_person_is_paper_and_json(
    chrome: Browser, live_server: Any, boss: SSOSession, happened: Scene
) -> None:
    with page_of(chrome, live_server, boss) as (page, complaints):
        page.goto(reverse("admin:evidence"))
        page.fill("[name=person]", "mary@fabrikamcorp.com")
        page.click("text=Report >> nth=-1")
        page.wait_for_selector(".paper-head")
        assert "Old Wiki: it has no logout URL" in page.inner_text("#content")
        page.emulate_media(media="print")
        assert not page.locator(".console-bar").is_visible()
        assert not page.locator(".question").is_visible()
        shoot(page, "evidence-paper")
        page.emulate_media(media="screen")
        with page.expect_download() as download:
            page.click("text=JSON")
        assert download.value.suggested_filename.startswith("curfew-evidence-")
        assert complaints == []
