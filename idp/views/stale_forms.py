"""A form whose CSRF token is not this browser's: usually of a page that was open while somebody signed in in another tab.

Django calls `csrf_failure`. A view says by `when_stale` what becomes of its form: it leads on to where it led, or asks again.
Nothing is done but what a page of ours may do without a token: to sign out (`is_from_our_page` is proof enough for that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop

from idp.views.errors import error_page

View = TypeVar("View", bound=Callable[..., HttpResponse])
OPENED_EARLIER = gettext_noop(
    "This form was opened before somebody signed in or out in this browser, or in another browser. Nothing was changed."
)


def when_stale(handler: Callable[..., HttpResponse]) -> Callable[[View], View]:
    """The handler gets what the view would get. It may be called by other sites: see `is_from_our_page`."""

    def mark(view: View) -> View:
        view.when_stale = handler  # type: ignore[attr-defined]
        return view

    return mark


def is_from_our_page(request: HttpRequest) -> bool:
    """The browser says that a page of this origin sent the request, by headers that no page can set (Fetch Metadata, section
    2.4; Fetch, section 3.2). Without any of them: no.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    ours = (settings.ISSUER_ORIGIN, f"{request.scheme}://{request.get_host()}")
    return request.headers.get("Origin", "") in ours


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Of any form. Views that want somebody signed in are not reached without."""
    match = request.resolver_match
    if match is not None and _wants_a_session(match.func) and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    handler = getattr(match and match.func, "when_stale", None)
    if handler is not None and match is not None:
        response: HttpResponse = handler(request, *match.args, **match.kwargs)
        return response
    return stale_page(request)


def asked_again(response: HttpResponse) -> HttpResponse:
    """What the form said was not done: the status says so, whatever page asks for it once more."""
    if response.status_code == 200:
        response.status_code = 403
    return response


def stale_page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Says it, and leads to the page that the form is on: all but a few of our forms are sent to where they are."""
    return error_page(
        request,
        gettext("Please try again"),
        gettext(OPENED_EARLIER),
        code="csrf",
        status=403,
        again=_same_page(request),
    )


def _wants_a_session(view: Callable[..., Any]) -> bool:
    return bool(getattr(view, "login_required", True))


def _same_page(request: HttpRequest) -> str:
    """With `next`, which some forms carry themselves; the page checks it as ever."""
    where = request.GET.copy()
    if "next" not in where and (leads_to := request.POST.get("next", "")):
        where["next"] = leads_to
    return f"{request.path}?{urlencode(where)}" if where else request.path
