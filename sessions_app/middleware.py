"""What a request knows of its browser is attached here, and nowhere else; what the request made of it is written here.

`request.user` and `request.auser` come from the live SSO session only, looked up when first asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware, LoginRequiredMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject

from idp.database.outage import OUTAGES
from idp.http.requests import facts
from idp.http.visit import reauthentication_url
from idp.models import User
from idp.protocol.assurance import MULTI
from sessions_app.models import SSOSession
from sessions_app.session import assurance, binding, lifecycle
from sessions_app.session.binding import Browser, browser_of
from sessions_app.signin import attempts, factors, remembered
from sessions_app.signin.under_way import SignInUnderWay

PROVING = frozenset({"account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"})
FACTORS = frozenset(
    {"mfa_activate_totp", "mfa_deactivate_totp", "mfa_add_webauthn", "mfa_remove_webauthn", "account_add_passkey"}
    | {"account_passkey_offer", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes"}
)
log = structlog.get_logger(__name__)


class SSOSessionMiddleware(AuthenticationMiddleware):
    """Stands in the place of Django's, which would read a user id from Django's session."""

    def process_request(self, request: HttpRequest) -> None:
        request.browser = Browser(request)  # type: ignore[attr-defined]  # `browser_of` reads it with its type
        request.sign_in = SignInUnderWay()  # type: ignore[attr-defined]  # `sign_in_of` does
        request.user = SimpleLazyObject(lambda: _user(request))  # type: ignore[assignment]
        request.auser = functools.partial(_user_later, request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        browser = browser_of(request)
        cookie = browser.new_cookie
        if cookie:
            binding.set_cookie(response, cookie, browser.tenant)
        elif cookie == "":
            binding.clear_cookie(response, browser.tenant)
            if settings.CSRF_COOKIE_NAME in request.COOKIES and "CSRF_COOKIE" not in request.META:
                response.delete_cookie(settings.CSRF_COOKIE_NAME, samesite=settings.CSRF_COOKIE_SAMESITE)
        if browser.new_device_cookie:
            attempts.set_device_cookie(response, browser.new_device_cookie)
        if browser.new_remembered_cookie:
            remembered.set_cookie(response, browser.new_remembered_cookie, browser.snapshot.tenant)
        if browser.was_looked_up:
            patch_vary_headers(response, ("Cookie",))
        if cookie is None and _is_activity(request, browser) and browser.session:
            _touch(request, browser.session)
        return response


class SignInRequired(LoginRequiredMiddleware):
    """Asks the view first: for one that wants nobody signed in, the session need not be looked up.

    Whose session must be proved again gets no further than the page that proves it.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        session = binding.session_of(request)
        if session is not None and session.is_stale and not _proves(request):
            return HttpResponse(status=303, headers={"Location": reauthentication_url(request.get_full_path())})
        return super().process_view(request, view_func, view_args, view_kwargs) or _second_factor_first(request)


def _second_factor_first(request: HttpRequest) -> HttpResponseBase | None:
    """The admin is an application that wants what tenant and connection want. Pages of one's own account stay open: there a
    factor is set up."""
    session = binding.session_of(request)
    if session is None or not _lacks_factor(request, session):
        return None
    is_admin = request.path.startswith(reverse("admin:index"))
    start = reverse("admin:index" if is_admin else "mfa_index")
    back = request.get_full_path() if request.method in ("GET", "HEAD") else start
    return HttpResponseRedirect(f"{reverse('login_step_up')}?{urlencode({'there': '1', 'next': back})}")


def _lacks_factor(request: HttpRequest, session: SSOSession) -> bool:
    """Who has a second factor proves it before any is changed or shown: the session may be older than the factor, or its
    browser remembered instead."""
    if request.path.startswith(reverse("admin:index")):
        return bool(assurance.missing(None, session, browser_of(request).snapshot))
    if request.resolver_match is None or request.resolver_match.url_name not in FACTORS:
        return False
    return assurance.level_of(session) < MULTI and bool(factors.of_person(session.user))


def _proves(request: HttpRequest) -> bool:
    return request.resolver_match is not None and request.resolver_match.url_name in PROVING


def _user(request: HttpRequest) -> User | AnonymousUser:
    session = binding.session_of(request)
    if session is None:
        return AnonymousUser()
    session.user.acting_session = session.pk
    return session.user


def _touch(request: HttpRequest, session: SSOSession) -> None:
    """A database that takes no writes at the moment still lets people read: then the idle limit moves next time."""
    try:
        lifecycle.touch(session, facts(request), timezone.now())
    except OUTAGES as error:
        log.warning("sessions.not_touched", error=str(error))


_user_later = sync_to_async(_user)


def _is_activity(request: HttpRequest, browser: Browser) -> bool:
    """Somebody came to a page. Scripts that poll (fetch says so in Sec-Fetch-Mode) and passive views prolong nothing."""
    return (
        browser.was_looked_up
        and browser.is_activity
        and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
    )
