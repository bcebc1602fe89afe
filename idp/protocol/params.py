"""Request parameters of the OAuth endpoints: once each, printable, from a query, a form or a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from idp.protocol.errors import InvalidRequest
from idp.protocol.strict_json import parse_object
from idp.protocol.text.storable import UNSTORABLE

MAX_PARAMETERS = 200
LONGEST_STATE = 8192  # characters of what we give back as it came: `state`, RelayState
REPEATABLE = frozenset({"resource"})  # RFC 8707 section 2


class Params(dict[str, str]):
    """Parameters with a value; an empty one counts as omitted (RFC 6749 section 3.1). Nobody changes them.

    `duplicates` are the names that came more than once: reading one of them gives its first value, and `refuse_duplicates()`
    turns them into an error as soon as it is known where errors go.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = [(name, value) for name, value in pairs if value]
        super().__init__()
        self.duplicates: list[str] = []
        for name, value in self.pairs:
            if name not in self:
                self[name] = value
            elif name not in REPEATABLE:
                self.duplicates.append(name)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def refuse_duplicates(self) -> None:
        if self.duplicates:
            raise InvalidRequest(f"The parameter {printable(self.duplicates[0])} was given more than once.")

    def require(self, name: str) -> str:
        if name not in self:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return self[name]


def from_urlencoded(body: bytes | str) -> Params:
    """`application/x-www-form-urlencoded`, a form's body or a query string. NUL, bad UTF-8 and too many fields are errors."""
    try:
        text = body.decode("ascii") if isinstance(body, bytes) else body
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except (UnicodeDecodeError, ValueError):
        raise InvalidRequest("The parameters cannot be read.") from None
    return _checked(pairs)


def from_json(body: bytes) -> Params:
    """A JSON object of strings (Auth0's SDKs send it); numbers and booleans are taken in their JSON spelling."""
    try:
        document = parse_object(body)
    except ValueError as error:
        raise InvalidRequest(f"The body cannot be read as a JSON object: {error}.") from None
    return Params((name, text) for name, value in document.items() for text in _texts(name, value))


def _texts(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool | int):
        return [json.dumps(value)]
    if name in REPEATABLE and isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    raise InvalidRequest(f"The parameter {printable(name)} must be a string.")


def _checked(pairs: list[tuple[str, str]]) -> Params:
    for name, value in pairs:
        if UNSTORABLE.search(name) or UNSTORABLE.search(value):
            raise InvalidRequest("The parameters contain characters that are not allowed.")
    return Params(pairs)


def printable(text: str) -> str:
    """A peer's text for an error description: the characters of RFC 6749 section 5.2, at most 60 of them."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:60])
