"""How a mistake is answered: JSON for programs, a page for people; never a redirect to a URI that did not validate."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext, gettext_noop

from idp.applications import refusals
from idp.database.outage import OUTAGES, is_outcome_unknown
from idp.http import languages
from idp.models import TenantSettings
from idp.protocol.errors import ProtocolError, TooManyRequests

NOT_DONE = gettext_noop("Nothing was changed, and you are not signed out. Please try again soon.")
UNKNOWN = gettext_noop(
    "We had no answer in time and cannot say whether it was done. Do not rely on being signed out: please try again soon."
)
RETRY_SOON = 5  # seconds
LONGEST_FIELD = 100_000  # characters: of our own, an authorization request that the consent page carries
log = structlog.get_logger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def error_json(error: ProtocolError) -> JsonResponse:
    """RFC 6749 section 5.2; WWW-Authenticate only on invalid_client (RFC 6749) and invalid_token (RFC 6750)."""
    response = JsonResponse({"error": error.error, "error_description": error.description}, status=error.status)
    if error.status == 401:
        scheme = "Bearer" if error.error == "invalid_token" else "Basic"
        response.headers["WWW-Authenticate"] = f'{scheme} realm="curfew", error="{error.error}"'
    if retry_after := _retry_after(error):
        response.headers["Retry-After"] = str(retry_after)
    response.headers["Cache-Control"] = "no-store"
    for name, value in error.headers.items():
        response.headers[name] = value
    return response


def _retry_after(error: ProtocolError) -> int:
    if isinstance(error, TooManyRequests):
        return error.retry_after
    return RETRY_SOON if error.status == 503 else 0


def error_page(
    request: HttpRequest,
    title: str,
    message: str,
    *,
    code: str = "",
    status: int = 400,
    offer_sign_out: bool = False,
    again: str = "",
    technical: str = "",
) -> HttpResponse:
    """A page that says what is wrong and offers ways on; with `offer_sign_out` the first is the confirmation page.

    `again`: the path of a page that may be opened once more. `technical`: in English, for whoever made the mistake.
    """
    context = {
        "title": title,
        "message": message,
        "code": code,
        "offer_sign_out": offer_sign_out,
        "again": again,
        "technical": technical,
    }
    return render(request, "error.html", context, status=status)


def in_words(error: ProtocolError) -> tuple[str, str]:
    """What the person reads, and what is for whoever made the mistake. The protocol's own words are English: where nobody
    translated them, they are not the person's to read.
    """
    said = error.sentence(gettext)
    if said != error.description or languages.current() == settings.LANGUAGE_CODE:
        return said, ""
    return gettext("The app that sent you here has made a mistake. Go back to it and try again."), error.description


def json_errors(view: View[P]) -> View[P]:
    """Turn a ProtocolError into its JSON form."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ProtocolError as error:
            refusals.note(error)
            log.info(
                "request.refused", path=request.path, error=error.error, reason=error.description, detail=error.detail
            )
            return error_json(error)

    return wrapped


def page_errors(view: View[P]) -> View[P]:
    """Turn a ProtocolError into a page that still offers to sign out."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ProtocolError as error:
            refusals.note(error)
            log.info(
                "request.refused", path=request.path, error=error.error, reason=error.description, detail=error.detail
            )
            message, technical = in_words(error)
            title = gettext("This request cannot be completed")
            page = error_page(request, title, message, code=error.error, status=error.status, technical=technical)
            if retry_after := _retry_after(error):
                page.headers["Retry-After"] = str(retry_after)
            return page

    return wrapped


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_page(
            request, gettext("This is too large"), gettext("The form that was sent is too large."), status=413
        )
    return error_page(
        request,
        gettext("This request cannot be read"),
        gettext("The address or the form that was sent is not valid."),
        status=400,
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(request, gettext("Not allowed"), gettext("Your account may not open this page."), status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        gettext("There is nothing here"),
        gettext("The address is wrong, or what was here is gone."),
        status=404,
    )


class NotAllowedMiddleware:
    """Django's own answer to a wrong method is an empty page, which people meet when they reload what a form led to."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405 or response.content or "text/html" not in request.headers.get("Accept", ""):
            return response
        page = error_page(
            request,
            gettext("This address is not a page"),
            gettext("A form or a program uses it. Nothing was changed."),
            status=405,
        )
        page.headers["Allow"] = response.headers["Allow"]
        return page


class LongFieldsMiddleware:
    """Our pages show again what was typed into them, and nobody types that much. What is not behind CSRF protection is
    posted by others, to views with limits of their own; administrators paste whole documents.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or request.path.startswith("/admin/"):
            return None
        if all(len(value) <= LONGEST_FIELD for values in request.POST.lists() for value in values[1]):
            return None
        return error_page(
            request, gettext("This is too large"), gettext("A field of the form is too long."), status=413
        )


def server_error(request: HttpRequest) -> HttpResponse:
    """503 when the database is away: nothing was done, the cookie is kept, try again. 500 else.

    Django calls this while it handles the exception. The tenant's name is not asked for: the database may be gone.
    """
    error = sys.exc_info()[1]
    away = isinstance(error, OUTAGES)
    title, message, status = (
        (gettext_noop("We cannot do this right now"), UNKNOWN if is_outcome_unknown(error) else NOT_DONE, 503)
        if away
        else (
            gettext_noop("Something went wrong on our side"),
            gettext_noop("Nothing was changed. Please try again in a moment."),
            500,
        )
    )
    response: HttpResponse
    if "text/html" in request.headers.get("Accept", ""):
        context = {"title": gettext(title), "message": gettext(message), "tenant": TenantSettings()}
        response = HttpResponse(render_to_string("error.html", context), status=status)
    else:
        code = "temporarily_unavailable" if away else "server_error"
        response = JsonResponse({"error": code, "error_description": message}, status=status)
    if away:
        response.headers["Retry-After"] = str(RETRY_SOON)
    return response
