"""What people read is translated, all of it, and says the same in each language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.support import catalogues, unwrapped

PLACES = re.compile(r"%\(\w+\)[sd]|\{\w+\}|</?\w+|href=\"[^\"]*\"")
pytestmark = pytest.mark.once


@pytest.mark.parametrize("language", catalogues.languages())
class TestCatalogue:
    def test_it_has_every_text_and_no_other(self, language: str) -> None:
        """`make messages` would change nothing."""
        assert catalogues.gathered(language) == catalogues.path_of(language).read_text()

    def test_every_text_is_translated_and_none_is_guessed(self, language: str) -> None:
        messages = [message for message in catalogues.read(language) if message.id]
        assert not [message.id for message in messages if not all(catalogues.forms(message.string))]
        assert not [message.id for message in messages if message.fuzzy]
        assert not catalogues.read(language).obsolete

    def test_translations_keep_the_places_and_tags_of_the_english_text(self, language: str) -> None:
        wrong = [
            (message.id, form)
            for message in catalogues.read(language)
            for form in (catalogues.forms(message.string) if message.id else ())
            if _places(form) not in [_places(said) for said in catalogues.forms(message.id)]
        ]
        assert not wrong


def test_no_line_of_french_begins_with_its_punctuation() -> None:
    """Before : ; ? ! and inside of « » stands a space that does not break (Imprimerie nationale)."""
    said = [form for message in catalogues.read("fr") if message.id for form in catalogues.forms(message.string)]
    assert not [form for form in said if re.search("(?: |^)[:;?!»]|« ", form)]


def test_the_languages_are_those_with_a_catalogue_and_english() -> None:
    assert {code for code, _ in settings.LANGUAGES} == {"en", *catalogues.languages()}


@pytest.mark.parametrize("path", catalogues.templates(), ids=lambda path: str(path.relative_to(catalogues.ROOT)))
def test_no_text_of_a_template_is_kept_from_translators(path: Path) -> None:
    assert not unwrapped.in_template(path)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Sign in</p>", ["Sign in"]),
        ('<p>{% translate "Sign in" %}</p>', []),
        ("<p>{% blocktranslate %}Sign in{% endblocktranslate %} now</p>", ["now"]),
        ('<img alt="A picture" src="x.png">', ["A picture"]),
        ('{{ name|default:"Somebody" }}', ["Somebody"]),
        ("<script>const unseen = 1;</script>", []),
        ("{# a note #}{% comment %}a note{% endcomment %}", []),
    ],
)
def test_text_that_is_kept_is_found(source: str, found: list[str], tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    template.write_text(source)
    assert unwrapped.in_template(template) == found


def test_scripts_say_nothing_of_their_own() -> None:
    """What a script shows comes from its page: a text in quotes with a space in it is one that nobody translates."""
    found = {}
    for path in (catalogues.ROOT / "static" / "js").glob("*.js"):
        code = re.sub(r"^\s*//.*|(?<=[;{}]) //.*", "", path.read_text(), flags=re.MULTILINE)
        if said := re.findall(r"[\"'`][A-Z][a-z]+ [a-z][^\"'`]*[\"'`]", code):
            found[path.name] = said
    assert not found


def _places(text: str) -> list[str]:
    return sorted(PLACES.findall(text))
