"""The part of Lucene's syntax that `q` takes: `field:value`, quoted or with a * at its end, NOT or - before, AND between."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logout_app.api.frame.errors import ApiError, invalid_query

_TERM = re.compile(r'\s*(-|NOT\s+)?([\w.]+):("(?:[^"\\]|\\.)*"|[^\s()"]+)\s*')
_AND = re.compile(r"AND\s+")
MOST_TERMS = 10


@dataclass(frozen=True, slots=True)
class Term:
    """`begins`: the value is how it begins."""

    field: str
    value: str
    negated: bool
    begins: bool


def terms(typed: str, fields: list[str]) -> list[Term]:
    """Raises ApiError for what is not understood: a filter that is ignored shows too much. `fields` are for its sentence."""
    rest, found = typed.strip(), list[Term]()
    while rest:
        match = _TERM.match(rest)
        if match is None or len(found) == MOST_TERMS:
            raise not_understood(fields)
        found.append(_term(match[1], match[2], match[3], fields))
        rest = rest[match.end() :]
        if rest:
            joined = _AND.match(rest)
            rest = rest[joined.end() :] if joined else ""
            if not rest:
                raise not_understood(fields)
    return found


def _term(negated: str | None, field: str, value: str, fields: list[str]) -> Term:
    if value.startswith('"'):
        return Term(field, re.sub(r"\\(.)", r"\1", value[1:-1]), bool(negated), begins=False)
    plain = value.removesuffix("*")
    if not plain or "*" in plain or "?" in plain or field not in fields:
        raise not_understood(fields)
    return Term(field, re.sub(r"\\(.)", r"\1", plain), bool(negated), begins=plain != value)


def not_understood(fields: list[str]) -> ApiError:
    example = f'{fields[0]}:"…" AND {fields[-1]}:…'
    return invalid_query(f"'q has terms like {example}, joined by AND, over {', '.join(fields)}'.")
