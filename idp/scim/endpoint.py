"""The answer to a request of a connection's SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865). Every answer is SCIM's."""

from __future__ import annotations

import json
from typing import Any

from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from scim2_models import InvalidSyntaxException, SCIMException
from scim2_server.requests import ScimRequest
from scim2_server.responses import SCIM_MEDIA_TYPE, ScimResponse

from idp import signals
from idp.database.outage import OUTAGES
from idp.http import request_body
from idp.models import Connection
from idp.protocol.errors import ProtocolError, TooManyRequests
from idp.scim import access, applications, dialects
from idp.scim.context import Writer
from idp.scim.handler import Handler
from idp.scim.pace import PACE
from idp.scim.service import Service, service, understood
from idp.scim.store import Store

READS = ("GET", "HEAD")
BODIES = (SCIM_MEDIA_TYPE, "application/json", "")  # RFC 7644 section 3.8: JSON where nothing is said
RETRY_SOON = 5  # seconds
CHALLENGE = 'Bearer realm="SCIM"'


class Slower(SCIMException):
    status = 429
    _default_detail = "Too many requests in a second. Please go on a little later."


class DatabaseAway(SCIMException):
    status = 503
    _default_detail = "The database does not answer at the moment. Please try again."


def answer(request: HttpRequest, connection: str, rest: str) -> HttpResponse:
    speaker, writer = service(), None
    try:
        writer = access.writer(request, connection, timezone.now())
        if PACE.wait(writer.connection.pk):
            raise Slower
        found = _serve(speaker, request, writer, rest)
    except OUTAGES as error:
        found = _refused(speaker, _away(error))
    except RecursionError:
        found = _refused(speaker, InvalidSyntaxException(detail="It is nested too deeply."))
    except (SCIMException, ProtocolError, IntegrityError) as error:
        found = _refused(speaker, error)
        _tell(request, rest, writer, found)
    return _response(found, without_body=request.method == "HEAD")


def _serve(speaker: Service, request: HttpRequest, writer: Writer, rest: str) -> ScimResponse:
    asked = ScimRequest(
        method="GET" if request.method in READS else str(request.method),
        base_url=applications.base_url(writer.connection),
        path=f"/{rest}",
        query={name: _said(name, values[-1]) for name, values in request.GET.lists() if values},
        headers=dict(request.headers),
        subject=writer,
    )
    largest = speaker.max_body_size(asked)
    if asked.method in ("POST", "PUT", "PATCH") and largest != 0:
        asked.body = request_body.read(request, *BODIES)
    is_search = rest.endswith(".search")
    store = Store(writer, writes=asked.method != "GET" and not is_search)
    return Handler(speaker, store).handle(asked)


def _said(name: str, value: str) -> str:
    return dialects.attributes(value) if name in ("attributes", "excludedAttributes") else value


def _away(error: Exception) -> SCIMException:
    away = DatabaseAway()
    away.__cause__ = error
    return away


def _refused(speaker: Service, error: Exception) -> ScimResponse:
    if isinstance(error, ProtocolError):
        return _of_protocol(error)
    answer = speaker.error_response(understood(error))
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = CHALLENGE
    if answer.status == 429:
        answer.headers["Retry-After"] = "1"
    if answer.status == 503:
        answer.headers["Retry-After"] = str(RETRY_SOON)
    return answer


def _of_protocol(error: ProtocolError) -> ScimResponse:
    found = SCIMException(detail=error.description)
    found.status = error.status
    body = found.to_error()
    answer = ScimResponse(error.status, body.model_dump())  # type: ignore[arg-type]
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(error.retry_after or 1)
    return answer


def _tell(request: HttpRequest, rest: str, writer: Writer | None, answer: ScimResponse) -> None:
    """A write that was refused is for the connection's page; a search that found nothing is no refusal."""
    if writer is None or request.method in READS or int(answer.status) in (404, 429):
        return
    detail = str((answer.body or {}).get("detail", ""))
    signals.provisioning_refused.send(
        Connection,
        connection=writer.connection,
        status=int(answer.status),
        reason=detail[:500],
        what=f"{request.method} {_printable(rest)}",
        actor=writer.actor,
        at=writer.at,
        facts=writer.facts,
    )


def _printable(rest: str) -> str:
    return "".join(character for character in rest if character.isprintable())[:200]


def _response(answer: ScimResponse, *, without_body: bool) -> HttpResponse:
    body: Any = b"" if answer.body is None else json.dumps(answer.body, separators=(",", ":"))
    response = HttpResponse(body, status=int(answer.status), content_type=SCIM_MEDIA_TYPE)
    for name, value in answer.headers.items():
        response.headers[name] = value
    if answer.body is None:
        del response.headers["Content-Type"]
    response.headers["Cache-Control"] = "no-store"
    return response
