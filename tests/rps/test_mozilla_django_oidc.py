"""PyPI mozilla-django-oidc, unmodified: login and RP-initiated logout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.rps.conftest import World
from tests.rps.running import HERE, MARY, program, sign_in

pytestmark = pytest.mark.once
RP_INITIATED = "OpenID Connect RP-Initiated Logout 1.0"


@pytest.fixture(scope="module")
def places(world: World) -> Iterator[tuple[str, str]]:
    env = {**world.env("mozilla"), "DATABASE": str(world.folder / "mozilla.sqlite3")}
    with program([sys.executable, str(HERE / "django_app.py")], env, world.folder, world.ports["mozilla"]):
        yield world.issuer, world.url("mozilla")


def state(page: Page, base: str) -> dict[str, Any]:
    return dict(json.loads(page.goto(f"{base}/").text()))  # type: ignore[union-attr]


def log_in(page: Page, base: str) -> None:
    page.goto(f"{base}/oidc/authenticate/")
    sign_in(page)
    page.wait_for_url(f"{base}/")
    found = state(page, base)
    assert (found["signedIn"], found["email"]) == (True, MARY)


def log_out(page: Page, base: str) -> None:
    """POST the package's logout view, as a template of its documentation does, and come back."""
    token = state(page, base)["csrf"]
    page.set_content(
        f'<form method="post" action="{base}/oidc/logout/"><input name="csrfmiddlewaretoken" value="{token}"></form>'
    )
    with page.expect_navigation(url=f"{base}/"):
        page.evaluate("document.forms[0].submit()")


@pytest.mark.spec(RP_INITIATED, "2", "R7 nobody is asked when the hint is of the current session")
@pytest.mark.spec(RP_INITIATED, "3", "R9 back to exactly the registered URI")
def test_its_logout_ends_the_session_at_curfew_and_comes_back(places: tuple[str, str], page: Page) -> None:
    _, base = places
    log_in(page, base)
    log_out(page, base)
    assert not state(page, base)["signedIn"]
    page.goto(f"{base}/oidc/authenticate/")
    assert page.locator("input[name=password]").is_visible()


@pytest.mark.spec(RP_INITIATED, "4", "R13 nobody signed in is no error")
def test_its_logout_after_signing_out_at_curfew_still_comes_back(places: tuple[str, str], page: Page) -> None:
    issuer, base = places
    log_in(page, base)
    page.goto(f"{issuer}v2/logout")
    log_out(page, base)
    assert not state(page, base)["signedIn"]
