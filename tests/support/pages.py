"""A page of somebody who is signed in, against pytest-django's server, and what its console complained about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from playwright.sync_api import Browser, Locator, Page

from sessions_app.models import SSOSession


@contextmanager
def page_of(
    chrome: Browser, server: Any, session: SSOSession | None = None, **options: Any
) -> Iterator[tuple[Page, list[str]]]:
    """In a browser profile of its own; without a session: nobody's."""
    context = chrome.new_context(base_url=server.url, **options)
    context.set_default_timeout(15_000)
    if session is not None:
        cookie = {"name": settings.SSO_COOKIE_NAME, "value": session.raw_cookie, "url": server.url}  # type: ignore[attr-defined]
        context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    try:
        yield page, listen(page)
    finally:
        context.close()


def listen(page: Page) -> list[str]:
    """What its console complains of from now on."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


def follow(page: Page, link: Locator) -> None:
    """Press it and be on the page that it leads to: a field of the same name on the page before would take what is typed."""
    with page.expect_navigation():
        link.click()
