"""`/samlp/{client_id}`: sign-in to an application that speaks SAML; and our metadata for it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

import structlog
from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from idp.http import content_policy, request_body
from idp.http.middleware import for_programs
from idp.http.requests import facts
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.opaque import new_secret
from idp.protocol.params import Params, from_urlencoded
from idp.saml.bindings import REQUEST, RESPONSE, STATE
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from idp.views.errors import json_errors, page_errors
from sessions_app.oauth.authorize import BROWSER_COOKIE, Login, NotAdmitted, Proceed, StepUp
from sessions_app.protocol.authorization import REPOSTED
from sessions_app.saml import kept, metadata, receive, sso
from sessions_app.saml.kept import SamlRequest
from sessions_app.saml.name_ids import NoSuchName
from sessions_app.saml.response import SamlStatement
from sessions_app.saml.sso import Party
from sessions_app.session import binding
from sessions_app.views.signin import reposting
from sessions_app.views.signin.step_up import UPSTREAM

MEDIA_TYPE = "application/samlmetadata+xml"
GAVE_UP = {"unmet_authentication_requirements": sso.NO_CONTEXT, "access_denied": sso.DENIED}
log = structlog.get_logger(__name__)


@login_not_required
@csrf_exempt
@require_http_methods(["GET", "POST"])
@page_errors
def sign_on(request: HttpRequest, client_id: str) -> HttpResponse:
    """An AuthnRequest by redirect or form, its continuation after a sign-in, or somebody who comes without one."""
    params = from_urlencoded(_query(request)) if request.method == "GET" else request_body.form(request)
    params.refuse_duplicates()
    session = binding.session_of(request)
    snapshot = configuration.at(session.config_version) if session else configuration.current()  # type: ignore[attr-defined]
    party = _party(client_id, snapshot)
    if reposting.is_needed(request, params):
        return reposting.page(request, params, request.path)
    at = timezone.now()
    if kept.PARAMETER in params:
        asked = kept.opened(params[kept.PARAMETER], client_id, request.COOKIES.get(BROWSER_COOKIE, ""))
        receive.check_still_registered(party.application, asked)
        if kept.ERROR in params:
            codes = ("Responder", GAVE_UP.get(params[kept.ERROR], "AuthnFailed"))
            return _send(request, party, asked, sso.refused(asked, party, codes, at))
    elif REQUEST in params:
        own = Params([pair for pair in params.pairs if pair[0] != REPOSTED])
        asked = receive.received(party.application, party.settings, _query(request), own, at)
    else:
        asked = receive.unsolicited(party.application, party.settings, params)
    return respond(request, party, asked, ANSWERS, at)


@for_programs
@login_not_required
@require_safe
@json_errors
def idp_metadata(request: HttpRequest, client_id: str) -> HttpResponse:
    party = _party(client_id, configuration.current())
    document = metadata.document(party.application, party.settings, timezone.now())
    return HttpResponse(document, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class Answers:
    """How a protocol answers: with what is said of somebody, or that there is nothing to say (a response, or what it raises)."""

    say: Callable[[HttpRequest, Party, SamlRequest, SamlStatement, datetime], HttpResponse]
    refuse: Callable[[HttpRequest, Party, SamlRequest, ProtocolError | NoSuchName, datetime], HttpResponse]


def respond(request: HttpRequest, party: Party, asked: SamlRequest, answers: Answers, at: datetime) -> HttpResponse:
    """By SAML and by WS-Federation: to a page of ours first, or back to the application."""
    session = binding.session_of(request)
    seen = log.bind(client_id=party.application.client_id, protocol=asked.protocol)
    try:
        decision = sso.decide(asked, party, session, at)
        if isinstance(decision, Login):
            seen.info("saml.login", reason=decision.reason)
            return lead_away(request, "account_login", kept.sent(asked, at))
        if isinstance(decision, StepUp):
            seen.info("saml.step_up", reason=decision.reason)
            return step_up(request, asked, decision)
        assert isinstance(decision, Proceed)  # noqa: S101  nothing is asked of people
        said = sso.stated(asked, decision, party, facts(request), at)
    except NotAdmitted as error:
        seen.info("saml.not_admitted")
        if asked.passive:  # silently, it hears of it at once
            return answers.refuse(request, party, asked, error, at)
        return not_admitted(request, party, asked, error)
    except sso.Used:
        raise
    except (ProtocolError, NoSuchName) as error:
        seen.info("saml.refused", why=str(error), detail=getattr(error, "detail", ""))
        return answers.refuse(request, party, asked, error, at)
    if said is None:  # the session ended while we decided: the same request without it
        binding.browser_of(request).session = None
        return respond(request, party, asked, answers, at)
    return answers.say(request, party, asked, said, at)


def _say(request: HttpRequest, party: Party, asked: SamlRequest, said: SamlStatement, at: datetime) -> HttpResponse:
    return _send(request, party, asked, sso.answered(asked, said, party, at))


def _refuse(
    request: HttpRequest, party: Party, asked: SamlRequest, error: ProtocolError | NoSuchName, at: datetime
) -> HttpResponse:
    return _send(request, party, asked, sso.refused(asked, party, sso.codes_of(error), at))


ANSWERS = Answers(_say, _refuse)


def _party(client_id: str, snapshot: Snapshot) -> Party:
    application = snapshot.application(client_id) if client_id.isprintable() else None
    if application is None or not application.enabled or not application.usable.saml:
        raise InvalidRequest("There is no application here that speaks SAML under this address.", status=404)
    return Party(application, application.usable.saml, snapshot)


def _query(request: HttpRequest) -> str:
    return request.META.get("QUERY_STRING", "") if request.method == "GET" else ""


def step_up(request: HttpRequest, asked: SamlRequest, decision: StepUp) -> HttpResponse:
    there = {UPSTREAM: "1"} if decision.upstream else {}
    onward = replace(asked, asked_upstream=asked.asked_upstream or decision.upstream)
    return lead_away(request, "login_step_up", onward, **there)


def lead_away(request: HttpRequest, page: str, asked: SamlRequest, **more: str) -> HttpResponse:
    """To a page of ours and back, with the request sealed behind `next` and bound to this browser."""
    browser = request.COOKIES.get(BROWSER_COOKIE, "") or new_secret()
    query = urlencode({**more, "next": kept.address(asked, browser)})
    response = HttpResponse(status=303, headers={"Location": f"{reverse(page)}?{query}"})
    return _bind(response, browser)


def _bind(response: HttpResponse, browser: str) -> HttpResponse:
    response.set_cookie(
        BROWSER_COOKIE,
        browser,
        path="/",
        secure=django_settings.HTTPS,
        httponly=True,
        samesite=django_settings.SSO_COOKIE_SAMESITE,
    )
    return response


def not_admitted(request: HttpRequest, party: Party, asked: SamlRequest, error: NotAdmitted) -> HttpResponse:
    """The page for somebody who is signed in, but not to this application."""
    browser = request.COOKIES.get(BROWSER_COOKIE, "") or new_secret()
    session = binding.session_of(request)
    again = kept.address(asked, browser)
    context = {
        "application": party.application,
        "person": session.user if session else None,
        "code": error.error,
        "back": f"{reverse('login_cancel')}?{urlencode({'next': again, 'error': error.error})}",
        "another": kept.address(replace(asked, force=True, sent_to_login=None), browser),
    }
    response = render(request, "not_admitted.html", context, status=403)
    return _bind(response, browser)


def _send(request: HttpRequest, party: Party, asked: SamlRequest, answer: bytes) -> HttpResponse:
    """By HTTP-POST, to the registered assertion consumer service only (SAML bindings section 3.5)."""
    fields = [(RESPONSE, base64.b64encode(answer).decode())]
    if asked.relay_state:
        fields.append((STATE, asked.relay_state))
    response = render(request, "form_post.html", {"action": asked.acs, "fields": fields})
    content_policy.allow_forms_to(response, asked.acs)
    response.headers["Cache-Control"] = "no-store"
    return response
