"""Whether an answer is as docs/openapi.json says. Stricter than the document is for clients: a key that it does not name is wrong,
so that nobody adds one without it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs
from django.http import HttpResponse

from tests.support.api_page import DOCUMENT

JSON = "application/json"


def check(response: Any, method: str) -> None:
    """Of an answer of Django's test client. Addresses that are none of an operation are not asked about."""
    view = getattr(getattr(response, "resolver_match", None), "func", None)
    operation = getattr(getattr(view, "cls", None), "operations", {}).get(method)
    if operation is None or operation.path == "<path:rest>":
        return
    said = problem(operation.address, method, response)
    assert not said, f"{method} {operation.address} answered {response.status_code}, but docs/openapi.json: {said}"


def problem(address: str, method: str, response: HttpResponse) -> str:
    described = _closed()["paths"].get(address, {}).get(method.lower())
    if described is None:
        return "knows no such operation: python -m tests.support.api_page"
    if str(response.status_code) not in described["responses"]:
        return f"has only {', '.join(described['responses'])}"
    validator = _validator(address, method.lower(), str(response.status_code))
    if validator is None:
        return "has no body" if response.content else ""
    try:
        validator.validate(json.loads(response.content))
    except jsonschema_rs.ValidationError as error:
        return f"{error.message} at {'.'.join(str(part) for part in error.instance_path)}"
    return ""


@cache
def _closed() -> dict[str, Any]:
    found: dict[str, Any] = _close(json.loads(DOCUMENT.read_text()))
    return found


def _close(value: Any) -> Any:
    if isinstance(value, list):
        return [_close(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _close(inner) for name, inner in value.items()}
    is_object = value.get("type") == "object" or (isinstance(value.get("type"), list) and "object" in value["type"])
    return {"additionalProperties": False, **found} if is_object and "properties" in value else found


@cache
def _validator(address: str, method: str, status: str) -> Any:
    document = _closed()
    response = document["paths"][address][method]["responses"][status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    if JSON not in response.get("content", {}):
        return None
    schema = {**response["content"][JSON]["schema"], "components": {"schemas": document["components"]["schemas"]}}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
