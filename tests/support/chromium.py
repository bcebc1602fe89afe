"""Debian's Chromium, driven by playwright; nothing is downloaded."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


class _Running:
    """Playwright and its browser, which begin once in a process: they take two seconds of CPU."""

    def __init__(self) -> None:
        self.playwright = sync_playwright().start()
        self.browser = self._launch()

    def _launch(self) -> Browser:
        return self.playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)

    def connected(self) -> Browser:
        if not self.browser.is_connected():  # whatever ended it, the next test has one
            self.browser = self._launch()
        return self.browser


@functools.cache
def _running() -> _Running:
    return _Running()


def stop() -> None:
    """At the end of the process, by the thread that began it."""
    if _running.cache_info().currsize:
        with _beside_playwright() as running:
            running.browser.close()
            running.playwright.stop()
        _running.cache_clear()


@contextlib.contextmanager
def _beside_playwright() -> Iterator[_Running]:
    """Playwright's event loop seems to run in this thread: Django would refuse every query, and asyncio another loop."""
    before = asyncio._get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = _running()
        asyncio._set_running_loop(running.playwright._loop)
        try:
            yield running
        finally:
            asyncio._set_running_loop(before)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this process, empty in the end; profiles are contexts in it."""
    with _beside_playwright() as running:
        browser = running.connected()
        try:
            yield browser
        finally:
            for context in browser.contexts:
                context.close()


@contextlib.contextmanager
def chromium_with(*arguments: str) -> Iterator[Browser]:
    """Another one, which was told more when it was started."""
    with _beside_playwright() as running:
        browser = running.playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


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
def visited(context: BrowserContext) -> Iterator[BrowserContext]:
    """A profile that somebody else has next: without our pages and cookies."""
    before = context.pages
    try:
        yield context
    finally:
        for page in context.pages:
            if page not in before:
                page.close()
        context.clear_cookies()


@contextlib.contextmanager
def profile(folder: Path, *, third_party_cookies: bool) -> Iterator[BrowserContext]:
    """A browser profile with this one preference; a private window would decide it by itself."""
    preferences = folder / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    blocked = {"cookie_controls_mode": 0 if third_party_cookies else 1}
    preferences.write_text(json.dumps({"profile": {**blocked, "block_third_party_cookies": not third_party_cookies}}))
    with _beside_playwright() as running:
        context = running.playwright.chromium.launch_persistent_context(
            str(folder), executable_path="/usr/bin/chromium", args=ARGUMENTS, ignore_https_errors=True
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            context.close()
