"""Longer words, and a language that runs from right to left, break no page: on a telephone, and at 200 % on a small screen.
German and French fit there, and nothing English is left among them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.sync_api import Browser, Page

from idp.models import User
from tests.protocol.pages import states
from tests.protocol.pages.test_every_page_in_chromium import sign_in
from tests.support import axe, catalogues, fabrikam
from tests.support.chromium import chromium
from tests.support.looking import BESIDE
from tests.support.pages import page_of
from tests.support.site_map import Rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
INVENTED = "ar"  # runs from right to left; its words are ours, longer, in letters that do so
NARROW, SMALL = 390, 640  # a telephone; 1280 pixels at 200 %
PUBLIC = ("/login", "/account/password/reset/", "/account/password/reset/done/", "/logout/complete", "/nothing-here")
OWN = (
    *("/", "/account/", "/account/mfa/", "/account/mfa/webauthn/", "/account/mfa/recovery-codes/"),
    *("/account/sessions", "/account/applications", "/account/activity", "/activate", "/oidc/logout"),
)
OVERFLOWS = """() => [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 || element.getBoundingClientRect().left < -1)
  .filter((element) => !element.closest(".visually-hidden, .skip-link, .sign-out-frames"))
  .map((element) => element.outerHTML.slice(0, 120))"""

# What a list shows of itself before it is opened is not wrapped: it is cut.
CUT = """() => [...document.querySelectorAll("select")].flatMap((list) => {
  const pen = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(list);
  pen.font = style.font;
  const room = list.clientWidth - parseFloat(style.paddingInlineStart) - parseFloat(style.paddingInlineEnd) - 20; // the arrow
  return [...list.options].map((one) => one.text).filter((text) => pen.measureText(text).width > room);
}).map((text) => `cut in a list: ${text}`)"""
SAID = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) found.push(walker.currentNode.data.replace(/\\s+/g, " ").trim());
  return found;
}"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def invented(settings: Any, tmp_path: Path) -> None:
    """Every text of ours, a third longer and between letters that run from right to left."""
    catalog = Catalog(locale=INVENTED, charset="utf-8")
    for message in catalogues.wanted():
        if isinstance(message.id, str) and message.id:
            catalog.add(message.id, _invented(message.id))
        elif message.id:
            catalog.add(message.id, tuple(_invented(message.id[1]) for _ in range(catalog.num_plurals)))
    written = io.BytesIO()
    write_mo(written, catalog)
    target = tmp_path / INVENTED / "LC_MESSAGES" / "django.mo"
    target.parent.mkdir(parents=True)
    target.write_bytes(written.getvalue())
    settings.LOCALE_PATHS = [str(tmp_path)]
    settings.LANGUAGES = [*settings.LANGUAGES, (INVENTED, "Invented")]


def _invented(text: str) -> str:
    return text if text in DATES else f"{HEBREW} {text} {f'{HEBREW} ' * (1 + len(text) // 12)}".strip()


HEBREW = "\u05d0\u05d1\u05d2"
DATES = {"j F Y, H:i T", "j M Y", "j M Y, H:i T", "l, j M Y"}


@pytest.mark.parametrize(
    ("language", "direction", "width", "scheme"),
    [("ar", "rtl", NARROW, "dark"), ("de", "ltr", SMALL, "light")],
)
def test_pages_hold_what_they_say(
    chrome: Browser,
    live_server: Any,
    invented: None,
    person_in: Callable[[str], User | None],
    furnished: Callable[[], Rows],
    language: str,
    direction: str,
    width: int,
    scheme: Any,
) -> None:
    furnished()
    mary = person_in("second factor")
    look = Look(language, direction)
    options = {"locale": language, "color_scheme": scheme, "viewport": {"width": width, "height": 844}}
    with page_of(chrome, live_server, **options) as (page, _):
        look.at_all(page, PUBLIC, lambda: None)
        look.at_all(page, OWN, lambda: sign_in(page, mary, live_server.url))
    assert not look.found


def test_german_and_french_fit_a_telephone(chrome: Browser, live_server: Any) -> None:
    it, found = fabrikam.build(), {}
    for language in catalogues.languages():
        english = _english_of(language)
        with page_of(chrome, live_server, locale=language, viewport={"width": NARROW, "height": 844}) as (page, _):
            for name, go in MET.items():
                go(states.Stage(page, it, live_server.url))
                left = [text for text in page.evaluate(SAID) if text in english]
                if problems := [*left, *page.evaluate(OVERFLOWS), *page.evaluate(BESIDE), *page.evaluate(CUT)]:
                    found[language, name] = problems
    assert not found


MET: dict[str, Callable[[states.Stage], Any]] = {
    "login": lambda at: at.page.goto("/login"),
    "device": states.device,
    "sessions": states.sessions,
    "profile": lambda at: at.page.goto("/account/"),
    "methods": lambda at: at.page.goto("/account/mfa/"),
    "applications": lambda at: at.page.goto("/account/applications"),
    "sign-out": states.sign_out_fails,
}


def _english_of(language: str) -> set[str]:
    """Texts that nobody may meet in this language: those that it says in other words."""
    known = ((message.id, message.string) for message in catalogues.read(language))
    return {text for text, said in known if isinstance(text, str) and text and text != said}


class Look:
    def __init__(self, language: str, direction: str) -> None:
        self.language, self.direction = language, direction
        self.found: dict[str, list[str]] = {}

    def at_all(self, page: Page, paths: tuple[str, ...], before: Callable[[], None]) -> None:
        for path in paths:
            before()
            page.goto(path)
            said = page.evaluate("() => [document.documentElement.lang, document.documentElement.dir]")
            problems = [*axe.problems(page), *page.evaluate(OVERFLOWS)]
            if said != [self.language, self.direction]:
                problems.append(f"is in {said}")
            if problems:
                self.found[path] = problems
