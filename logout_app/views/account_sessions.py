"""`/account/sessions`, "Your sessions": where somebody is signed in, and the buttons that end it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods

from idp.http.requests import facts
from idp.http.visit import is_fresh, reauthentication_url
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params
from idp.protocol.text.bidi import isolated
from idp.tenants import configuration, rules
from idp.views.errors import page_errors
from idp.views.stale_forms import asked_again, is_from_our_page, when_stale
from logout_app.browser.sign_out import end_and_answer
from logout_app.ending import account_sessions, not_told
from logout_app.views.sign_out_words import WORDS
from sessions_app.models import SSOSession
from sessions_app.protocol import user_agents
from sessions_app.session import binding
from sessions_app.signin import remembered

PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,50}")
ACTS = {"sign-out": "sid", "sign-out-others": "", "revoke": "family"}  # each with the parameter that names its object


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody chose before they were asked who they are, as a form that only has to be sent."""

    title: str
    button: str
    fields: Mapping[str, str]


@page_errors
def _of_an_older_page(request: HttpRequest) -> HttpResponse:
    """What a page of ours asked to end ends, if it was this person's page; else it is asked about."""
    session, at = _session(request), timezone.now()
    if is_from_our_page(request) and _is_of(session, request):
        return _act(request, session, at)
    return asked_again(_page(request, session, at, chosen=request.POST))


@page_errors
def _everywhere_of_an_older_page(request: HttpRequest) -> HttpResponse:
    if is_from_our_page(request) and _is_of(_session(request), request):
        return sign_out_everywhere(request)
    return asked_again(_ask_everywhere(request, _session(request), timezone.now()))


def _is_of(session: SSOSession, request: HttpRequest) -> bool:
    """Whose page it was stands in its forms: somebody else may have signed in since."""
    return request.POST.get("of") == session.user.user_id


@when_stale(_of_an_older_page)
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def your_sessions(request: HttpRequest) -> HttpResponse:
    session, at = _session(request), timezone.now()
    if request.method == "POST":
        return _act(request, session, at)
    return _page(request, session, at, chosen=request.GET)


def _page(request: HttpRequest, session: SSOSession, at: datetime, *, chosen: QueryDict) -> HttpResponse:
    tenant = configuration.at(getattr(session, "config_version", None)).tenant
    signed_out = account_sessions.just_signed_out(session.user, at, rules.within(tenant, "sign_out_timeout"))
    devices = account_sessions.devices(session, at)
    context = {
        "person": session.user,
        "question": _question(chosen, session, at),
        "devices": devices,
        "others": len(devices) - 1,
        "offline_apps": account_sessions.offline_apps(session.user, at),
        "remembered": [
            (row, user_agents.in_words(row.user_agent)) for row in remembered.of_person(session.user, tenant, at)
        ],
        "signed_out": signed_out,
        "pending": any(device.pending for device in signed_out),
        "words": {state.value: gettext(word) for state, word in WORDS.items()},
    }
    return render(request, "account/sessions.html", context)


@when_stale(_everywhere_of_an_older_page)
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """This device too, and what stays signed in by itself. Asks first, and who it is."""
    session, at = _session(request), timezone.now()
    if not is_fresh(request, at):
        return HttpResponseRedirect(reauthentication_url(reverse("sign_out_everywhere")))
    if request.method == "POST":
        return end_and_answer(request, session, application=None, return_url=reverse("home"), at=at, everywhere=True)
    return _ask_everywhere(request, session, at)


def _ask_everywhere(request: HttpRequest, session: SSOSession, at: datetime) -> HttpResponse:
    context = {
        "person": session.user,
        "devices": account_sessions.devices(session, at),
        "offline_apps": account_sessions.offline_apps(session.user, at),
        "untold": not_told.names_everywhere(session.user, session, at),
    }
    return render(request, "account/sessions_everywhere.html", context)


