"""JSON from a peer, read so that two readers cannot understand it in two ways."""

from __future__ import annotations

import json
from typing import Any

from idp.protocol.text.storable import UNSTORABLE

DEEPEST = 16
MOST_DIGITS = 100


def parse_object(text: bytes | str) -> dict[str, Any]:
    """The object in `text`. Raises ValueError for anything else: why, as the end of a sentence. Refused is what `parse` refuses."""
    value = parse(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def parse(text: bytes | str) -> Any:
    """The value in `text`. Raises ValueError: why, as the end of a sentence.

    Refused: repeated names, NaN and infinities, numbers of many digits, characters that cannot be stored, deep nesting.
    """
    try:
        read = text.decode("utf-8") if isinstance(text, bytes) else text
        value = _DECODER.decode(read)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at line {error.lineno}, column {error.colno}") from None
    if not _is_plain(read):
        _check(value, 1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _short(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number is too large")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _is_plain(text: str) -> bool:
    """Nothing to look for inside: too few brackets to be nested too deeply, and no escapes, in which characters could hide."""
    return "\\" not in text and text.count("{") + text.count("[") <= DEEPEST and not UNSTORABLE.search(text)


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise ValueError("text holds characters that are not allowed")
    elif isinstance(value, dict | list):
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        for name in value if isinstance(value, dict) else ():
            _check(name, depth)
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, depth + 1)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_short
)
