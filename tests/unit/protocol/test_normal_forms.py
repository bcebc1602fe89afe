"""Names, addresses and passwords have one form, however they were typed."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from idp.protocol.text import normal_forms

KELVIN, WIDE_A, OHM = "\u212a", "\uff41", "\u2126"


@pytest.mark.spec("RFC 8265", "3.3.2", "User names are compared in lower case and in NFC")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Mary@FabrikamCorp.com", "mary@fabrikamcorp.com"),
        ("JOSÉ", "josé"),
        ("Jose\u0301", "jos\u00e9"),
        ("JOSE\u0301", "jos\u00e9"),
        ("\u0419", "\u0439"),  # the Cyrillic short I, and the same in two parts
        ("\u0418\u0306", "\u0439"),
        ("\u1112\u1161\u11ab", "\ud55c"),  # Hangul as macOS writes it
        ("GRÖ\u1e9eE", "größe"),
    ],
)
def test_a_name_is_the_same_in_every_case_and_form(typed, kept):
    assert normal_forms.name(typed) == kept


@pytest.mark.spec("RFC 8264", "9.17", "A letter with a compatibility equivalent is never that equivalent")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{KELVIN}arl", "karl"),
        (f"{WIDE_A}nn", "ann"),
        (f"{OHM}", "\u03c9"),
        ("b\u0131ll", "bill"),
        ("b\u0130ll", "bill"),
        ("straße", "strasse"),
        ("\ufb01n", "fin"),
        ("\u00aa", "a"),
    ],
)
def test_a_name_that_only_looks_like_another_is_another(one, other):
    assert normal_forms.name(one) != normal_forms.name(other)


def test_only_letters_that_stand_for_others_are_refused_in_new_names():
    assert normal_forms.has_look_alike(f"{KELVIN}arl")
    assert normal_forms.has_look_alike(f"{WIDE_A}nn")
    assert not any(map(normal_forms.has_look_alike, ("karl", "josé", "jose\u0301", "straße", "김철수", "МАРИЯ")))


def test_a_name_in_its_form_keeps_it():
    letters = map(chr, range(sys.maxunicode + 1))
    assert [hex(ord(letter)) for letter in letters if not _is_settled(f"a{letter}b")] == []


def _is_settled(text: str) -> bool:
    once = normal_forms.name(text)
    return normal_forms.name(once) == once


@pytest.mark.spec("RFC 8265", "4.2.2", "Passwords are compared in NFC, with every kind of space as U+0020")
def test_a_password_is_the_same_in_every_form_but_never_in_another_case():
    assert normal_forms.password("Schlu\u0308ssel\u00a0bund") == "Schl\u00fcssel bund"
    assert normal_forms.password(f"{WIDE_A}bc") == f"{WIDE_A}bc"
    assert normal_forms.password("Geheim") == "Geheim"


@pytest.mark.parametrize(
    "typed", ["plain ascii", "Schl\u00fcssel", "Schlu\u0308ssel", "a\u00a0b", "a\u0308\u00fc\u2003"]
)
def test_a_password_is_looked_for_in_two_forms_at_most(typed):
    spellings = normal_forms.password_spellings(typed)
    assert len(spellings) <= (1 if typed.isascii() else 2)
    assert spellings[0] == normal_forms.password(typed)
    assert typed in spellings


def test_a_password_that_a_mac_set_before_is_found_from_elsewhere():
    assert unicodedata.normalize("NFD", "Schlüssel") in normal_forms.password_spellings("Schlüssel")
