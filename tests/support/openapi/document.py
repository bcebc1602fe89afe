"""The document: drf-spectacular walks the views of the API, and each method is described by its row of the table."""

from __future__ import annotations

import copy
import json
import re
from http import HTTPStatus
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings

from idp.applications import management_api
from logout_app.api import routes
from logout_app.api.frame.operations import CHECKPOINTS, PAGES, Operation
from logout_app.api.frame.parameters import PARAMETERS, Parameter, parameter
from tests.support.openapi.table import COMPONENTS, bodies
from tests.support.openapi.words import Schema, answer, many, ref, text, whole

ACCESS = "management_api"
REFUSALS = {  # status -> the name of the answer, when it comes
    400: ("BadRequest", "The request is not understood, or is refused by the rules."),
    401: ("Unauthorized", "No token of this API."),
    403: ("Forbidden", "The token lacks the scope, or nobody may do this by the API."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "It exists already, or is in use."),
    413: ("TooLarge", "The body is too large."),
    415: ("WrongMediaType", "The body is of another media type."),
    429: ("TooManyRequests", "Too many requests: wait for `Retry-After` seconds."),
    500: ("Fault", "A fault on our side. Nothing was changed."),
    502: ("BadGateway", "The other server refused, or did not answer."),
    503: ("Unavailable", "The database does not answer at the moment."),
}
LIMITS = {
    "X-RateLimit-Limit": "Requests within two seconds.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "Unix time at which all of them are free again.",
}
PARTLY = "Some"  # of a name: keys that `fields` chose
DESCRIPTION = """Management API of Curfew, in the shapes of Auth0's Management API. See docs/api.md for what both kinds of pages,
errors, rates and scopes have in common."""


def document() -> dict[str, Any]:
    partly = {f"{PARTLY}{name}": _partly(name, schema) for name, schema in COMPONENTS.items() if _is_object(schema)}
    components = {
        "schemas": {**COMPONENTS, **partly},
        "responses": {name: _refusal(status, says) for status, (name, says) in REFUSALS.items()},
        "parameters": {name: _described(name, known) for name, known in PARAMETERS.items()},
        "headers": {name: {"description": says, "schema": {"type": "integer"}} for name, says in LIMITS.items()},
        "securitySchemes": {ACCESS: _access()},
    }
    with patched_settings(
        {
            "OAS_VERSION": "3.1.0",
            "TITLE": "Curfew Management API",
            "DESCRIPTION": " ".join(DESCRIPTION.split()),
            "VERSION": "2",
            "SERVERS": [{"url": "https://{host}", "variables": {"host": {"default": "id.example.com"}}}],
            "APPEND_COMPONENTS": components,
            "POSTPROCESSING_HOOKS": [],
        }
    ):
        found: dict[str, Any] = copy.deepcopy(_Generator().get_schema(public=True))
    return _without_unused(found)


class _Generator(SchemaGenerator):
    def _initialise_endpoints(self) -> None:
        """In the order of the table; what is nowhere has no row."""
        self.endpoints = [
            (operation.address, "", method, entry.callback)
            for entry in routes.urlpatterns
            if entry.name != "api_nothing"
            for method, operation in entry.callback.cls.operations.items()
        ]

    def coerce_path(self, path: str, method: str, view: Any) -> str:
        return path

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        view = super().create_view(callback, method, request)
        self._set_schema_to_view(view, _Described(view.operations[method]))
        return view


