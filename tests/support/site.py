"""What is wrong with the documentation's site, once it is built: links that lead nowhere, and words that are none.

`python -m tests.support.site FOLDER` says it of a folder; `make docs` does. `docs/words.txt` has the words that no English
dictionary knows, one a line, in their order.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import html
from spellchecker import SpellChecker

ROOT = Path(__file__).parents[2]
WORDS = ROOT / "docs" / "words.txt"
WORD = re.compile(r"(?<![\w.@/-])[A-Za-z]{2,}(?:['\u2019][a-z]+)?(?![\w@/]|\.\w)")
NOT_PROSE = ("code", "pre", "script", "style", "kbd")
NOT_SPELT = (
    "specs",
    "api",
    "project/changelog",
)  # names of tests, of claims and paths; what was written before a release
HOST = re.compile(r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+)(:\d+)?", re.IGNORECASE)


class Page:
    def __init__(self, path: Path) -> None:
        self._root = html.document_fromstring(path.read_text())

    @cached_property
    def ids(self) -> set[str]:
        return set(self._root.xpath("//@id"))

    @cached_property
    def links(self) -> list[str]:
        return [str(link) for link in self._root.xpath("//@href | //@src")]

    @cached_property
    def words(self) -> set[str]:
        """Of the article, as they are written; an identifier and a name in capitals are none."""
        other = " or ".join(f"ancestor::{name}" for name in NOT_PROSE)
        prose = " ".join(self._root.xpath(f"(//article)[1]//text()[not({other})]"))
        return {word for word in WORD.findall(prose) if word[1:].islower()}


def pages(site: Path) -> dict[str, Page]:
    """By their names from the site's root, without `.html`."""
    return {
        path.relative_to(site).with_suffix("").as_posix(): Page(path)
        for path in sorted(site.rglob("*.html"))
        if path.parts[-2] != "_static"
    }


def broken_links(site: Path, found: Mapping[str, Page]) -> list[str]:
    return [
        f"{name}: {link} ({problem})"
        for name, page in found.items()
        for link in page.links
        if (problem := _problem(site, found, name, link))
    ]


def _problem(site: Path, found: Mapping[str, Page], name: str, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto"):
        return ""
    if parts.scheme or parts.netloc:
        return "" if _is_good_abroad(parts.scheme, parts.netloc, link) else "not a well-formed https address"
    target = (site / name).parent / unquote(parts.path) if parts.path else site / f"{name}.html"
    if not target.is_file():
        return "no such file"
    page = found.get(target.resolve().relative_to(site.resolve()).with_suffix("").as_posix())
    if parts.fragment and page and unquote(parts.fragment) not in page.ids:
        return "no such anchor"
    return ""


def _is_good_abroad(scheme: str, host: str, link: str) -> bool:
    """https, or http to this machine; whether anybody answers there is not asked."""
    if not HOST.fullmatch(host) or re.search(r"[\s<>\"{}|\\^`]", link):
        return False
    return scheme == "https" or (scheme == "http" and host.partition(":")[0] in ("localhost", "127.0.0.1"))


def unknown_words(found: Mapping[str, Page], own: set[str]) -> list[str]:
    """`own` words are known in any case if they are written in small letters, else only as they are."""
    english = SpellChecker()
    return [
        f"{name}: {word}"
        for name, page in found.items()
        if name not in NOT_SPELT
        for word in sorted(page.words)
        if not any(form in own or form in english for form in _forms(word))
    ]


def _forms(word: str) -> Iterator[str]:
    plain = word.replace("\u2019", "'")
    for form in (plain, plain.removesuffix("'s")):
        yield form
        yield form.lower()


def unused_words(found: Mapping[str, Page], own: set[str]) -> list[str]:
    english = SpellChecker()
    used = {form for page in found.values() for word in page.words for form in _forms(word)}
    return sorted(word for word in own if word not in used or word.lower() in english)


def own_words() -> set[str]:
    return set(WORDS.read_text().split())


def problems(site: Path) -> list[str]:
    found, own = pages(site), own_words()
    return [
        *broken_links(site, found),
        *unknown_words(found, own),
        *(f"{WORDS.name}: {word} is not needed" for word in unused_words(found, own)),
    ]


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]))) or 0)
