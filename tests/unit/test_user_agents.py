"""What people read about their devices."""

from __future__ import annotations

import pytest

from sessions_app.protocol.user_agents import UNKNOWN, in_words

pytestmark = pytest.mark.once
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
PIXEL = "Mozilla/5.0 (Linux; Android 10; K)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{WINDOWS} {BLINK} Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {BLINK} Safari/537.36 Edg/139.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {BLINK} Safari/537.36 OPR/122.0.0.0", "Opera on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Windows"),
        (f"{MAC} {WEBKIT} Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (f"{LINUX} AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) " + BLINK + " Safari/537.36", "Chrome on ChromeOS"),
        (f"{PIXEL} {BLINK} Mobile Safari/537.36", "Chrome on Android"),
        (
            f"{PIXEL} AppleWebKit/537.36 SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        ("Mozilla/5.0 (Android 15; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0", "Firefox on Android"),
        (f"{IPHONE} {WEBKIT} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} {WEBKIT} CriOS/139.0.7258.76 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{IPHONE} {WEBKIT} FxiOS/142.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"),
        ("SomethingNew/1.0 (Linux)", f"{UNKNOWN} on Linux"),
        ("curl/8.9.1", UNKNOWN),
        ("", UNKNOWN),
        ("<script>alert(1)</script>", UNKNOWN),
    ],
)
def test_a_user_agent_is_said_in_words(user_agent: str, words: str) -> None:
    assert in_words(user_agent) == words
