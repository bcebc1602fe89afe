"""Which registered address was probably meant, and what differs."""

from __future__ import annotations

import pytest

from idp.protocol.nearest_uri import difference, nearest

CALLBACK = "https://app.example.com/callback"


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (CALLBACK, ""),
        (f"{CALLBACK}/", "the slash at the end"),
        ("https://app.example.com/Callback", "capital letters"),
        ("http://app.example.com/callback", "http instead of https"),
        ("https://www.app.example.com/callback", "host"),
        ("https://app.example.com:8443/callback", "port"),
        ("https://app.example.com/auth/callback", "path"),
        (f"{CALLBACK}?next=1", "query"),
        ("http://localhost:3000/callback", "scheme, host, port"),
        ("https://app.example.com:x/callback", "it is no address"),
        (f"{CALLBACK}#x", "its spelling"),
    ],
)
def test_the_difference_is_said_in_words(came: str, words: str) -> None:
    assert difference(came, CALLBACK) == words


def test_the_same_host_is_nearer_than_similar_letters() -> None:
    registered = ["https://app.example.org/callback", "https://app.example.com/another/way/back"]
    assert nearest("https://app.example.com/callback", registered) == registered[1]


def test_among_addresses_of_one_host_the_most_similar_is_nearest() -> None:
    registered = [f"{CALLBACK}/silent", CALLBACK, "https://app.example.com/"]
    assert nearest("http://app.example.com/callback", registered) == CALLBACK


def test_without_any_there_is_no_nearest() -> None:
    assert nearest(CALLBACK, []) == ""
