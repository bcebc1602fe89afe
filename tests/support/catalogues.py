"""`make messages`: what there is to translate, gathered into `locale/*/LC_MESSAGES/django.po`.

    make messages                 # gather
    make messages LANGUAGES=da    # begin another language

Templates are read as Django reads them for its own `makemessages`; no GNU gettext is needed. A text that is not in use any
more leaves the catalogues, one that is new is empty there, and nothing is guessed from texts that look alike. Entries stand in
the order of the English texts and name no lines, so that two branches seldom meet at the same place.
"""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "locale"
APPS = ("idp", "sessions_app", "logout_app")
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}


def templates() -> list[Path]:
    """Those that end users read: the admin is in English."""
    found = (ROOT / "templates").rglob("*")
    return sorted(path for path in found if path.suffix in (".html", ".txt") and not _of_admin(path))


def modules() -> list[Path]:
    return sorted(path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


@functools.cache
def wanted() -> Catalog:
    """Every text of this moment."""
    catalog = Catalog(charset="utf-8")
    for path in (*templates(), *modules()):
        for message, comments, context in _texts(path):
            catalog.add(message, auto_comments=comments, context=context)
    return catalog


def languages() -> list[str]:
    return sorted(path.name for path in LOCALE.iterdir() if path.is_dir())


def path_of(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "django.po"


@functools.cache
def read(language: str) -> Catalog:
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language, charset="utf-8")


def gathered(language: str) -> str:
    """The catalogue of a language as it is to be, with the translations that there are."""
    old = read(language) if path_of(language).exists() else Catalog(locale=language)
    new = Catalog(locale=language, charset="utf-8", header_comment="")
    new.mime_headers = [("Plural-Forms", _plural_forms(language))]
    for message in wanted():
        if not message.id:
            continue
        known = old.get(message.id if isinstance(message.id, str) else message.id[0], message.context)
        text = known.string if known is not None and known.id == message.id else None
        new.add(message.id, text, auto_comments=message.auto_comments, context=message.context)
    written = io.BytesIO()
    write_po(written, new, width=120, no_location=True, omit_header=True, sort_output=True)
    return _header(new) + written.getvalue().decode()


def gather(language: str) -> None:
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    path_of(language).write_text(gathered(language))


def _plural_forms(language: str) -> str:
    """As Django counts, whose catalogue ours is laid over; CLDR, which Babel knows, counts millions apart in some languages."""
    theirs = Path(django.__file__).parent / "conf" / "locale" / language / "LC_MESSAGES" / "django.po"
    header = theirs.read_bytes().partition(b"\n\n")[0]
    return read_po(io.BytesIO(header)).plural_forms


def _header(catalog: Catalog) -> str:
    """Without dates, tools and names, which would change for nothing."""
    lines = {
        "Language": str(catalog.locale),
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": catalog.plural_forms,
    }
    return 'msgid ""\nmsgstr ""\n' + "".join(f'"{name}: {value}\\n"\n' for name, value in lines.items()) + "\n"


def _of_admin(path: Path) -> bool:
    return "admin" in path.relative_to(ROOT / "templates").parts[:1]


def _texts(path: Path) -> Iterator[tuple[str | tuple[str, ...], list[str], str | None]]:
    source = path.read_text()
    if path.suffix != ".py":
        source = "\n".join(line.strip() for line in templatize(source, origin=str(path)).splitlines())
    found = extract("python", io.BytesIO(source.encode()), KEYWORDS, ("Translators:",), strip_comment_tags=True)
    for _, message, comments, context in found:
        yield message, comments, context


def main() -> None:
    for language in sys.argv[1:] or languages():
        gather(language)
        read.cache_clear()
        missing = sum(not all(forms(message.string)) for message in read(language) if message.id)
        print(f"{language}: {missing} texts are not translated")  # noqa: T201


def forms(string: object) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (str(string),)


if __name__ == "__main__":
    main()
