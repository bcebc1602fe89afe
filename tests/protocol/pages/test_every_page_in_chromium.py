"""Every page of the site map for every role in a real browser, with the page's own policy: nothing on its console, nothing that
axe finds, nothing beside a telephone's screen; in the light and in the dark.

`PAGES_SCREENSHOTS=folder` keeps a picture of each page that was looked at.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from playwright.sync_api import Browser, Page

from idp.models import User
from sessions_app.models import SSOSession
from tests.protocol.pages.test_site_map import get, values_of
from tests.support import axe, fabrikam, second_factors
from tests.support.chromium import chromium
from tests.support.factories import browser, make_session, make_user
from tests.support.pages import page_of
from tests.support.site_map import addresses

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
SCREENSHOTS = os.environ.get("PAGES_SCREENSHOTS", "")
ROLES = ("visitor", "person", "second factor", "Auditors", "Operators", "Configurators", "superuser")
OF_ONE_REQUEST = re.compile(rb'(value|data-csrf|content)="[\w-]{30,}"|"challenge": "[^"]+"|src="data:[^"]+"')
FRAMES = {"/oidc/check-session"}  # no page for people: applications put it into a frame that nobody sees
ITS_OWN_STATUS = "Failed to load resource: the server responded with a status of 4"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
BESIDE = """() => [document.documentElement, ...document.querySelectorAll(".results")]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)
    .map(e => `${e.className || "page"} is ${e.scrollWidth - e.clientWidth} px too wide`)"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Pages that another role was shown in the same words need no second look."""
    return set()


@pytest.mark.parametrize("role", ROLES)
def test_everybody_can_read_every_page(role: str, chrome: Browser, seen: set[str], live_server: Any) -> None:
    it = fabrikam.build()
    user = somebody(role)
    more = it.admin() if user and user.is_staff else []
    paths = [path for path in [*addresses(it.rows, values_of(user)), *more] if is_new_page(user, path, seen)]
    found: dict[str, list[str]] = {}
    with page_of(chrome, live_server, viewport=WIDE) as (page, complaints):
        for path in paths:
            sign_in(page, user, live_server.url)
            page.goto(path)
            problems = [line for line in complaints if ITS_OWN_STATUS not in line]
            problems += [] if path in FRAMES else look(page, f"{role}{path}")
            if problems:
                found[path] = problems
            complaints.clear()  # of axe's own styles, which the policy forbids
    assert paths
    assert found == {}


def somebody(role: str) -> User | None:
    if role == "visitor":
        return None
    is_staff = role not in ("person", "second factor")
    user = make_user("role@fabrikamcorp.com", is_staff=is_staff, is_superuser=role == "superuser")
    if role == "second factor":
        second_factors.give_all(user)
    if is_staff and role != "superuser":
        user.groups.add(Group.objects.get(name=role))
    return user


def look(page: Page, name: str) -> list[str]:
    """Everything that axe knows in the light; in the dark, colours; on a telephone, the room."""
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    found = [*axe.problems(page), *page.evaluate(BESIDE)]
    shoot(page, f"{name}-light")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    found += [f"narrow and dark: {line}" for line in [*axe.again(page), *page.evaluate(BESIDE)]]
    shoot(page, f"{name}-narrow")
    return found


def shoot(page: Page, name: str) -> None:
    if SCREENSHOTS:
        cdp = page.context.new_cdp_session(page)
        size = cdp.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 3000), "scale": 1}
        shot = cdp.send("Page.captureScreenshot", {"format": "jpeg", "quality": 60, "captureBeyondViewport": True, "clip": clip, "optimizeForSpeed": True})
        cdp.detach()
        (Path(SCREENSHOTS) / f"{re.sub(r'[^a-zA-Z0-9=-]+', '_', name)[:110]}.jpg").write_bytes(base64.b64decode(shot["data"]))


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
