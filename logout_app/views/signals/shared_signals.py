"""`POST /ssf/{connection}/events`: an identity provider upstream pushes a security event (RFC 8935)."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt

from idp.http import request_body
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import limiter
from idp.protocol.errors import InvalidRequest, ProtocolError, TooManyRequests
from idp.protocol.opaque import digest
from idp.tenants import configuration
from logout_app.protocol.shared_signals.tokens import LONGEST, MEDIA_TYPE, RefusedSignal
from logout_app.shared_signals import receive
from logout_app.shared_signals.receive import Arrival
from logout_app.shared_signals.trust import SignalTrust, trust

RETRY_SOON = 5  # seconds
# What could not be believed, per network, whatever connection the path names. What a transmitter's key signed never counts.
FAILURES = limiter.Limit("signals", 100, 300)
log = structlog.get_logger(__name__)


@for_programs
@csrf_exempt
@login_not_required
def shared_signals(request: HttpRequest, connection: str) -> HttpResponse:
    """202 once everything is committed (RFC 8935 section 2.2); what is wrong is said as in section 2.4."""
    at = timezone.now()
    try:
        _receive(request, connection, at)
    except ProtocolError as error:
        log.info("signals.refused", connection=connection, error=error.error, detail=error.detail or error.description)
        return _refusal(error, at)
    return HttpResponse(status=202, headers={"Cache-Control": "no-store"})


def _receive(request: HttpRequest, name: str, at: datetime) -> None:
    if request.method != "POST":
        raise InvalidRequest("Only POST is allowed here.", status=405)
    arrival: Arrival | None = None
    try:
        body = request_body.read(request, MEDIA_TYPE, largest=LONGEST)
        row = configuration.current().connection(name)
        believed = trust(row) if row is not None else None
        if row is None or believed is None:
            raise RefusedSignal("No security events are taken here.", status=404)
        _check_sender(request, believed)
        arrival = Arrival(row, _text(body), facts(request))
        receive.take(arrival, believed, at)
    except ProtocolError as error:
        if error.status < 500 and not (arrival and arrival.is_believed):
            _count_failure(request, error, at)
        raise


def _text(body: bytes) -> str:
    try:
        return body.decode("ascii").strip()
    except UnicodeDecodeError:
        raise RefusedSignal("The body is not a security event token.") from None


def _check_sender(request: HttpRequest, believed: SignalTrust) -> None:
    """Where *Connect* gave the transmitter a secret, whoever does not send it is nobody; the signature is asked all the same."""
    expected = believed.stream.push_secret if believed.stream else ""
    if expected and not constant_time_compare(digest(request.headers.get("Authorization", "")), expected):
        raise RefusedSignal(
            "The Authorization header is not that of the stream.", error="authentication_failed", status=401
        )


def _count_failure(request: HttpRequest, error: ProtocolError, at: datetime) -> None:
    key = FAILURES.key(limiter.prefix(facts(request).ip))
    if limiter.is_blocked(key, at) or limiter.count_failure(key, at) > key.limit.count:
        raise TooManyRequests("Too many events that could not be believed. Please try again later.") from error


def _refusal(error: ProtocolError, at: datetime) -> JsonResponse:
    response = JsonResponse({"err": error.error, "description": error.description}, status=error.status)
    response.headers["Content-Language"] = "en"
    response.headers["Cache-Control"] = "no-store"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="curfew"'
    elif error.status == 405:
        response.headers["Allow"] = "POST"
    elif error.status == 429:
        response.headers["Retry-After"] = str(limiter.seconds_left(FAILURES, at))
    elif error.status == 503:
        response.headers["Retry-After"] = str(RETRY_SOON)
    return response
