"""Requests for what nobody opened yet: browsers prefetch and prerender links that somebody might follow.

Pages of ours act when they are opened: they end a session, spend a code, send the browser upstream. None is given out in
advance; whoever does follow the link asks again, because a refused prefetch is not used (Fetch Standard, `Sec-Purpose`).
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADERS = (
    "HTTP_SEC_PURPOSE",
    "HTTP_PURPOSE",
    "HTTP_X_PURPOSE",
    "HTTP_X_MOZ",
)  # the standard's, and those of Chromium, Safari and Firefox
IN_ADVANCE = ("prefetch", "prerender", "preview")
SENTENCE = "Pages of this server act when they are opened. None is given out before somebody opens it.\n"


def is_in_advance(request: HttpRequest) -> bool:
    said = [request.META[name].lower() for name in HEADERS if name in request.META]
    return any(word in value for value in said for word in IN_ADVANCE)


class NothingInAdvanceMiddleware:
    """Answers such a GET with 403, before anything looks at its cookies. Static files and endpoints for programs come before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD") and is_in_advance(request):
            return HttpResponse(SENTENCE, status=403, content_type="text/plain; charset=utf-8")
        return self.get_response(request)
