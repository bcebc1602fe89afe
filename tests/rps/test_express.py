"""npm express-openid-connect, unmodified: login, RP-initiated logout, and back-channel logout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.rps.conftest import World
from tests.rps.running import HERE, MARY, PATIENCE, program, sign_in
from tests.support.receiver import wait_until

pytestmark = pytest.mark.once
BACK = "OpenID Connect Back-Channel Logout 1.0"


@pytest.fixture(scope="module")
def places(world: World) -> Iterator[tuple[str, str]]:
    with program(["node", str(HERE / "express_app.cjs")], world.env("express"), world.folder, world.ports["express"]):
        yield world.issuer, world.url("express")


def state(page: Page, base: str) -> dict[str, Any]:
    return dict(json.loads(page.goto(f"{base}/").text()))  # type: ignore[union-attr]


def log_in(page: Page, base: str) -> None:
    page.goto(f"{base}/login")
    sign_in(page)
    page.wait_for_url(f"{base}/")
    assert state(page, base) == {"signedIn": True, "email": MARY}


@pytest.mark.spec(BACK, "2.5", "B10 the logout token reaches the application, which ends its session")
def test_signing_out_at_curfew_ends_the_session_of_the_application(places: tuple[str, str], page: Page) -> None:
    issuer, base = places
    log_in(page, base)
    page.goto(f"{issuer}v2/logout")
    wait_until(lambda: not state(page, base)["signedIn"], PATIENCE, "the application still believes that Mary is there")


@pytest.mark.spec(BACK, "2.4", "B9 a logout token with sid alone ends that session only")
def test_the_other_browser_stays_signed_in(places: tuple[str, str], page: Page, browser: Browser) -> None:
    issuer, base = places
    other = browser.new_context().new_page()
    log_in(page, base)
    log_in(other, base)
    page.goto(f"{issuer}v2/logout")
    wait_until(lambda: not state(page, base)["signedIn"], PATIENCE, "the application still believes that Mary is there")
    assert state(other, base)["signedIn"]
    other.context.close()


@pytest.mark.spec("OpenID Connect RP-Initiated Logout 1.0", "2", "R9 back to exactly the registered URI")
def test_its_own_logout_ends_both_sessions_and_comes_back(places: tuple[str, str], page: Page) -> None:
    _, base = places
    log_in(page, base)
    page.goto(f"{base}/logout")
    page.wait_for_url(f"{base}/**")
    assert not state(page, base)["signedIn"]
    page.goto(f"{base}/login")
    assert page.locator("input[name=password]").is_visible()


@contextmanager
def application(world: World, name: str, *, ahead_by: int = 0) -> Iterator[str]:
    """Its session is in a cookie of the browser, so that it may be started anew, `ahead_by` seconds later."""
    early = ["--require", str(HERE / "ahead" / "ahead.cjs")] if ahead_by else []
    env = world.env(name) | {"OWN_SESSION_DAYS": "30", "AHEAD_BY": str(ahead_by)}
    with program(["node", *early, str(HERE / "express_app.cjs")], env, world.folder, world.ports[name]):
        yield world.url(name)


@pytest.mark.spec("IPSIE OpenID Connect SL1", "3", "The application's session ends at session_expiry")
def test_the_application_ends_its_session_when_ours_ends_without_being_told(world: World, page: Page) -> None:
    """A week is the tenant's lifetime of sessions, a month the applications' own. The package ends a session 30 s early."""
    week = 7 * 86400
    with application(world, "bounded") as base, application(world, "unbounded") as other:
        log_in(page, base)
        page.goto(f"{other}/login")  # single sign-on
        page.wait_for_url(f"{other}/")
    for ahead_by, is_signed_in in ((week - 3600, True), (week, False)):
        with application(world, "bounded", ahead_by=ahead_by) as base:
            assert state(page, base)["signedIn"] is is_signed_in
    with application(world, "unbounded", ahead_by=week) as other:
        assert state(page, other)["signedIn"], "it was not told when ours ends, and goes by its own month"
