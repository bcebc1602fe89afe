"""The file of an export of people, by the link that the Management API gives who may read them. Nobody signs in for it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.views.errors import json_errors
from sessions_app.transfer import exports

WHAT = "a link to an export of people"


@for_programs
@login_not_required  # scripts have this link and no cookie
@require_safe
@json_errors
def exported_people(request: HttpRequest, key: str) -> HttpResponse:
    now = timezone.now()
    job = exports.linked(key, now)
    if job is None:
        guesses.count(facts(request), limiter.ENDPOINT, WHAT, now)
        message = "This link is no good, or was for a minute only: ask for the job once more.\n"
        return HttpResponse(message, content_type="text/plain", status=404)
    pieces = (bytes(content) for content in job.parts.values_list("content", flat=True).iterator())
    answer = HttpResponse(pieces, content_type="application/gzip")
    answer["Content-Disposition"] = f'attachment; filename="people-{job.public_id}.{job.format}.gz"'
    return answer
