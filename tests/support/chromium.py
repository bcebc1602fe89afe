"""Debian's Chromium, driven by playwright; nothing is downloaded."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    # Playwright runs its own event loop in this thread; Django would refuse every query beside it.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
            yield browser
            browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@contextlib.contextmanager
def new_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page in a browser profile of its own."""
    context = browser.new_context(**options)
    context.set_default_timeout(15_000)
    try:
        yield context.new_page()
    finally:
        context.close()


@contextlib.contextmanager
def profile(folder: Path, *, third_party_cookies: bool) -> Iterator[BrowserContext]:
    """A browser profile with this one preference; a private window would decide it by itself."""
    preferences = folder / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    blocked = {"cookie_controls_mode": 0 if third_party_cookies else 1}
    preferences.write_text(json.dumps({"profile": {**blocked, "block_third_party_cookies": not third_party_cookies}}))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder), executable_path="/usr/bin/chromium", args=ARGUMENTS, ignore_https_errors=True
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            context.close()
