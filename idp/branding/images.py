"""Pictures that an administrator uploads: what they are is read from their bytes, and nothing that could hold a script is one.

PNG (W3C), JPEG (ITU-T T.81), GIF (89a), WebP (RFC 9649), and for the favicon ICO. SVG is a document with scripts and is refused.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LARGEST = 300_000  # bytes
MOST_PIXELS = 2000  # of either side
TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "ico": "image/x-icon",
}
_FRAMES = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})  # SOF markers
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


class NoPicture(Exception):
    """A sentence that says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`name` is of the content: whatever has the same bytes has the same name."""

    content: bytes
    kind: str
    width: int
    height: int

    @property
    def name(self) -> str:
        return f"{hashlib.sha256(self.content).hexdigest()}.{self.kind}"


def read(content: bytes, *, icon: bool = False) -> Picture:
    """What these bytes are, whatever they were called. Raises NoPicture."""
    if len(content) > LARGEST:
        raise NoPicture(f"It has more than {LARGEST // 1000} kB.")
    for kind, find in _READERS.items():
        try:
            size = find(content)
        except (IndexError, struct.error, StopIteration):
            raise NoPicture("It is damaged: it ends too early.") from None
        if size is not None:
            return _checked(Picture(content, kind, *size), icon)
    raise NoPicture("It is no PNG, JPEG, GIF or WebP. SVG is not taken: it can hold scripts.")


def _checked(picture: Picture, icon: bool) -> Picture:
    if picture.kind == "ico" and not icon:
        raise NoPicture("An ICO is for the favicon only.")
    if not 0 < picture.width <= MOST_PIXELS or not 0 < picture.height <= MOST_PIXELS:
        raise NoPicture(f"It must have between 1 and {MOST_PIXELS} pixels on each side.")
    return picture


Size = tuple[int, int] | None


def _png(content: bytes) -> Size:
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    length, kind, width, height = struct.unpack(">I4sII", content[8:24])
    if (length, kind) != (13, b"IHDR") or not content.endswith(b"IEND\xaeB`\x82"):
        raise NoPicture("It is damaged, or has something behind its end.")
    return width, height


def _jpeg(content: bytes) -> Size:
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    for marker, start in _segments(content):
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[start + 3 : start + 7])
            return width, height
    raise NoPicture("It is damaged: it has no size.")


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Each marker with where its length stands."""
    at = 2
    while content[at] == 0xFF:
        while content[at] == 0xFF:
            at += 1
        marker, at = content[at], at + 1
        if marker in (0xD9, 0xDA):  # the end, or the scan: no size came before it
            return
        if marker not in _ALONE:
            yield marker, at
            at += struct.unpack(">H", content[at : at + 2])[0]


def _gif(content: bytes) -> Size:
    if content[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", content[6:10])
    return width, height


def _webp(content: bytes) -> Size:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    kind = content[12:16]
    if kind == b"VP8X":
        return _three(content[24:27]) + 1, _three(content[27:30]) + 1
    if kind == b"VP8L":
        bits = struct.unpack("<I", content[21:25])[0]
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise NoPicture("It is a WebP that is not known here.")


def _three(raw: bytes) -> int:
    return int.from_bytes(raw, "little") if len(raw) == 3 else -1


def _ico(content: bytes) -> Size:
    if content[:4] != b"\0\0\1\0":
        return None
    count = struct.unpack("<H", content[4:6])[0]
    if not 0 < count <= 20 or len(content) < 6 + 16 * count:
        raise NoPicture("It is damaged: it has no pictures.")
    return content[6] or 256, content[7] or 256


_READERS: dict[str, Callable[[bytes], Size]] = {"png": _png, "jpg": _jpeg, "gif": _gif, "webp": _webp, "ico": _ico}
