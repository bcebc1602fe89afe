"""An accent colour that can be read in both themes: WCAG 2.2 success criterion 1.4.3 (contrast of text, 4.5 to 1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEX = re.compile(r"#[0-9a-fA-F]{6}")
ENOUGH = 4.5
# The grounds on which static/css/curfew.css writes in the accent colour: the one of each theme that is nearest to it.
LIGHT_GROUND, DARK_GROUND = "#eceef2", "#262c37"
# What is written on the ground of a page: its soft ink, the nearest to any ground, and the accent of those who chose none.
LIGHT_INK, DARK_INK = "#545d6b", "#aab3c1"
LIGHT_ACCENT, DARK_ACCENT = "#2450b8", "#8fb2ff"
BLACK, WHITE = "#000000", "#ffffff"
STEPS = 50


@dataclass(frozen=True, slots=True)
class Accent:
    """One theme's colours: of links and buttons, and of both under the pointer."""

    accent: str
    strong: str


def is_colour(value: str) -> bool:
    return HEX.fullmatch(value) is not None


def light(colour: str, ground: str = LIGHT_GROUND) -> Accent:
    """`ground`: that of the page, if the tenant chose one."""
    accent = _until_readable(_until_readable(colour, LIGHT_GROUND, BLACK), ground, BLACK)
    return Accent(accent, mix(accent, BLACK, 0.25))


def dark(colour: str, ground: str = DARK_GROUND) -> Accent:
    accent = _until_readable(_until_readable(colour, DARK_GROUND, WHITE), ground, WHITE)
    return Accent(accent, mix(accent, WHITE, 0.35))


def light_ground(colour: str) -> str:
    """The colour, or the nearest lighter one on which text can be read."""
    return _until_readable(colour, LIGHT_INK, WHITE)


def dark_ground(colour: str) -> str:
    return _until_readable(colour, DARK_INK, BLACK)


def ground_complaint(colour: str, used: str) -> str:
    """In words, if pages cannot have this colour; "" if they can."""
    if used == colour.lower():
        return ""
    return f"Text would be hard to read on {colour} ({ENOUGH} to 1 is enough), so {used} is used."


def complaint(colour: str) -> str:
    """In words, if this colour cannot be used as it is in one of the themes; "" if it can."""
    found = [
        f"on {name} pages it has a contrast of {contrast(colour, ground):.1f} to 1, so {used.accent} is used there"
        for name, ground, used in (("light", LIGHT_GROUND, light(colour)), ("dark", DARK_GROUND, dark(colour)))
        if used.accent != colour.lower()
    ]
    return f"Text in {colour} is hard to read ({ENOUGH} to 1 is enough): {'; '.join(found)}." if found else ""


def contrast(one: str, other: str) -> float:
    """1 (none) to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mix(colour: str, other: str, share: float) -> str:
    """`share` of 1 is all the other."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _until_readable(colour: str, ground: str, towards: str) -> str:
    mixed = (mix(colour, towards, step / STEPS) for step in range(STEPS + 1))
    return next(candidate for candidate in mixed if contrast(candidate, ground) >= ENOUGH)


def _luminance(colour: str) -> float:
    """WCAG 2.2, definition of relative luminance."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
