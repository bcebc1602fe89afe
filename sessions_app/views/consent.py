"""POST /authorize/consent: the answer of the person, then on with the request that waited for it."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from idp import configuration
from idp.protocol.errors import AccessDenied, InvalidRequest
from idp.protocol.params import Params
from idp.views.errors import page_errors
from sessions_app import authorize as act
from sessions_app import binding
from sessions_app.views.authorization_response import fail
from sessions_app.views.authorize import recipient_of, respond
from sessions_app.views.consent_page import SALT

LIFETIME = timedelta(hours=1)


@login_not_required
@require_POST
@page_errors
def consent(request: HttpRequest) -> HttpResponse:
    try:
        carried = signing.loads(request.POST.get("request", ""), salt=SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise InvalidRequest("This page was opened too long ago. Start again at the application.") from None
    params = Params([(name, value) for name, value in carried["pairs"]])
    session = binding.session_of(request)
    if session is None or session.sid != carried["sid"]:
        return respond(request, params)  # somebody else is signed in now, or nobody: begin again
    to = recipient_of(params, configuration.current())
    if request.POST.get("answer") != "allow":
        return fail(request, to, AccessDenied("The person did not allow it."))
    act.remember_consent(session, to.application, carried["scope"], timezone.now())
    return respond(request, params, consented=frozenset(carried["scope"]))
