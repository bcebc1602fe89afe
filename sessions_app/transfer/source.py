"""Objects of a file, one after another, of a JSON array or of JSON lines: whatever its length, one object is held at a time."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

CHUNK = 64 * 1024  # bytes
LONGEST = 256 * 1024  # characters of one object: a batch of them is held
_BETWEEN = re.compile(r"[\s,]*")


class BadSource(Exception):
    """A sentence that says where the file cannot be read any further."""


def rows(file: BinaryIO) -> Iterator[Any]:
    """Raises BadSource after the last row that could be read."""
    text = _Text(file)
    is_array = text.opens_with("[")
    number = 0
    while not text.is_over(closing="]" if is_array else ""):
        number += 1
        yield text.value(f"row {number}")


def digest(file: BinaryIO) -> str:
    """By which the same file is known again. The file is at its beginning afterwards."""
    found = hashlib.sha256()
    while chunk := file.read(CHUNK):
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()


class _Text:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.decode = _utf8()
        self.buffer, self.at, self.is_read = "", 0, False
        self.decoder = json.JSONDecoder(parse_constant=_no_number)

    def opens_with(self, mark: str) -> bool:
        if self._next() != mark:
            return False
        self.at += 1
        return True

    def is_over(self, *, closing: str) -> bool:
        found = self._next()
        if closing and found == closing:
            self.at += 1
            if self._next():
                raise BadSource("something follows the end of the list")
            return True
        if closing and not found:
            raise BadSource("the list does not end: the file was cut off")
        return not found

    def value(self, name: str) -> Any:
        while True:
            try:
                found, self.at = self.decoder.raw_decode(self.buffer, self.at)
                return found
            except (ValueError, RecursionError):
                if len(self.buffer) - self.at > LONGEST:
                    raise BadSource(f"{name} is no JSON, or longer than {LONGEST:,} characters") from None
                if not self._more():
                    raise BadSource(f"{name} is no JSON") from None

    def _next(self) -> str:
        """The next character that is not between two rows, "" at the end."""
        while True:
            self.at = _BETWEEN.match(self.buffer, self.at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self.at < len(self.buffer):
                return self.buffer[self.at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        if self.is_read:
            return False
        chunk = self.file.read(CHUNK)
        self.is_read = not chunk
        try:
            self.buffer = self.buffer[self.at :] + self.decode(chunk, not chunk)
        except UnicodeDecodeError:
            raise BadSource("the file is not UTF-8") from None
        self.at = 0
        return True


def _utf8() -> Any:

    return codecs.getincrementaldecoder("utf-8-sig")().decode


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
