"""Every page of the site map in a real browser: nothing on its console, nothing that axe finds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from idp.models import User
from sessions_app.models import SSOSession
from tests.protocol.pages.conftest import ROLES
from tests.protocol.pages.test_site_map import get, values_of
from tests.support import axe, second_factors
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, browser, make_session
from tests.support.pages import page_of
from tests.support.site_map import Rows, addresses

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
OF_ONE_REQUEST = re.compile(rb'(value|data-csrf|content)="[\w-]{30,}"|"challenge": "[^"]+"|src="data:[^"]+"')
FRAMES = {"/oidc/check-session"}  # no page for people: applications put it into a frame that nobody sees
ITS_OWN_STATUS = "Failed to load resource: the server responded with a status of 4"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Pages that another role was shown in the same words need no second look."""
    return set()


@pytest.mark.parametrize("role", ROLES)
def test_no_page_complains_and_everybody_can_read_it(
    role: str,
    chrome: Browser,
    seen: set[str],
    live_server: Any,
    person_in: Callable[[str], User | None],
    furnished: Callable[[], Rows],
) -> None:
    rows = furnished()
    user = person_in(role)
    paths = [path for path in addresses(rows, values_of(user)) if is_new_page(user, path, seen)]
    found: dict[str, list[str]] = {}
    with page_of(chrome, live_server, color_scheme="dark" if ROLES.index(role) % 2 else "light") as (page, complaints):
        for path in paths:
            sign_in(page, user, live_server.url)
            page.goto(path)
            problems = [line for line in complaints if ITS_OWN_STATUS not in line]
            problems += [] if path in FRAMES else axe.problems(page)
            if problems:
                found[path] = problems
            complaints.clear()  # of axe's own styles, which the policy forbids
    assert paths
    assert found == {}


def is_new_page(user: User | None, path: str, seen: set[str]) -> bool:
    """Whether this path answers with a page of its own, in words that were not looked at yet."""
    answer = get(browser(make_session(user) if user else None), path)
    assert not isinstance(answer, Exception), path
    if not answer["Content-Type"].startswith("text/html") or 300 <= answer.status_code < 400:
        return False
    words = OF_ONE_REQUEST.sub(b"", answer.content)
    if path.startswith("/admin/"):  # the menu beside it is the start page's, and differs with what one may do
        words = words.partition(b'<div id="content"')[2]
    if user is not None:
        words = words.replace(str(user.pk).encode(), b"")
    print_ = hashlib.sha256(words).hexdigest()
    is_new = print_ not in seen
    seen.add(print_)
    return is_new


def sign_in(page: Page, user: User | None, url: str) -> None:
    """Unless the page before signed out."""
    if user is None or SSOSession.objects.filter(user=user, ended_at=None, pk=getattr(page, "session", 0)).exists():
        return
    session = make_session(user)
    page.session = session.pk  # type: ignore[attr-defined]
    page.context.add_cookies([{"name": settings.SSO_COOKIE_NAME, "value": session.raw_cookie, "url": url}])  # type: ignore[attr-defined]


def test_security_keys_can_be_managed(
    chrome: Browser, live_server: Any, person_in: Callable[[str], User | None], client: Client
) -> None:
    session = make_session(person_in("second factor"))
    second_factors.proved_two(session)  # as whoever manages factors has to
    with page_of(chrome, live_server, session) as (page, complaints):
        page.goto("/account/mfa/")
        page.get_by_role("link", name="Manage").click()
        expect(page.locator(".key-row")).to_contain_text("Key ring")
        page.get_by_role("link", name="Rename").click()
        page.get_by_label("Password").fill(PASSWORD)  # before something dangerous
        page.get_by_role("button", name="Confirm").click()
        page.get_by_label("Name").fill("Bureau key")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".key-row")).to_contain_text("Bureau key")
        page.get_by_role("link", name="Remove").click()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("You have none yet.")).to_be_visible()
        assert complaints == []
