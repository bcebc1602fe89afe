"""The transmitter of Shared Signals: its metadata, the management of streams, and polls (Shared Signals Framework 1.0, RFC 8936)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from idp.http import request_body
from idp.http.cors import any_origin
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import guesses
from idp.limits.limiter import ENDPOINT
from idp.protocol.errors import InvalidRequest, InvalidToken, ProtocolError
from idp.tenants.signals_api import SSF_MANAGE, SSF_READ
from idp.views import protected_resource
from idp.views.discovery import public
from idp.views.errors import json_errors
from logout_app.models import EventStream
from logout_app.protocol.streams import requests, vocabulary
from logout_app.streams import manage, poll
from sessions_app.oauth.signals_access import StreamManager, manager

P = ParamSpec("P")
Answer = Callable[Concatenate[HttpRequest, StreamManager, datetime, P], HttpResponse]


@for_programs
@login_not_required
@any_origin("GET", "HEAD")
@require_safe
def metadata(request: HttpRequest) -> HttpResponse:
    return public(vocabulary.metadata(settings.ISSUER))


def _endpoint(**scopes: tuple[str, ...]) -> Callable[[Answer[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """By method, the scopes of which one is needed. Bearer tokens come in the header only (RFC 6750 section 2.1)."""

    def decorate(answer: Answer[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @for_programs
        @login_not_required
        @csrf_exempt
        @_says_where_its_metadata_is
        @json_errors
        def view(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method not in scopes:
                raise InvalidRequest(f"Only {' and '.join(scopes)} are allowed here.", status=405)
            at = timezone.now()
            response = answer(request, _manager(request, scopes[request.method], at), at, *args, **kwargs)
            response.headers["Cache-Control"] = "no-store"
            return response

        functools.update_wrapper(view, answer, updated=())
        return view

    return decorate


def _says_where_its_metadata_is(view: Callable[P, HttpResponse]) -> Callable[P, HttpResponse]:
    """In the challenge of a refusal (RFC 6750 section 3, RFC 9728 section 5.1)."""

    @functools.wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(*args, **kwargs)
        if response.status_code == 403 and b'"insufficient_scope"' in response.content:
            response.headers["WWW-Authenticate"] = 'Bearer realm="curfew", error="insufficient_scope"'
        if "WWW-Authenticate" in response.headers:
            response.headers["WWW-Authenticate"] += protected_resource.hint("ssf")
        return response

    return wrapped


def _manager(request: HttpRequest, scopes: tuple[str, ...], at: datetime) -> StreamManager:
    scheme, _, raw = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not raw.strip():
        raise InvalidToken("An access token is needed in the Authorization header.")
    try:
        return manager(raw.strip(), *scopes, at=at)
    except InvalidToken:
        guesses.count(facts(request), ENDPOINT, "an access token of a stream", at)
        raise


_READ, _MANAGE = (SSF_READ, SSF_MANAGE), (SSF_MANAGE,)


@_endpoint(GET=_READ, POST=_MANAGE, PATCH=_MANAGE, PUT=_MANAGE, DELETE=_MANAGE)
def streams(request: HttpRequest, by: StreamManager, at: datetime) -> HttpResponse:
    if request.method == "GET":
        return _read(request, by)
    if request.method == "DELETE":
        stream = manage.find(by.application, _id(request.GET))
        manage.delete(stream, actor=by.actor, at=at, by=manage.SetBy.RECEIVER)
        return HttpResponse(status=204)
    document = _body(request)
    if request.method == "POST":
        stream = manage.create(by.application, requests.wanted_stream(document), actor=by.actor, at=at)
        return JsonResponse(manage.configuration_of(stream), status=201)
    stream = manage.find(by.application, requests.stream_id(document.get("stream_id")))
    if wrong := requests.unlike(document, manage.configuration_of(stream)):
        raise InvalidRequest(f"{wrong} is the transmitter's, and not what was sent.")
    wanted = requests.wanted_stream(document)
    manage.update(stream, wanted, replace=request.method == "PUT", actor=by.actor, at=at)
    return JsonResponse(manage.configuration_of(stream))


def _read(request: HttpRequest, by: StreamManager) -> HttpResponse:
    if "stream_id" in request.GET:
        return JsonResponse(manage.configuration_of(manage.find(by.application, _id(request.GET))))
    return JsonResponse([manage.configuration_of(each) for each in manage.of(by.application)], safe=False)


@_endpoint(GET=_READ, POST=_MANAGE)
def status(request: HttpRequest, by: StreamManager, at: datetime) -> HttpResponse:
    if request.method == "GET":
        return _status(manage.find(by.application, _id(request.GET)))
    document = _body(request)
    stream, (wanted, reason) = _named(document, by), requests.status(document)
    manage.set_status(stream, wanted, reason, actor=by.actor, at=at, by=manage.SetBy.RECEIVER)
    return _status(stream)


def _status(stream: EventStream) -> JsonResponse:
    reason = {"reason": stream.reason} if stream.reason else {}
    return JsonResponse({"stream_id": stream.public_id, "status": stream.status} | reason)


@_endpoint(POST=_MANAGE)
def add_subject(request: HttpRequest, by: StreamManager, at: datetime) -> HttpResponse:
    """200 whoever is named, so that nobody learns who is here (section 9.2)."""
    document = _body(request)
    manage.exclude(_named(document, by), requests.subject(document), excluded=False)
    return HttpResponse(status=200)


@_endpoint(POST=_MANAGE)
def remove_subject(request: HttpRequest, by: StreamManager, at: datetime) -> HttpResponse:
    document = _body(request)
    manage.exclude(_named(document, by), requests.subject(document), excluded=True)
    return HttpResponse(status=204)


@_endpoint(POST=_MANAGE)
def verify(request: HttpRequest, by: StreamManager, at: datetime) -> HttpResponse:
    document = _body(request)
    manage.ask_verification(_named(document, by), requests.verification_state(document), at)
    return HttpResponse(status=204)


@_endpoint(POST=_READ)
def poll_events(request: HttpRequest, by: StreamManager, at: datetime, stream_id: str) -> HttpResponse:
    stream = manage.find(by.application, requests.stream_id(stream_id))
    if stream.method != "poll":
        raise ProtocolError("The events of this stream are pushed.", error="not_found", status=404)
    return JsonResponse(poll.poll(stream, requests.poll(_body(request)), at))


def _body(request: HttpRequest) -> dict[str, Any]:
    return requests.body(request_body.read(request, request_body.JSON))


def _named(document: dict[str, Any], by: StreamManager) -> EventStream:
    return manage.find(by.application, requests.stream_id(document.get("stream_id")))


def _id(query: Any) -> str:
    return requests.stream_id(query.get("stream_id"))
