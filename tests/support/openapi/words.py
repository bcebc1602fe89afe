"""Words in which bodies are described: JSON Schema (draft 2020-12), as OpenAPI 3.1 has it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


def text(says: str = "", **more: Any) -> Schema:
    return {"type": "string", **more, **_said(says)}


def time(says: str = "") -> Schema:
    return text(says, format="date-time")


def whole(says: str = "", least: int | None = None, most: int | None = None) -> Schema:
    bounds = {name: value for name, value in (("minimum", least), ("maximum", most)) if value is not None}
    return {"type": "integer", **bounds, **_said(says)}


def number(says: str = "", **more: Any) -> Schema:
    return {"type": "number", **more, **_said(says)}


def switch(says: str = "") -> Schema:
    return {"type": "boolean", **_said(says)}


def one_of(values: Collection[str], says: str = "") -> Schema:
    return {"type": "string", "enum": list(values), **_said(says)}


def many(of: Schema, says: str = "", **more: Any) -> Schema:
    return {"type": "array", "items": of, **more, **_said(says)}


def different(of: Schema, says: str = "", **more: Any) -> Schema:
    """A list in which nothing comes twice."""
    return many(of, says, uniqueItems=True, **more)


def mapping(says: str = "", of: Schema | None = None, **more: Any) -> Schema:
    """An object whose names are not ours."""
    return {"type": "object", **({"additionalProperties": of} if of else {}), **more, **_said(says)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """Or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    if "type" not in schema:
        return schema
    found = {**schema, "type": [schema["type"], "null"]}
    return found | {"enum": [*schema["enum"], None]} if "enum" in schema else found


def answer(always: dict[str, Schema], sometimes: dict[str, Schema] | None = None, says: str = "") -> Schema:
    """An object of ours. Later releases may put more into it."""
    named = {"type": "object", "properties": {**always, **(sometimes or {})}}
    return {**named, **({"required": list(always)} if always else {}), **_said(says)}


def body(needed: dict[str, Schema] | None = None, **chosen: Schema) -> Schema:
    """An object that is sent: nothing else is taken. Null is as good as nothing where nothing is demanded."""
    properties = {**(needed or {}), **{name: maybe(schema) for name, schema in chosen.items()}}
    found: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return found | ({"required": list(needed)} if needed else {})


@dataclass(frozen=True, slots=True)
class Bodies:
    """What an operation takes and gives. `gives`: None for an answer without a body; of a list in pages, one of its rows.

    `pages`: the name of the list where the table does not say it. `also`: refusals that not every operation has.
    `always_bare`: asked with a checkpoint too, a list is only a list. `unpaged`: `gives` is the whole of the answer, though it
    takes pages.
    """

    gives: Schema | None = None
    takes: Schema | None = None
    pages: str = ""
    also: Sequence[int] = ()
    always_bare: bool = False
    unpaged: bool = False


def _said(says: str) -> Schema:
    return {"description": says} if says else {}
