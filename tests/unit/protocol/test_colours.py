"""Whatever accent colour a tenant chooses can be read in both themes."""

from __future__ import annotations

import pytest

from idp.protocol.text import colours

CHOSEN = ["#2450b8", "#ffdd00", "#000000", "#ffffff", "#ff0000", "#00FF88", "#777777", "#8fb2ff", "#0a0a3c"]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_text_and_buttons_in_it_can_be_read_on_every_ground(chosen: str) -> None:
    for used, grounds, on_it in (
        (colours.light(chosen), ["#ffffff", "#f4f5f7", "#eceef2"], "#ffffff"),
        (colours.dark(chosen), ["#12151b", "#1b2029", "#262c37"], "#101828"),
    ):
        for shade in (used.accent, used.strong):
            assert min(colours.contrast(shade, ground) for ground in [*grounds, on_it]) >= 4.5


def test_a_colour_that_can_be_read_stays_what_it_is() -> None:
    assert colours.light("#2450B8").accent == "#2450b8"
    assert colours.dark("#8fb2ff").accent == "#8fb2ff"


def test_contrast_is_that_of_wcag() -> None:
    assert colours.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colours.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_it_says_in_which_theme_a_colour_is_hard_to_read() -> None:
    yellow = colours.complaint("#ffdd00")
    assert "on light pages it has a contrast of 1.2 to 1" in yellow
    assert "on dark pages" not in yellow
    assert "on dark pages" in colours.complaint("#0a0a3c")
    assert colours.complaint("#777777").count("pages it has a contrast") == 2