class _Described(AutoSchema):
    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.operation = operation
        self.bodies = bodies(operation)

    def get_operation_id(self) -> str:
        return operation_id(self.operation)

    def get_summary(self) -> str:
        return self.operation.says

    def get_description(self) -> str:
        joined = " and " if self.operation.needs_all else " or "
        return f"Scope: {joined.join(f'`{scope}`' for scope in self.operation.scopes)}."

    def get_tags(self) -> list[str]:
        return [self.operation.path.partition("/")[0]]

    def get_auth(self) -> list[dict[str, Any]]:
        scopes = list(self.operation.scopes)
        return [{ACCESS: scopes}] if self.operation.needs_all else [{ACCESS: [scope]} for scope in scopes]

    def _get_parameters(self) -> list[dict[str, Any]]:
        ids = re.findall(r"{(\w+)}", self.operation.address)
        return [_in_path(name) for name in ids] + [_in_query(name) for name in dict.fromkeys(self.operation.query)]

    def _get_request_body(self, direction: Any = "request") -> dict[str, Any] | None:
        takes = self.bodies.takes
        if takes is None:
            return None
        needed = bool(takes.get("required")) or self.operation.takes_list
        kind = "multipart/form-data" if getattr(self.operation, "takes_form", False) else "application/json"
        return {"required": needed, "content": {kind: {"schema": takes}}}

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        found: dict[str, Any] = {str(self.operation.status): self._success()}
        statuses = {400, 401, 403, 429, 500, 503, *self.bodies.also}
        statuses |= {404} if "{" in self.operation.address else set()
        statuses |= {413, 415} if self.operation.writes else set()
        return found | {str(one): {"$ref": f"#/components/responses/{REFUSALS[one][0]}"} for one in sorted(statuses)}

    def _success(self) -> dict[str, Any]:
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in LIMITS}
        found: dict[str, Any] = {"description": HTTPStatus(self.operation.status).phrase, "headers": headers}
        if self.bodies.gives is None:
            return found
        return found | {"content": {"application/json": {"schema": self._given(self.bodies.gives)}}}

    def _given(self, gives: Schema) -> Schema:
        row = _chosen(gives) if self.operation.has_fields else gives
        asked, name = set(self.operation.query), self.bodies.pages or self.operation.listed
        by_offset, by_checkpoint = {*PAGES} <= asked, {*CHECKPOINTS} <= asked
        if self.bodies.unpaged or not (by_offset or by_checkpoint):
            return row
        if not name:
            raise LookupError(f"under which key is the list of {self.operation.address}?")
        forms = [many(row), _totals(name, row)] if by_offset else []
        forms += [_checkpoint(name, row)] if by_checkpoint and not self.bodies.always_bare else []
        return {"anyOf": forms} if len(forms) > 1 else forms[0]


def operation_id(operation: Operation) -> str:
    """`get_users`, `patch_users_by_user_id`."""
    path = re.sub(r"{(\w+)}", r"by_\1", operation.address.removeprefix("/api/v2/"))
    return re.sub(r"\W+", "_", f"{operation.method.lower()}_{path}")


def _totals(name: str, row: Schema) -> Schema:
    counts = {"start": whole(), "limit": whole(), "total": whole()}
    return answer({**counts, name: many(row)}, {"length": whole("Rows of this page.")}, "With `include_totals`.")


def _checkpoint(name: str, row: Schema) -> Schema:
    return answer({name: many(row)}, {"next": text("`from` of the next page; the last one has none.")}, "With `take`.")


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/parameters/{name}"} if name in PARAMETERS else _described(name, parameter(name))


def _described(name: str, known: Parameter) -> dict[str, Any]:
    said = {"description": known.says} if known.says else {}
    return {"name": name, "in": "query", "schema": _schema_of(known), **said}


def _schema_of(known: Parameter) -> Schema:
    match known.kind:
        case "integer":
            return whole("", known.least, known.most)
        case "boolean":
            return {"type": "boolean"}
        case "time":
            return text(format="date-time")
    return text()


def _refusal(status: int, says: str) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"schema": ref("Error")}}}


def _access() -> dict[str, Any]:
    flow = {"tokenUrl": "/oauth/token", "scopes": dict(management_api.SCOPES)}
    says = "Opaque tokens by client credentials, with `audience` `{ISSUER}api/v2/`; of people, what their roles permit."
    return {"type": "oauth2", "description": says, "flows": {"clientCredentials": flow}}


def _is_object(schema: Schema) -> bool:
    return "properties" in schema


def _partly(name: str, schema: Schema) -> Schema:
    says = f"A {name}, or of it the keys that `fields` names."
    return {**{key: value for key, value in schema.items() if key != "required"}, "description": says}


def _chosen(row: Schema) -> Schema:
    """Of rows with `fields`, whatever keys were asked for."""
    if "$ref" in row:
        return ref(PARTLY + row["$ref"].rpartition("/")[2])
    return {**row, "items": _chosen(row["items"])} if "items" in row else row


def _without_unused(found: dict[str, Any]) -> dict[str, Any]:
    """Without what no operation names, nor what one names."""
    while True:
        written, unused = json.dumps(found), []
        for kind in ("schemas", "responses", "parameters"):
            names = found["components"][kind]
            unused += [(names, name) for name in names if f'"#/components/{kind}/{name}"' not in written]
        if not unused:
            return found
        for names, name in unused:
            del names[name]
