"""`/csp-reports`: where browsers say what our Content-Security-Policy forbade (`CURFEW_CSP_REPORTS`)."""

from __future__ import annotations

import time
from collections import Counter

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from idp.http import request_body, violations
from idp.http.middleware import for_programs
from idp.protocol.errors import InvalidRequest, TooManyRequests
from idp.signals import policy_violated
from idp.views.errors import json_errors

A_MINUTE = 60  # violations that one process notes: a page that is broken says so in far fewer
DROPPED = "dropped"
BUDGET = violations.Budget(A_MINUTE)
log = structlog.get_logger(__name__)


@for_programs
@csrf_exempt  # browsers send it by themselves, and it changes nothing but counters
@login_not_required
@require_POST
@json_errors
def csp_reports(request: HttpRequest) -> HttpResponse:
    """Anybody can send anything: what is noted is bounded before the database hears of it."""
    now = time.monotonic()
    if BUDGET.is_empty(now):
        BUDGET.drop()
        raise TooManyRequests("Too many reports.", retry_after=60)
    body = request_body.read(request, violations.ONE, violations.MANY, largest=violations.LARGEST)
    try:
        found = violations.read(body, request.content_type or "", settings.ISSUER_ORIGIN)
    except ValueError as error:
        raise InvalidRequest(f"The body is no report: {error}.") from None
    _note(found[: BUDGET.take(len(found), now)])
    return HttpResponse(status=204)


def _note(found: list[violations.Violation]) -> None:
    counts = Counter(violation.directive for violation in found)
    if not counts:
        return
    if dropped := BUDGET.take_dropped():
        counts[DROPPED] = dropped
    policy_violated.send(None, counts=counts)
    for violation in found:
        say = log.debug if violation.directive == violations.EXTENSION else log.warning
        say(
            "content_policy.violated",
            directive=violation.directive,
            page=violation.page,
            blocked=violation.blocked,
            source=violation.source,
            line=violation.line,
            enforced=violation.enforced,
        )