def _session(request: HttpRequest) -> SSOSession:
    """The middleware lets nobody come here without one."""
    return cast(SSOSession, binding.session_of(request))


def _act(request: HttpRequest, session: SSOSession, at: datetime) -> HttpResponse:
    params = Params((name, value) for name, values in request.POST.lists() for value in values)
    params.refuse_duplicates()
    act = params.require("act")
    if act not in ACTS:
        raise InvalidRequest("There is no such act.")
    chosen = _public_id(params, ACTS[act]) if ACTS[act] else ""
    if act == "sign-out" and chosen == session.sid:
        return end_and_answer(request, session, application=None, return_url=reverse("home"), at=at)
    if not is_fresh(request, at):
        return _prove(act, chosen)
    match act:
        case "sign-out":
            _sign_out(request, session, chosen, at)
        case "sign-out-others":
            _tell_of_others(request, account_sessions.sign_out_others(session, at))
        case "revoke":
            _revoke(request, session, chosen, at)
    return HttpResponseRedirect(reverse("your_sessions"))


def _prove(act: str, chosen: str) -> HttpResponse:
    """Whoever has stolen a cookie must not throw its owner out; the owner, who can prove it, loses a moment."""
    query = {"act": act, **({ACTS[act]: chosen} if ACTS[act] else {})}
    return HttpResponseRedirect(reauthentication_url(f"{reverse('your_sessions')}?{urlencode(query)}"))


def _question(given: QueryDict, session: SSOSession, at: datetime) -> Question | None:
    """The act that a proof was asked for. Looking does nothing: it takes the form, and what is gone is not asked about."""
    act = given.get("act", "")
    chosen = given.get(ACTS.get(act, ""), "")
    if act == "sign-out-others":
        return Question(gettext("Sign out of all other devices?"), gettext("Sign out of the others"), {"act": act})
    if not PUBLIC_ID.fullmatch(chosen):
        return None
    if act == "sign-out":
        device = account_sessions.own_session(session.user, chosen)
        if device and device.pk != session.pk and device.is_alive(at):
            name = account_sessions.device_name(device)
            return Question(
                gettext("Sign out of %(device)s?") % {"device": name}, gettext("Sign out"), {"act": act, "sid": chosen}
            )
    if act == "revoke":
        family = account_sessions.own_family(session.user, chosen)
        if family and family.is_alive(at):
            name = isolated(str(family.application))
            return Question(
                gettext("Revoke %(application)s?") % {"application": name},
                gettext("Revoke"),
                {"act": act, "family": chosen},
            )
    return None


def _public_id(params: Params, name: str) -> str:
    value = params.require(name)
    if not PUBLIC_ID.fullmatch(value):
        raise Http404
    return value


def _sign_out(request: HttpRequest, session: SSOSession, sid: str, at: datetime) -> None:
    chosen = account_sessions.own_session(session.user, sid)
    if chosen is None:
        raise Http404
    name = account_sessions.device_name(chosen)
    if account_sessions.sign_out(chosen, at):
        messages.success(request, gettext("%(device)s is signed out.") % {"device": name})
    else:
        messages.info(request, gettext("%(device)s was signed out already.") % {"device": name})


def _tell_of_others(request: HttpRequest, ended: int) -> None:
    if ended == 0:
        messages.info(request, gettext("There was no other device to sign out."))
    else:
        said = ngettext("Your other device is signed out.", "Your %(number)d other devices are signed out.", ended)
        messages.success(request, said % {"number": ended})


def _revoke(request: HttpRequest, session: SSOSession, public_id: str, at: datetime) -> None:
    family = account_sessions.own_family(session.user, public_id)
    if family is None:
        raise Http404
    name = isolated(str(family.application))
    if account_sessions.revoke(family, session.user, facts(request), at):
        messages.success(request, gettext("%(application)s does not stay signed in any more.") % {"application": name})
    else:
        messages.info(
            request, gettext("%(application)s did not stay signed in any more already.") % {"application": name}
        )
