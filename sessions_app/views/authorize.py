"""GET and POST /authorize: find who asks, decide, and answer by the right channel."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode, urlsplit

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from idp import configuration
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.opaque import new_secret
from idp.protocol.params import Params, from_urlencoded
from idp.requests import facts
from idp.views.errors import page_errors
from sessions_app import authorize as act
from sessions_app import binding
from sessions_app.destinations import is_ours
from sessions_app.models import AuthorizationCode, SSOSession
from sessions_app.protocol import authorization
from sessions_app.protocol.authorization import MARKER, OURS, ResponseMode
from sessions_app.views import consent_page, reposting
from sessions_app.views.authorization_response import Recipient, fail, recipient, succeed

log = structlog.get_logger(__name__)
REDIRECTS = (ResponseMode.QUERY, ResponseMode.FRAGMENT)
NEED_NO_ESCAPE = (
    "/:,@!*()$"  # in a query (RFC 3986 3.4); what is escaped twice grows threefold, and a proxy may have 4 kB
)
BROWSER_COOKIE = settings.SSO_COOKIE_NAME.replace("sso", "authorize")


@login_not_required
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def authorize(request: HttpRequest) -> HttpResponse:
    params = _params(request)
    if reposting.is_needed(request, params):
        return reposting.page(request, params, reverse("authorize"))
    return respond(request, params)


def respond(request: HttpRequest, params: Params, *, consented: frozenset[str] | None = None) -> HttpResponse:
    """The answer to an authorization request; the consent page comes back here when it was allowed."""
    at = timezone.now()
    session = binding.session_of(request)
    snapshot = configuration.at(session.config_version) if session else configuration.current()  # type: ignore[attr-defined]
    to = recipient_of(params, snapshot)
    situation = _situation(request, params, to, session, snapshot, at, consented)
    try:
        asked = _read(params, to)
        decision = act.decide(asked, situation)
        if isinstance(decision, act.Login):
            log.info("authorize.login", client_id=to.application.client_id, reason=decision.reason)
            return _to_login(request, params, situation)
        if isinstance(decision, act.Ask):
            return consent_page.render_page(request, params, to, decision)
        code = act.issue_code(
            asked, decision, to.application, redirect_uri=to.redirect_uri, facts=facts(request), at=at
        )
    except ProtocolError as error:
        log.info("authorize.refused", client_id=to.application.client_id, error=error.error, detail=error.detail)
        return fail(request, to, error)
    if code is None:  # the session ended while we decided: the same request without it
        binding.browser_of(request).session = None
        return respond(request, params)
    return succeed(request, to, code)


class Waiting:
    """The authorization request behind a sign-in. If a redirect can answer it, its code is written together with the session.

    Errors, questions and pages are /authorize's, where the browser goes then. The rules are the same functions.
    """

    def __init__(self, request: HttpRequest, url: str) -> None:
        self._request, self._url = request, url
        self._granted: tuple[Recipient, str] | None = None

    def code_for(self, session: SSOSession, snapshot: configuration.Snapshot, at: datetime) -> AuthorizationCode | None:
        """The code, if the request needs nothing but this session, which is about to be written. Stores nothing."""
        try:
            params = from_urlencoded(urlsplit(self._url).query)
            to = recipient_of(params, snapshot)
            asked = _read(params, to)
            decision = act.decide(asked, _situation(self._request, params, to, session, snapshot, at, None))
        except ProtocolError:
            return None
        if not isinstance(decision, act.Proceed) or to.mode not in REDIRECTS:
            return None
        raw, code = act.new_code(asked, decision, to.application, redirect_uri=to.redirect_uri, at=at)
        self._granted = to, raw
        return code

    def answer(self) -> HttpResponse | None:
        """After the sign-in: the answer to the application; None if that is for /authorize to give."""
        return succeed(self._request, *self._granted) if self._granted else None


def wait(request: HttpRequest, url: str) -> Waiting | None:
    """Have the sign-in of this request answer the authorization request that `url` is, if it is one."""
    if urlsplit(url).path != reverse("authorize"):
        return None
    waiting = request.waiting = Waiting(request, url)  # type: ignore[attr-defined]  # for the adapter
    return waiting


def recipient_of(params: Params, snapshot: configuration.Snapshot) -> Recipient:
    """The application and its registered redirect URI. Until they are known, an error is a page."""
    doubled = {"client_id", "redirect_uri"} & set(params.duplicates)
    if doubled:
        raise InvalidRequest(f"The parameter {min(doubled)} was given more than once.")
    application = snapshot.application(params.require("client_id"))
    if application is None or not application.enabled:
        raise InvalidRequest("The application is not known here.", error="invalid_client")
    return recipient(
        application,
        params.require("redirect_uri"),
        snapshot.tenant,
        mode=authorization.response_mode(params),
        state=authorization.state_of(params),
        silent="none" in params.get("prompt", "").split(),
    )


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
        sent_to_login=act.sent_to_login(params, request.COOKIES.get(BROWSER_COOKIE, ""), at),
        consented=consented,
        at=at,
    )


def _read(params: Params, to: Recipient) -> authorization.AuthorizationRequest:
    return authorization.read(params, pkce_required=to.application.is_public or to.application.require_pkce)


def _params(request: HttpRequest) -> Params:
    if request.method != "POST":
        return from_urlencoded(request.META.get("QUERY_STRING", ""))
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidRequest("A POST must be a form.", status=415)
    try:
        return from_urlencoded(request.body)
    except RequestDataTooBig:
        raise InvalidRequest("The request is too large.", status=413) from None


def _to_login(request: HttpRequest, params: Params, situation: act.Situation) -> HttpResponse:
    """To the login page, with the whole request and the marker in `next`, and the browser's cookie that binds the marker."""
    browser = request.COOKIES.get(BROWSER_COOKIE, "") or new_secret()
    kept = [(name, value) for name, value in params.pairs if name not in OURS]
    query = urlencode([*kept, (MARKER, act.mark(params, browser, situation.at))], safe=NEED_NO_ESCAPE)
    back = f"{reverse('authorize')}?{query}"
    if not is_ours(back):
        raise InvalidRequest("The request is too long to wait for a sign-in.")
    location = f"{reverse('account_login')}?{urlencode({'next': back}, safe=NEED_NO_ESCAPE + '?=')}"
    response = HttpResponse(status=303, headers={"Location": location})
    response.set_cookie(
        BROWSER_COOKIE, browser, path="/", secure=settings.HTTPS, httponly=True, samesite=settings.SSO_COOKIE_SAMESITE
    )
    return response
