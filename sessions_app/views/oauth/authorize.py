"""GET and POST /authorize: find who asks, decide, and answer by the right channel."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from idp.applications import refusals
from idp.http import languages, request_body
from idp.http.queries import encoded
from idp.http.requests import facts
from idp.protocol.errors import ProtocolError
from idp.protocol.opaque import new_secret
from idp.protocol.params import Params, from_urlencoded
from idp.tenants import configuration
from idp.views.errors import page_errors
from sessions_app.models import SSOSession
from sessions_app.oauth import authorize as act
from sessions_app.oauth import long_requests, pushed
from sessions_app.oauth.recipient import Recipient, recipient_of
from sessions_app.protocol import authorization
from sessions_app.protocol.authorization import ASKED_UPSTREAM, MARKER, OURS
from sessions_app.session import binding
from sessions_app.views.oauth import consent_page
from sessions_app.views.oauth.admission_page import not_admitted
from sessions_app.views.oauth.authorization_response import fail, succeed
from sessions_app.views.signin import reposting
from sessions_app.views.signin.step_up import UPSTREAM

log = structlog.get_logger(__name__)
LONGEST_LOCATION = 2000  # of an answer of ours, whose other headers need as much
NEED_NO_ESCAPE = (
    "/:,@!*()$"  # in a query (RFC 3986 3.4); what is escaped twice grows threefold, and a proxy may have 4 kB
)


@login_not_required
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def authorize(request: HttpRequest) -> HttpResponse:
    params = long_requests.whole_params(_params(request))
    languages.wish(request, params.get("ui_locales", ""))
    if not authorization.too_long(params) and reposting.is_needed(request, params):
        return reposting.page(request, params, reverse("authorize"))
    return respond(request, params)


def respond(request: HttpRequest, params: Params, *, consented: frozenset[str] | None = None) -> HttpResponse:
    """The answer to an authorization request; the consent page comes back here when it was allowed."""
    at = timezone.now()
    session = binding.session_of(request)
    snapshot = configuration.at(session.config_version) if session else configuration.current()  # type: ignore[attr-defined]
    wanted = pushed.opened(params, request.COOKIES.get(act.BROWSER_COOKIE, ""), at)
    languages.wish(request, wanted.get("ui_locales", ""))
    to = recipient_of(wanted, snapshot)
    situation = _situation(request, params, to, session, snapshot, at, consented)
    try:
        asked = act.read(wanted, to, is_pushed=pushed.is_pushed(params))
        decision = act.decide(asked, situation)
        if isinstance(decision, act.Login):
            log.info("authorize.login", client_id=to.application.client_id, reason=decision.reason)
            return _to_login(request, params, situation, page=_first_page(wanted))
        if isinstance(decision, act.StepUp):
            log.info("authorize.step_up", client_id=to.application.client_id, reason=decision.reason)
            return _to_step_up(request, params, decision, situation)
        if isinstance(decision, act.Ask):
            return _to_consent(request, params, to, decision, at)
        pushed.use(params, at)
        code = act.issue_code(
            asked, decision, to.application, redirect_uri=to.redirect_uri, facts=facts(request), at=at
        )
    except pushed.Unknown:
        raise
    except act.NotAdmitted as error:
        log.info("authorize.not_admitted", client_id=to.application.client_id)
        if pushed.is_pushed(params):  # the page would lead through an address that has the whole request in it
            pushed.use(params, at)
            return fail(request, to, error)
        return not_admitted(request, params, to, error)
    except ProtocolError as error:
        refusals.note_mistake(to.application, error, to.redirect_uri, at)
        log.info("authorize.refused", client_id=to.application.client_id, error=error.error, detail=error.detail)
        pushed.use(params, at)
        return fail(request, to, error)
    if code is None:  # the session ended while we decided: the same request without it
        binding.browser_of(request).session = None
        return respond(request, params)
    return succeed(request, to, code)


def _situation(
    request: HttpRequest,
    params: Params,
    to: Recipient,
    session: SSOSession | None,
    snapshot: configuration.Snapshot,
    at: datetime,
    consented: frozenset[str] | None,
) -> act.Situation:
    return act.Situation(
        application=to.application,
        session=session,
        snapshot=snapshot,
        sent_to_login=act.sent_to_login(params, request.COOKIES.get(act.BROWSER_COOKIE, ""), at),
        consented=consented,
        at=at,
        asked_upstream=ASKED_UPSTREAM in params,
    )


def _params(request: HttpRequest) -> Params:
    if request.method != "POST":
        return from_urlencoded(request.META.get("QUERY_STRING", ""))
    return request_body.form(request)


def _first_page(wanted: Params) -> str:
    """Auth0's SDKs ask for sign-up so (`screen_hint`); where nobody may, that page is the way to the login page."""
    return "sign_up" if wanted.get("screen_hint") == "signup" else "account_login"


def _to_login(request: HttpRequest, params: Params, situation: act.Situation, *, page: str) -> HttpResponse:
    """To the login page (or that of sign-up), with the request and the marker behind `next`, and the browser's cookie that binds the marker."""
    browser = _browser(request)
    pushed.keep(params, browser, situation.at)
    kept = [(name, value) for name, value in params.pairs if name not in OURS]
    query = encoded([*kept, (MARKER, act.mark(params, browser, situation.at))], NEED_NO_ESCAPE)
    return _bind(_lead_away(request, page, query, situation), browser)


def _to_consent(request: HttpRequest, params: Params, to: Recipient, ask: act.Ask, at: datetime) -> HttpResponse:
    page = consent_page.render_page(request, params, to, ask)
    if not pushed.is_pushed(params):
        return page
    browser = _browser(request)
    pushed.keep(params, browser, at)
    return _bind(page, browser)


def _browser(request: HttpRequest) -> str:
    return request.COOKIES.get(act.BROWSER_COOKIE, "") or new_secret()


def _bind(response: HttpResponse, browser: str) -> HttpResponse:
    """The cookie by which we know the browser that was shown a page before its answer."""
    response.set_cookie(
        act.BROWSER_COOKIE,
        browser,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite=settings.SSO_COOKIE_SAMESITE,
    )
    return response


def _to_step_up(request: HttpRequest, params: Params, step: act.StepUp, situation: act.Situation) -> HttpResponse:
    """To the second factor, with the request behind `next`: a marker that it has still says that somebody signed in for it."""
    browser = _browser(request)
    pushed.keep(params, browser, situation.at)
    kept = [(name, value) for name, value in params.pairs if name in (MARKER, ASKED_UPSTREAM) or name not in OURS]
    there = {UPSTREAM: "1"} if step.upstream else {}
    if there and ASKED_UPSTREAM not in params:
        kept.append((ASKED_UPSTREAM, "1"))
    query = encoded(kept, NEED_NO_ESCAPE)
    away = _lead_away(request, "login_step_up", query, situation, **there)
    return _bind(away, browser) if pushed.is_pushed(params) else away


def _lead_away(request: HttpRequest, page: str, query: str, situation: act.Situation, **more: str) -> HttpResponse:
    location = _before(page, f"{reverse('authorize')}?{query}", more)
    if len(location) > LONGEST_LOCATION:
        client_id = situation.application.client_id
        location = _before(page, long_requests.keep(query, client_id, facts(request), situation.at), more)
    return HttpResponse(status=303, headers={"Location": location})


def _before(page: str, back: str, more: dict[str, str]) -> str:
    return f"{reverse(page)}?{encoded([*more.items(), ('next', back)], NEED_NO_ESCAPE + '?=')}"
