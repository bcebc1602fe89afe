"""JSON from a peer: what two readers could understand in two ways is refused."""

from __future__ import annotations

import pytest

from idp.protocol.strict_json import DEEPEST, parse_object


def test_an_object_is_read():
    text = b'{"a": [1, 2.5, true, null, "\xc3\xa9"], "b": {"c": {}}}'
    assert parse_object(text) == {"a": [1, 2.5, True, None, "é"], "b": {"c": {}}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "null",
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        '{"a": "\\u0000"}',
        '{"a\\u0000": 1}',
        '{"a": "\\ud800"}',
        '{"a": ["\ud800"]}',
        '{"a": 1} x',
        b'{"a": "\xff"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_object(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{\n"a": "\\x"}', "not JSON at line 2, column 7"),
        ('{"a": ' + "9" * 5000 + "}", "a number is too large"),
        ("[]", "not an object"),
    ],
)
def test_why_is_said_in_words_that_an_error_description_may_have(text, why):
    with pytest.raises(ValueError, match=f"^{why}$"):
        parse_object(text)


def test_nesting_ends_somewhere():
    assert parse_object('{"a":' * DEEPEST + "1" + "}" * DEEPEST)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_object('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1))
