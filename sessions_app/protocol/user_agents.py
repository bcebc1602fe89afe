"""A browser and its system in words, for people who look at their own sessions.

User-Agent is what the client says of itself, so it is shown and decides nothing. Browsers name those they descend from as
well: the first match in the order below is the one.
"""

from __future__ import annotations

UNKNOWN = "Unknown browser"
BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Trident/", "Internet Explorer"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def read(user_agent: str) -> tuple[str, str]:
    """Browser and system, such as Firefox and Windows; "": not known."""
    return _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)


def in_words(user_agent: str) -> str:
    """In English, such as "Firefox on Windows"; what is not known is left out, and "Unknown browser" stands for the browser."""
    browser, system = read(user_agent)
    return f"{browser or UNKNOWN} on {system}" if system else browser or UNKNOWN


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for mark, name in names if mark in user_agent), "")
