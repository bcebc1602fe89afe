"""The OpenAPI document of the Management API (docs/openapi.json) as a page tells it: operations, and bodies as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from idp.protocol import strict_json

PATH = Path(settings.RESOURCES) / "docs" / "openapi.json"
METHODS = ("get", "post", "put", "patch", "delete")
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class DescribedField:
    """One key of a body, or one parameter. `place`: where it is, `a.b[]`. `kind`: its type in words."""

    place: str
    kind: str
    says: str
    needed: bool


@dataclass(frozen=True, slots=True)
class DescribedOperation:
    name: str
    method: str
    path: str
    says: str
    scopes: str
    thing: str
    described: Mapping[str, Any] = field(repr=False)

    def is_found(self, words: list[str]) -> bool:
        text = f"{self.method} {self.path} {self.says} {self.scopes} {self.name}".lower()
        return all(word in text for word in words)


@cache
def text() -> str:
    return PATH.read_text(encoding="utf-8")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = strict_json.parse_object(text())
    return found


@cache
def operations() -> tuple[DescribedOperation, ...]:
    return tuple(
        _operation(path, method, methods[method])
        for path, methods in document()["paths"].items()
        for method in METHODS
        if method in methods
    )


def _operation(path: str, method: str, said: Mapping[str, Any]) -> DescribedOperation:
    name, says, thing = said["operationId"], _plain(said["summary"]), said["tags"][0]
    scopes = _plain(said["description"]).removeprefix("Scope: ").removesuffix(".")
    return DescribedOperation(name, method.upper(), path, says, scopes, thing, said)


def parameters(operation: DescribedOperation) -> list[DescribedField]:
    found = [_followed(one) for one in operation.described.get("parameters", ())]
    return [
        DescribedField(one["name"], kind(one["schema"]), _plain(one.get("description", "")), one["in"] == "path")
        for one in found
    ]


def body(operation: DescribedOperation) -> list[DescribedField]:
    content = operation.described.get("requestBody", {}).get("content", {})
    return [row for said in content.values() for row in _rows(said["schema"], "", DEEPEST)]


def answer(operation: DescribedOperation) -> tuple[str, list[DescribedField]]:
    """Which forms it has, and the keys of it or of one of its rows."""
    schema = _success(operation).get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return "No body.", []
    forms = schema.get("anyOf", [schema])
    words = [_plain(form.get("description", "")).removesuffix(".") for form in forms if "items" not in form]
    first = forms[0]
    row = first.get("items", first)
    said = f"A list of these; an object with such a list {', or '.join(words).lower()}." if len(forms) > 1 else ""
    return said or ("A list of these." if "items" in first else ""), list(_rows(row, "", DEEPEST))


def status(operation: DescribedOperation) -> str:
    codes: list[str] = list(operation.described["responses"])
    return next(code for code in codes if code.startswith("2"))


def refusals(operation: DescribedOperation) -> list[tuple[str, str]]:
    found = {code: _followed(said) for code, said in operation.described["responses"].items()}
    return [(code, _plain(said["description"])) for code, said in found.items() if not code.startswith("2")]


def _success(operation: DescribedOperation) -> Mapping[str, Any]:
    found: Mapping[str, Any] = operation.described["responses"][status(operation)]
    return found


def kind(schema: Mapping[str, Any]) -> str:
    schema = _followed(schema)
    if "enum" in schema:
        return "one of " + ", ".join("null" if one is None else str(one) or "nothing" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    said = schema.get("type", "anything")
    words = " or ".join(said) if isinstance(said, list) else said
    if "format" in schema:
        words = words.replace("string", str(schema["format"]))
    return words + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    least = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    most = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if most is None:
        return ""
    of = " characters" if "maxLength" in schema else " entries" if "maxItems" in schema else ""
    return f", at most {most:g}{of}" if least is None else f", {least:g} to {most:g}{of}"


def _rows(schema: Mapping[str, Any], place: str, deepest: int) -> Iterator[DescribedField]:
    schema = _followed(schema)
    if "items" in schema:
        yield from _rows(schema["items"], f"{place}[]", deepest - 1)
        return
    for name, inner in schema.get("properties", {}).items():
        there = f"{place}.{name}".removeprefix(".")
        followed = _followed(inner)
        says = _plain(followed.get("description", ""))
        yield DescribedField(there, kind(inner), says, name in schema.get("required", ()))
        if deepest:
            yield from _rows(followed, there, deepest - 1)


def _followed(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in schema:
        return schema
    _, *steps = schema["$ref"].split("/")
    found: Any = document()
    for step in steps:
        found = found[step]
    followed: Mapping[str, Any] = found
    return followed


def _plain(markdown: str) -> str:
    """Code is the only mark that the document uses."""
    return markdown.replace("`", "")
