"""`/account/sessions`, "Your sessions": where somebody is signed in, and the buttons that end it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from idp import configuration
from idp.admin.support import is_fresh, reauthentication_url
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params
from idp.requests import facts
from idp.views.errors import page_errors
from logout_app import account_sessions
from logout_app.leaving import leave
from logout_app.views.sign_out_page import WORDS
from sessions_app import binding
from sessions_app.models import SSOSession

PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def your_sessions(request: HttpRequest) -> HttpResponse:
    session, at = _session(request), timezone.now()
    if request.method == "POST":
        return _act(request, session, at)
    tenant = configuration.at(getattr(session, "config_version", None)).tenant
    signed_out = account_sessions.just_signed_out(session.user, at, tenant.sign_out_timeout)
    devices = account_sessions.devices(session, at)
    context = {
        "person": session.user,
        "devices": devices,
        "others": len(devices) - 1,
        "keepers": account_sessions.keepers(session.user, at),
        "signed_out": signed_out,
        "pending": any(device.pending for device in signed_out),
        "words": {state.value: word for state, word in WORDS.items()},
    }
    return render(request, "account/sessions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """This device too, and what stays signed in by itself. Asks first, and who it is."""
    session, at = _session(request), timezone.now()
    if not is_fresh(request, at):
        return HttpResponseRedirect(reauthentication_url(reverse("sign_out_everywhere")))
    if request.method == "POST":
        return leave(request, session, application=None, return_url=reverse("home"), at=at, everywhere=True)
    context = {
        "person": session.user,
        "devices": account_sessions.devices(session, at),
        "keepers": account_sessions.keepers(session.user, at),
    }
    return render(request, "account/sessions_everywhere.html", context)


def _session(request: HttpRequest) -> SSOSession:
    """The middleware lets nobody come here without one."""
    return cast(SSOSession, binding.session_of(request))


def _act(request: HttpRequest, session: SSOSession, at: datetime) -> HttpResponse:
    params = Params((name, value) for name, values in request.POST.lists() for value in values)
    params.refuse_duplicates()
    match params.require("act"):
        case "sign-out":
            return _sign_out(request, session, _public_id(params, "sid"), at)
        case "sign-out-others":
            _tell_of_others(request, account_sessions.sign_out_others(session, at))
        case "revoke":
            _revoke(request, session, _public_id(params, "family"), at)
        case _:
            raise InvalidRequest("There is no such act.")
    return HttpResponseRedirect(reverse("your_sessions"))


def _public_id(params: Params, name: str) -> str:
    value = params.require(name)
    if not PUBLIC_ID.fullmatch(value):
        raise Http404
    return value


def _sign_out(request: HttpRequest, session: SSOSession, sid: str, at: datetime) -> HttpResponse:
    if sid == session.sid:
        return leave(request, session, application=None, return_url=reverse("home"), at=at)
    chosen = account_sessions.own_session(session.user, sid)
    if chosen is None:
        raise Http404
    name = account_sessions.device_name(chosen)
    if account_sessions.sign_out(chosen, at):
        messages.success(request, f"{name} is signed out.")
    else:
        messages.info(request, f"{name} was signed out already.")
    return HttpResponseRedirect(reverse("your_sessions"))


def _tell_of_others(request: HttpRequest, ended: int) -> None:
    if ended == 0:
        messages.info(request, "There was no other device to sign out.")
    elif ended == 1:
        messages.success(request, "Your other device is signed out.")
    else:
        messages.success(request, f"Your {ended} other devices are signed out.")


def _revoke(request: HttpRequest, session: SSOSession, public_id: str, at: datetime) -> None:
    family = account_sessions.own_family(session.user, public_id)
    if family is None:
        raise Http404
    name = family.application.name or family.application.client_id
    if account_sessions.revoke(family, session.user, facts(request), at):
        messages.success(request, f"{name} does not stay signed in any more.")
    else:
        messages.info(request, f"{name} did not stay signed in any more already.")
