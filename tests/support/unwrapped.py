"""Text of templates that no translator gets to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from django.template.base import Lexer, TokenType

BEGINS, ENDS = ("blocktranslate", "blocktrans", "comment"), ("endblocktranslate", "endblocktrans", "endcomment")
SAID = ("alt", "aria-label", "title", "placeholder")  # attributes that people read or hear
WORD = re.compile(r"[^\W\d_]{2,}")
CLASSES = re.compile(r"{% block body_class %}.*?{% endblock %}")
NAMES = {"Curfew", "UTC"}


def in_template(path: Path) -> list[str]:
    """What a template says by itself, outside of translate and blocktranslate."""
    bare = "".join(_bare(path.read_text()))
    found = [bare] if path.suffix == ".txt" else list(_said(bare))
    return [text for text in map(_squeezed, found) if set(WORD.findall(text)) - NAMES]


def _bare(source: str) -> Iterator[str]:
    """The template without its tags; a quoted text that a tag is given is the tag's, but for `default:"…"` and the like."""
    hidden = False
    source = CLASSES.sub("", source)
    for token in Lexer(source).tokenize():
        word = (token.contents.split() or [""])[0]
        if token.token_type is TokenType.BLOCK and word in BEGINS + ENDS:
            hidden = word in BEGINS
        elif token.token_type is TokenType.TEXT and not hidden:
            yield token.contents
        elif token.token_type is TokenType.VAR and not hidden:
            yield " ".join(re.findall(r"(?:default|pluralize|yesno|join)\w*:[\"']([^\"']*)[\"']", token.contents))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.said += [value for name, value in attrs if name in SAID and value]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.said.append(data)


def _said(html: str) -> list[str]:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.said


def _squeezed(text: str) -> str:
    return " ".join(text.split())
