"""Administrators with roles, in a real browser: what each does from start to end, what each is not offered, and the log of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from idp.http.requests import RequestFacts
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession
from tests.protocol.admin.scene import FIREFOX, Scene, came_of, end, scene
from tests.support.chromium import chromium
from tests.support.factories import make_connection, make_session, make_user
from tests.support.pages import follow, page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def boss(transactional_db: None) -> SSOSession:
    return make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))


@pytest.fixture
def happened(boss: SSOSession) -> Scene:
    """Mary signed in, was signed out and guessed wrong; two administrators changed something."""
    found, okta = scene(), make_connection("acme-okta", "okta")
    at, facts = timezone.now(), RequestFacts("203.0.113.7", FIREFOX)
    session = make_session(found.mary, found.debugger, last_user_agent=FIREFOX)
    end(found.ended)
    came_of(found.debugger, "delivered", status=204)
    by_boss = f"admin:{boss.user.user_id}"
    trail.record(EventType.OPENED, at=at, session=session, facts=facts, data={"amr": ["pwd", "otp"]})
    trail.record(EventType.JOINED, at=at, session=session, application=found.debugger, facts=facts)
    trail.record(EventType.SIGN_IN_FAILED, at=at, user=found.mary, connection=okta, facts=RequestFacts("2001:db8:85a3::8a2e:370:7334", FIREFOX))  # fmt: skip
    reference = {"reference": "ABCD-EFGH", "outcome": "refused", "reason": "The identity provider says access_denied: User is not assigned to the client application."}  # fmt: skip
    trail.record(EventType.UPSTREAM_SIGN_IN_FAILED, at=at, connection=okta, facts=facts, data=reference)
    changes = [
        {"what": "redirect_uris", "from": "https://sharepoint.example/callback", "to": "https://sharepoint.example/callback https://new.sharepoint.example/signin-oidc"},
        {"what": "client_secret", "from": "a secret", "to": "another secret"},
    ]  # fmt: skip
    trail.record(EventType.APPLICATION_CHANGED, at=at, application=found.sharepoint, actor=by_boss, facts=facts, data={"changes": changes})  # fmt: skip
    given = [{"what": "roles and groups of administrators", "from": "nothing", "to": "Operators"}]
    trail.record(EventType.POWERS_CHANGED, at=at, user=found.mary, actor=by_boss, facts=facts, data={"changes": given})
    trail.record(EventType.SIGN_IN_THROTTLED, at=at, connection=okta, facts=facts, data={"limits": ["account", "network"]})  # fmt: skip
    return found


def staff(role: str) -> SSOSession:
    person = make_user(f"{role.lower()}@fabrikamcorp.com", is_staff=True)
    person.groups.add(Group.objects.get(name=role))
    return make_session(person)


def tasks(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".tasks a").all_inner_texts()]


def test_roles_from_start_to_end(chrome: Browser, live_server: Any, boss: SSOSession, happened: Scene) -> None:
    """A superuser makes somebody an operator; they sign Mary out; an auditor reads who did it and takes the lines along."""
    other = make_session(make_user("olga@fabrikamcorp.com", name="Olga"))
    with page_of(chrome, live_server, boss, java_script_enabled=False) as (page, _):
        page.goto(reverse("admin:idp_user_change", args=(other.user.pk,)))
        page.click("text=Role in this console")
        page.get_by_label("Operators:").check()
        page.click("input[type=submit][value='Role in this console']")
        expect(page.locator(".messagelist")).to_contain_text("from nothing to Operators")
    with page_of(chrome, live_server, other, java_script_enabled=False) as (page, _):
        page.goto(reverse("admin:index"))
        assert tasks(page) == [
            "Overview",
            "People",
            "Applications",
            "Connections",
            "Sessions",
            "Sign-outs",
            "Audit",
            "Settings",
        ]
        page.fill("#find", "mary@fabrikamcorp.com")
        page.click(".find input[type=submit]")
        offered = page.locator(".object-tools").inner_text().lower()
        assert "end everything" in offered
        for refused in ("Set a password", "Groups and roles", "Role in this console"):
            assert refused.lower() not in offered
        assert page.locator("input[name=_save]").count() == 0
        page.click("text=End everything")
        page.click("input[type=submit][value='End everything']")
        expect(page.locator(".messagelist")).to_contain_text("is signed out of 1 session")
        page.fill("#find", "boss@fabrikamcorp.com")
        page.click(".find input[type=submit]")
        expect(page.locator("h1")).to_contain_text("boss@fabrikamcorp.com")
        assert "End everything".lower() not in page.locator("#content").inner_text().lower()
    with page_of(chrome, live_server, staff("Auditors")) as (page, complaints):
        page.goto(reverse("admin:index"))
        follow(page, page.locator(".tasks").get_by_role("link", name="Audit", exact=True))
        page.locator("#id_person").fill("mary@fabrikamcorp.com")
        follow(page, page.get_by_role("link", name="Last hour"))
        page.locator("#id_person").fill("mary@fabrikamcorp.com")
        page.get_by_label("What happened").select_option("administered")
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".audit table")).to_contain_text("End everything")
        expect(page.locator(".audit table")).to_contain_text("administrator olga@fabrikamcorp.com")
        assert page.locator(".audit tbody tr").count() == 1
        saved = page.url
        assert "within=hour" in saved
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON").click()
        lines = json.loads(Path(download.value.path()).read_text())["lines"]
        assert [(line["actor_name"], line["data"]["act"]) for line in lines] == [
            ("olga@fabrikamcorp.com", "End everything")
        ]
        page.goto(saved)
        assert page.locator(".audit tbody tr").count() == 1
        assert complaints == []
