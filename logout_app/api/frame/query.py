"""The query of a request: known parameters only, each read as what it is. What is wrong is a 400 that names it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from logout_app.api.frame.errors import invalid_query
from logout_app.api.frame.parameters import parameter

LONGEST = 2000  # characters of a value
EARLIEST, LATEST = 1900, 9000  # years
_TRUTH = {"true": True, "false": False}


class Query:
    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    @classmethod
    def read(cls, given: QueryDict, known: Collection[str]) -> Query:
        """Array parameters come as `name`, `name[]` or `name[0]`."""
        values: dict[str, list[str]] = {}
        for name, said in given.lists():
            plain = name.partition("[")[0] if name.endswith("]") else name
            if plain not in known:
                raise invalid_query(f"'Additional properties not allowed: {_shown(name)}'.")
            for value in said:
                if len(value) > LONGEST or not value.isprintable():
                    raise invalid_query(f"'{plain}' holds what cannot be read.")
            values.setdefault(plain, []).extend(said)
        query = cls(values)
        for name in values:
            query._check(name)
        return query

    def _check(self, name: str) -> None:
        """Also what this answer does not depend on: nobody is to believe that it was understood."""
        known = parameter(name)
        if known.kind != "text" and not self.text(name):
            raise invalid_query(f"'Expected type {known.kind} but found nothing' on property {name}.")
        match known.kind:
            case "integer":
                self.integer(name, 0, least=known.least, most=known.most)
            case "boolean":
                self.boolean(name)
            case "time":
                self.moment(name)

    def text(self, name: str) -> str:
        """The last one that was given; "" for none."""
        return self._values.get(name, [""])[-1]

    def texts(self, name: str) -> list[str]:
        return [part for value in self._values.get(name, []) for part in value.split(",") if part]

    def has(self, name: str) -> bool:
        return name in self._values

    def integer(self, name: str, default: int, *, least: int = 0, most: int) -> int:
        said = self.text(name)
        if not said:
            return default
        if not (said.isascii() and said.isdigit()) or len(said) > 18:
            raise invalid_query(f"'Expected type integer but found {_shown(said)}' on property {name}.")
        if not least <= int(said) <= most:
            limit, word = (most, "greater than maximum") if int(said) > most else (least, "less than minimum")
            raise invalid_query(f"'Value {said} is {word} {limit}' on property {name}.")
        return int(said)

    def boolean(self, name: str, default: bool | None = None) -> bool | None:
        said = self.text(name)
        if not said:
            return default
        if said.lower() not in _TRUTH:
            raise invalid_query(f"'Expected type boolean but found {_shown(said)}' on property {name}.")
        return _TRUTH[said.lower()]

    def moment(self, name: str) -> datetime | None:
        said = self.text(name)
        if not said:
            return None
        if (found := moment(said)) is None:
            raise invalid_query(f"'Expected a time like 2026-11-30T09:00:00Z' on property {name}.")
        return found


def moment(said: str) -> datetime | None:
    """None: it is no time with a zone, or none that can be reckoned with."""
    try:
        found = parse_datetime(said)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None and is_reckonable(found) else None


def is_reckonable(at: datetime) -> bool:
    """Whether days may be added and taken away: the calendar of the language ends with the years 1 and 9999."""
    return EARLIEST <= at.year <= LATEST


def _shown(value: str) -> str:
    return "".join(character for character in value if character.isprintable())[:100]
