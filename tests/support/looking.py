"""A page as everybody may meet it: in the light and in the dark, on a screen and on a telephone.

`PAGES_SCREENSHOTS=folder` keeps pictures of what was looked at.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from playwright.sync_api import Page

from tests.support import axe

SCREENSHOTS = os.environ.get("PAGES_SCREENSHOTS", "")
WIDE, NARROW, NARROWEST = ({"width": width, "height": 900} for width in (1280, 390, 320))
TALLEST = 3000  # pixels of a picture
OPEN = "document.querySelectorAll('details').forEach((one) => one.open = true)"
ARRIVE = (  # colours that are on their way from one to the other
    "document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity).forEach((one) => one.finish())"
)
BESIDE = """() => [document.documentElement, ...document.querySelectorAll(".results")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth)
    .map((one) => `${one.className || "the page"} is ${one.scrollWidth - one.clientWidth} px too wide at ${innerWidth}`)"""


def look(page: Page, name: str) -> list[str]:
    """What is wrong with it: whatever axe knows in the light; then what the dark and a small screen may change."""
    page.evaluate(OPEN)
    _as(page, "light", WIDE)
    found = [*axe.problems(page), *page.evaluate(BESIDE)]
    shoot(page, f"{name}-light")
    _as(page, "dark", NARROW)
    found += [f"narrow and dark: {line}" for line in [*axe.again(page), *page.evaluate(BESIDE)]]
    shoot(page, f"{name}-narrow")
    page.set_viewport_size(NARROWEST)
    return [*found, *page.evaluate(BESIDE)]


def _as(page: Page, scheme: str, size: dict[str, int]) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.evaluate(ARRIVE)


def shoot(page: Page, name: str) -> None:
    if not SCREENSHOTS:
        return
    cdp = page.context.new_cdp_session(page)
    size = cdp.send("Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], TALLEST), "scale": 1}
    options = {"format": "jpeg", "quality": 60, "captureBeyondViewport": True, "clip": clip, "optimizeForSpeed": True}
    taken = cdp.send("Page.captureScreenshot", options)["data"]
    cdp.detach()
    (Path(SCREENSHOTS) / f"{re.sub(r'[^a-zA-Z0-9=-]+', '_', name)[:110]}.jpg").write_bytes(base64.b64decode(taken))
