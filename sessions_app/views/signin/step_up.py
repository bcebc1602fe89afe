"""A second factor in the session that there is: for an application that wants one, proved or set up on the way.

`next` is where it leads on. allauth's pages that set a factor up do not carry it, so that it waits in the browser's Django
session, and whoever sets one up there is led on too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

import structlog
from allauth.mfa.base import views as mfa_views
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import views as totp_views
from allauth.mfa.webauthn import views as webauthn_views
from django.contrib.auth.decorators import login_not_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.connections import silence
from idp.connections.contract import UpstreamFault
from idp.http.content_policy import allow_forms_to
from idp.models import User
from idp.protocol import assurance
from idp.views.errors import page_errors
from sessions_app.models import SSOSession
from sessions_app.session import binding
from sessions_app.session.assurance import is_proved_upstream, level_of
from sessions_app.signin import factors, round_trip, sign_in
from sessions_app.signin.destinations import Destination, destination
from sessions_app.views.signin.popups import keep_opener

WAITS = "curfew_step_up"
UPSTREAM = "there"  # ours: where the person signed in is to be asked first
log = structlog.get_logger(__name__)
View = Callable[[HttpRequest], Any]


@login_not_required
@require_safe
@keep_opener
@page_errors
def step_up(request: HttpRequest) -> HttpResponse:
    """To the identity provider upstream (`there`), to the page that asks for the person's factor, or to those where one is set
    up. Nobody signed in, or to be proved anew: `next` says so."""
    target, session = _target(request.GET.get("next", ""), request), binding.session_of(request)
    if session is None or session.is_stale or level_of(session) >= assurance.MULTI:
        return HttpResponseRedirect(target.url)
    if UPSTREAM in request.GET and (away := _to_upstream(request, target, session)):
        return away
    kinds = [factor.type for factor in factors.of_person(session.user)]
    if not kinds:
        request.session[WAITS] = target.url
        return render(request, "step_up.html", {"application": target.application, "back": _back(target)})
    page = "mfa_reauthenticate" if Authenticator.Type.TOTP in kinds else "mfa_reauthenticate_webauthn"
    return HttpResponseRedirect(f"{reverse(page)}?{urlencode({'next': target.url})}")


def _to_upstream(request: HttpRequest, target: Destination, session: SSOSession) -> HttpResponse | None:
    """None where it cannot be asked. It comes back to this page if it leads to one of ours, which could only ask again."""
    connection = session.connection
    if connection is None or not is_proved_upstream(session):
        return None
    onward = target.url if target.application else f"{request.path}?{urlencode({'next': target.url})}"
    asked = replace(target.asked, force=False, max_age=None, select_account=False, two_factors=True)
    try:
        return round_trip.start(request, connection, asked, onward, timezone.now(), steps_up=True)
    except UpstreamFault as error:
        log.warning("step_up.upstream_failed", connection=connection.name, reason=error.reason)
        silence.note(connection, error, at=timezone.now())
        return None


@require_safe
def set_up(request: HttpRequest) -> HttpResponse:
    """A factor was set up a moment ago: where its recovery codes are, and the way on."""
    target = _target(request.session.pop(WAITS, ""), request)
    return render(request, "step_up_done.html", {"application": target.application, "onward": target.url})


def proves(view: View) -> View:
    """A page that asks for a factor again; its form may lead to the application that waits."""

    @page_errors
    def page(request: HttpRequest) -> HttpResponse:
        target = _target(request.POST.get("next") or request.GET.get("next", ""), request)
        response: HttpResponse = view(request)
        return allow_forms_to(_rendered(response), target.callback) if target.callback else response

    return page


def sets_up(view: View, kind: str) -> View:
    """A page that sets a factor up, which proves it too: they held it a moment ago. Who was led here is led on."""

    @page_errors
    def page(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            response: HttpResponse = view(request)
            return response
        user = cast(User, request.user)
        before = {factor.pk for factor in factors.of_person(user)}
        response = view(request)
        if all(factor.pk in before for factor in factors.of_person(user)):
            return response  # a wrong code
        sign_in.record_enrolment(request, user, kind)
        return HttpResponseRedirect(reverse("step_up_done")) if WAITS in request.session else response

    return page


class ReauthenticateKeyView(webauthn_views.ReauthenticateWebAuthnView):
    def form_invalid(self, form: Form) -> HttpResponse:
        """The page once more: allauth would lead somebody who is signed in to the login page, and `next` would be lost."""
        super().form_invalid(form)  # it notes what the page says
        onward = self.request.POST.get("next") or self.request.GET.get("next", "")
        return HttpResponseRedirect(
            f"{self.request.path}?{urlencode({'next': onward})}" if onward else self.request.path
        )


reauthenticate = proves(mfa_views.reauthenticate)
reauthenticate_webauthn = proves(ReauthenticateKeyView.as_view())
activate_totp = sets_up(totp_views.activate_totp, Authenticator.Type.TOTP)
add_webauthn = sets_up(webauthn_views.add_webauthn, Authenticator.Type.WEBAUTHN)


def _target(url: str, request: HttpRequest) -> Destination:
    return destination(url, binding.browser_of(request).snapshot)


def _back(target: Destination) -> str:
    """To the application, with an error that says that it got no second factor."""
    if target.application is None:
        return reverse("home")
    return f"{reverse('login_cancel')}?{urlencode({'next': target.url, 'error': assurance.UNMET})}"


def _rendered(response: HttpResponse) -> HttpResponse:
    return cast(HttpResponse, response.render()) if hasattr(response, "render") else response
