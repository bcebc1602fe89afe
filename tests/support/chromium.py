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
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

WHOLE = "/usr/bin/chromium"
SHELL = "/usr/bin/chromium-headless-shell"  # the same engine for a quarter of the CPU
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    # Pages of one site and profile share a process, with what it has compiled; other sites keep theirs.
    "--renderer-process-limit=1",
    # A page lives for a second: to optimise its scripts, axe above all, costs more than it gains. What was compiled is kept
    # for the next page. A fifth of the CPU.
    "--js-flags=--no-opt --no-maglev --always-sparkplug --no-flush-bytecode",
]


class _Running:
    """Playwright and its browsers, which begin once in a process: they take two seconds of CPU."""

    def __init__(self) -> None:
        self.playwright = sync_playwright().start()
        self._browsers: dict[str, Browser] = {}

    def browser(self, program: str) -> Browser:
        """Whatever ended the one before, the next test has one."""
        found = self._browsers.get(program)
        if found is None or not found.is_connected():
            found = self.playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        self._browsers[program] = found
        return found

    @property
    def has_ended(self) -> bool:
        """Its driver, a program of its own: nothing can be asked of it any more."""
        return bool(self.playwright._dispatcher_fiber.dead)

    def stop(self) -> None:
        with contextlib.suppress(Error):  # it has ended
            for browser in self._browsers.values():
                browser.close()
            self.playwright.stop()


@functools.cache
def _running() -> _Running:
    return _Running()


def stop() -> None:
    """At the end of the process, by the thread that began it."""
    if _running.cache_info().currsize and not _running().has_ended:
        with _beside_playwright() as running:
            running.stop()
        _running.cache_clear()


@contextlib.contextmanager
def _beside_playwright() -> Iterator[_Running]:
    """Playwright's event loop seems to run in this thread: Django would refuse every query, and asyncio another loop."""
    before = asyncio._get_running_loop()
    if _running.cache_info().currsize and _running().has_ended:
        _running.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        running = _running()
        asyncio._set_running_loop(running.playwright._loop)
        try:
            yield running
        finally:
            asyncio._set_running_loop(before)


@contextlib.contextmanager
def chromium(*, whole: bool = False) -> Iterator[Browser]:
    """The browser of this process, empty in the end; profiles are contexts in it.

    The shell lacks what is no part of a page, such as what a browser offers to fill in and what it loads ahead.
    """
    with _beside_playwright() as running:
        browser = running.browser(WHOLE if whole or not Path(SHELL).exists() else SHELL)
        try:
            yield browser
        finally:
            for context in browser.contexts:
                context.close()


@contextlib.contextmanager
def chromium_with(*arguments: str) -> Iterator[Browser]:
    """Another one, which was told more when it was started."""
    with _beside_playwright() as running:
        browser = running.playwright.chromium.launch(executable_path=WHOLE, args=[*ARGUMENTS, *arguments])
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
            str(folder), executable_path=WHOLE, args=ARGUMENTS, ignore_https_errors=True
        )
        context.set_default_timeout(20_000)
        try:
            yield context
        finally:
            context.close()
