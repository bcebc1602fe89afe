"""Tags of languages: what an application, a browser and we mean by them."""

from __future__ import annotations

import pytest

from idp.protocol.text.languages import first_known, of_accept_language, of_ui_locales

pytestmark = pytest.mark.once
OURS = ["en", "de", "fr"]


@pytest.mark.parametrize(
    ("ui_locales", "expected"),
    [
        ("de", "de"),
        ("fr-CA fr en", "fr"),
        ("tlh de-AT", "de"),
        ("DE-ch", "de"),
        ("de-Latn-CH-1996", "de"),
        ("xx-invalid _ \x00 en", "en"),
        ("deutsch", ""),
        ("", ""),
        (f"{'xx ' * 400}de", ""),
    ],
)
def test_of_ui_locales_the_first_of_ours_is_spoken(ui_locales: str, expected: str) -> None:
    assert first_known(of_ui_locales(ui_locales), OURS) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("es,en;q=0.5,fr;q=0.7", "fr"),
        ("en;q=0.7, de;q=0.7", "en"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("*", ""),
        ("de;q=2", ""),
        ("de;level=1", ""),
        (",;,=;q", ""),
    ],
)
def test_of_accept_language_the_dearest_of_ours_is_spoken(header: str, expected: str) -> None:
    assert first_known(of_accept_language(header), OURS) == expected
