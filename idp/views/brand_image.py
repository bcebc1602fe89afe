"""`/branding/{hash}.{kind}`: an uploaded picture, as what it was found to be and as nothing else."""

from __future__ import annotations

from csp.constants import HEADER
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from idp.branding import uploads
from idp.http.middleware import for_programs

FOREVER = "public, max-age=31536000, immutable"
NOTHING_RUNS = "default-src 'none'; sandbox"  # also where somebody opens it as a page of its own


@for_programs
@login_not_required
@require_safe
def brand_image(request: HttpRequest, name: str) -> HttpResponse:
    content = uploads.find(name)
    if content is None:
        return HttpResponse("There is no such picture.\n", content_type="text/plain", status=404)
    response = HttpResponse(content, content_type=uploads.content_type(name))
    response.headers["Cache-Control"] = FOREVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Disposition"] = "inline"
    response.headers[HEADER] = NOTHING_RUNS
    return response
