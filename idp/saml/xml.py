"""Reading XML that others wrote. Nothing is fetched, no entity is expanded, and what is refused is refused before it is parsed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from lxml import etree

Element = Any  # lxml brings no types
_DECLARATION = re.compile(r"<\?xml\s[^<>]*\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']*)["']""")
# xs:dateTime in UTC (SAML core section 1.3.3). Fractions may have any number of digits.
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)")


# What is no character of XML 1.0 (section 2.2): it cannot even be written as a reference.
_UNSAYABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # .NET writes one; it is no part of the document (Unicode section 23.8)


class Unreadable(Exception):
    """Not the kind of XML that we read. The text is a clause for the administrator."""


def parse_message(data: bytes) -> Element:
    """A protocol message: UTF-8 without any markup declaration (DOCTYPE, CDATA, comment) or processing instruction.

    `<` can stand for nothing else in well-formed XML than the beginning of markup, so that the two searches below see every one
    of them, whatever a parser makes of it. With none there, all parsers read the same text in the same elements.
    """
    text = _utf8(data)
    if declaration := _DECLARATION.match(text):
        encoding = _ENCODING.search(declaration[0])
        if encoding and encoding[1].upper() != "UTF-8":
            raise Unreadable("is not in UTF-8")
    body = text[declaration.end() :] if declaration else text
    if "<!" in body:
        raise Unreadable("has a document type, a comment or a CDATA section")
    if "<?" in body:
        raise Unreadable("has a processing instruction")
    return _parse(data)


def parse_document(data: bytes) -> Element:
    """A metadata document, which people edit: comments are dropped, a document type is refused."""
    root = _parse(data)
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("has a document type")
    return root


def text_of(element: Element) -> str:
    """The text of an element that has nothing but text in it."""
    if len(element):
        raise Unreadable(f"has elements inside {etree.QName(element).localname}")
    return (element.text or "").strip()


def instant(value: str) -> datetime:
    match = _INSTANT.fullmatch(value)
    if match is None:
        raise Unreadable(f"has a time that is not a UTC time: {value[:40]}")
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable(f"has a time that no calendar has: {value[:40]}") from None
    return moment.replace(microsecond=int((match[2] or "")[:6].ljust(6, "0")))


def _utf8(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("is not in UTF-8") from None
    if not text.lstrip("\t\r\n ").startswith("<") or "\0" in text:
        raise Unreadable("is not XML")
    return text


def is_sayable(text: str) -> bool:
    """Whether a document can hold it."""
    return _UNSAYABLE.search(text) is None


def sayable(text: str) -> str:
    """With a replacement for each character that a document cannot hold: left out, one text could become another."""
    return _UNSAYABLE.sub("\ufffd", text)


def parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _parse(data: bytes) -> Element:
    try:
        return etree.fromstring(data, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"is not well-formed XML: {error}") from None
