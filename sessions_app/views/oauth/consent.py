"""POST /authorize/consent: the answer of the person, then on with the request that waited for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from idp.protocol.errors import AccessDenied, InvalidRequest
from idp.protocol.params import Params
from idp.tenants import configuration
from idp.views.errors import page_errors
from idp.views.stale_forms import asked_again, when_stale
from sessions_app.oauth import authorize as act
from sessions_app.oauth import pushed
from sessions_app.oauth.recipient import recipient_of
from sessions_app.session import binding
from sessions_app.views.oauth.authorization_response import fail
from sessions_app.views.oauth.authorize import respond
from sessions_app.views.oauth.consent_page import SALT

LIFETIME = timedelta(hours=1)


@page_errors
def _ask_again(request: HttpRequest) -> HttpResponse:
    """Whose answer it is cannot be known: the request is answered as if it had come anew."""
    return asked_again(respond(request, _params(_carried(request))))


@when_stale(_ask_again)
@login_not_required
@require_POST
@page_errors
def consent(request: HttpRequest) -> HttpResponse:
    carried = _carried(request)
    params = _params(carried)
    session = binding.session_of(request)
    if session is None or session.sid != carried["sid"]:
        return respond(request, params)  # somebody else is signed in now, or nobody: begin again
    at = timezone.now()
    wanted = pushed.opened(params, request.COOKIES.get(act.BROWSER_COOKIE, ""), at)
    to = recipient_of(wanted, configuration.current())
    if request.POST.get("answer") != "allow":
        pushed.use(params, at)
        return fail(request, to, AccessDenied("The person did not allow it."))
    act.remember_consent(session, to.application, carried["scope"], at)
    return respond(request, params, consented=frozenset(carried["scope"]))


def _carried(request: HttpRequest) -> dict[str, Any]:
    try:
        carried: dict[str, Any] = signing.loads(request.POST.get("request", ""), salt=SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise InvalidRequest(
            gettext_noop("This page was opened too long ago. Start again at the application.")
        ) from None
    return carried


def _params(carried: dict[str, Any]) -> Params:
    return Params([(name, value) for name, value in carried["pairs"]])
