from __future__ import annotations

import string
from urllib.parse import urlencode

import pytest

from idp.http.queries import encoded

EVERY = "".join(map(chr, range(128)))


@pytest.mark.parametrize(
    "safe", ["", "/:,@!*()$", "/:,@!*()$?=", string.punctuation], ids=["", "query", "address", "all"]
)
@pytest.mark.parametrize(
    "pairs",
    [[], [("", "")], [(EVERY, EVERY)], [("state", "ü €\N{PILE OF POO} &=+%"), ("ñ", "a b")], [("a", "1"), ("a", "2")]],
    ids=["nothing", "empty", "ASCII", "more than ASCII", "twice"],
)
def test_gives_what_the_standard_library_gives(pairs: list[tuple[str, str]], safe: str) -> None:
    assert encoded(pairs, safe) == urlencode(pairs, safe=safe)
