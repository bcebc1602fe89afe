"""Dynamic client registration on the wire (RFC 7591, RFC 7592, OpenID Connect Registration 1.0); off unless the tenant has it on."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from idp.applications import registration, sector
from idp.http import request_body
from idp.http.cors import any_origin
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.protocol.errors import InvalidToken, ProtocolError, TooManyRequests
from idp.protocol.registration import parse, parse_document
from idp.tenants import configuration, profile
from idp.views.errors import json_errors

LARGEST_BODY = 65_536
TOKEN = "registration access token"
# Every registration changes the configuration that all processes cache: a stranger may cause that, but not all the time.
REGISTRATIONS = limiter.Limit("register", 100, 3600)
ALL_REGISTRATIONS = limiter.Limit("registers", 1000, 3600)


@for_programs
@csrf_exempt
@login_not_required
@any_origin("POST")
@require_POST
@json_errors
def register(request: HttpRequest) -> HttpResponse:
    _refuse_unless_on()
    now, sender = timezone.now(), facts(request)
    metadata = parse(_document(request))
    registration.check(metadata)
    taken = limiter.reserve([REGISTRATIONS.key(limiter.prefix(sender.ip)), ALL_REGISTRATIONS.key()], now)
    if not taken.allowed:
        raise TooManyRequests("Too many registrations. Try again later.", retry_after=taken.retry_after)
    sector.check(metadata)
    registered = registration.register(metadata, facts=sender, at=now)
    return JsonResponse(registration.describe(registered), status=201)


@for_programs
@csrf_exempt
@login_not_required
@any_origin("GET", "PUT", "DELETE")
@require_http_methods(["GET", "PUT", "DELETE"])
@json_errors
def manage(request: HttpRequest, client_id: str) -> HttpResponse:
    """RFC 7592: the holder of the registration access token reads, replaces or removes its registration."""
    _refuse_unless_on()
    found = _authenticate(request, client_id)
    if request.method == "DELETE":
        registration.remove(found, facts=facts(request), at=timezone.now())
        return HttpResponse(status=204)
    if request.method == "PUT":
        document = _document(request)
        metadata = parse(document)
        sector.check(metadata)
        found = registration.replace(found, document, metadata, facts=facts(request), at=timezone.now())
    return JsonResponse(registration.describe(found))


def _refuse_unless_on() -> None:
    if not profile.allows_open_registration(configuration.current().tenant):
        raise ProtocolError("Dynamic client registration is off.", error="access_denied", status=404)


def _authenticate(request: HttpRequest, client_id: str) -> registration.Registered:
    """A success costs the limiter nothing; whoever failed too often is not looked up any more."""
    now, sender = timezone.now(), facts(request)
    key = guesses.key_of(sender, limiter.ENDPOINT, TOKEN)
    if limiter.is_blocked(key, now):
        raise guesses.refusal(key, now)
    try:
        return registration.authenticate(client_id, _bearer(request))
    except InvalidToken:
        guesses.count(sender, limiter.ENDPOINT, TOKEN, now)
        raise


def _document(request: HttpRequest) -> dict[str, Any]:
    return parse_document(request_body.read(request, request_body.JSON, largest=LARGEST_BODY))


def _bearer(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
