"""A path of the API as Django REST framework serves it: lets in, asks the operation, answers, and leaves a line in the trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from idp.database.standby import reading as standby
from idp.http.middleware import for_programs
from logout_app.api.frame import body, errors
from logout_app.api.frame.access import Caller, caller_of
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Answered, Call, Operation
from logout_app.api.frame.pace import PACE, Left
from logout_app.api.frame.query import Query
from sessions_app.audit import trail
from sessions_app.audit.events import EventType

ANYBODY = ["*"]  # what is nowhere needs no scope
IDS = ("user_id", "client_id", "id", "token_id")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class AlwaysJson(BaseContentNegotiation):
    """Whatever Accept says: SDKs send many things there."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """`operations`: what each method does here."""

    operations: ClassVar[Mapping[str, Operation]] = {}
    authentication_classes = ()  # `serve` asks who it is, before anything else
    permission_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJson

    @property
    def allowed_methods(self) -> list[str]:
        return list(self.operations)

    def get_exception_handler(self) -> Any:
        return errors.answer

    def serve(self, request: Request, **ids: str) -> Response:
        plain: HttpRequest = request._request
        at = timezone.now()
        caller = caller_of(plain, at)
        left = PACE.take(caller.key, at)
        if not left.allowed:
            headers = left.headers | {"Retry-After": str(left.wait)}
            raise ApiError(429, "Global limit has been reached", "too_many_requests", headers)
        return self._paced(left, self._answer(plain, caller, ids))

    def _answer(self, request: HttpRequest, caller: Caller, ids: Mapping[str, str]) -> Response:
        operation = self.operations.get("GET" if request.method == "HEAD" else str(request.method))
        if operation is None:
            raise MethodNotAllowed(str(request.method))
        if operation.scopes == ANYBODY:
            raise ApiError(404, "Not Found")
        if not operation.is_allowed(caller.scopes):
            asked = ", ".join(operation.scopes)
            some = "all" if operation.needs_all else "any"
            raise ApiError(403, f"Insufficient scope, expected {some} of: {asked}", "insufficient_scope")
        if not all(value.isprintable() for value in ids.values()):
            raise ApiError(400, "Path validation error: it holds what no id has", "invalid_uri")
        query = Query.read(request.GET, operation.query)
        said = _said(request, operation) if operation.writes else None
        return self._done(operation, Call(caller, query, said, timezone.now()), ids)

    def _done(self, operation: Operation, call: Call, ids: Mapping[str, str]) -> Response:
        if operation.standby:
            found = standby.listed(lambda: operation.handler(call, **ids))
        elif operation.network or not operation.writes:
            found = operation.handler(call, **ids)
            if operation.writes:
                _tell(operation, call, ids)
        else:
            with transaction.atomic():
                found = operation.handler(call, **ids)
                _tell(operation, call, {**ids, **_made(operation, found)})
        answer = found if isinstance(found, Answered) else Answered(found, operation.status)
        data = _chosen(answer.data, operation, call.query) if operation.has_fields else answer.data
        return Response(data, status=answer.status)

    @staticmethod
    def _paced(left: Left, response: Response) -> Response:
        for name, value in left.headers.items():
            response.headers[name] = value
        return response


def _said(request: HttpRequest, operation: Operation) -> Any:
    return body.read_form(request) if operation.takes_form else body.read(request, takes_list=operation.takes_list)


def _tell(operation: Operation, call: Call, ids: Mapping[str, str]) -> None:
    """In the transaction of the act; what it changed has lines of its own beside."""
    data = {"operation": f"{operation.method} {operation.address}", "ids": dict(ids)}
    trail.record(EventType.API_OPERATION, actor=call.actor, facts=call.caller.facts, at=call.at, data=data)


def _made(operation: Operation, found: Any) -> dict[str, str]:
    """By which id what was made is known from now on."""
    if operation.method != "POST" or not isinstance(found, dict):
        return {}
    return {name: str(found[name]) for name in IDS if name in found}


def _chosen(data: Any, operation: Operation, query: Query) -> Any:
    """`fields` and `include_fields`, of an object or of each of a list."""
    names = set(query.texts("fields"))
    if not names:
        return data
    keeps = query.boolean("include_fields", default=True)
    if isinstance(data, list):
        return [_some(row, names, keeps) for row in data]
    if operation.listed and operation.listed in data:
        return data | {operation.listed: [_some(row, names, keeps) for row in data[operation.listed]]}
    return _some(data, names, keeps)


def _some(row: dict[str, Any], names: set[str], keeps: bool | None) -> dict[str, Any]:
    return {name: value for name, value in row.items() if (name in names) == bool(keeps)}


def view_of(name: str, operations: Mapping[str, Operation]) -> Any:
    """A view without a session, CSRF or a login page: programs bring a token."""
    handlers = {method.lower(): Endpoint.serve for method in METHODS}
    allowed = {"http_method_names": [method.lower() for method in (*METHODS, "HEAD")]}
    endpoint = type(name, (Endpoint,), {**handlers, **allowed, "operations": operations})
    return for_programs(login_not_required(_plain(endpoint.as_view())))  # type: ignore[attr-defined]


def _plain(view: Any) -> Any:
    def serve(request: HttpRequest, **ids: str) -> HttpResponseBase:
        response: HttpResponseBase = view(request, **ids)
        if hasattr(response, "render"):
            response.render()
        return response

    serve.csrf_exempt = True  # type: ignore[attr-defined]
    serve.cls = view.cls  # type: ignore[attr-defined]
    return serve
