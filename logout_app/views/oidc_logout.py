"""`/oidc/logout`: the end_session_endpoint, and its pages: confirm, complete, aborted (RP-Initiated Logout 1.0)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from idp.applications import rules as targets
from idp.http import content_policy, languages
from idp.models import Application
from idp.protocol.errors import InvalidRequest
from idp.tenants import configuration
from idp.views.stale_forms import asked_again, is_from_our_page, when_stale
from logout_app.browser import hints
from logout_app.browser.sign_out import end_and_answer, finish, is_opened_page
from logout_app.protocol import rp_initiated_logout as rules
from logout_app.protocol.rp_initiated_logout import Current, LogoutClient, LogoutRequest, LogoutStep
from logout_app.views.errors import sign_out_errors
from sessions_app.models import SSOSession
from sessions_app.session import binding

SALT = "logout confirmation"
QUESTION_LASTS = 600  # seconds
RESUBMITTED = "curfew_resubmitted"


@csrf_exempt  # applications post here; what needs proof of the person's will asks on a page of ours
@login_not_required
@require_http_methods(["GET", "POST"])
@sign_out_errors
def oidc_logout(request: HttpRequest) -> HttpResponse:
    """Decide (one pure function), then end, ask, or go on."""
    params = request.POST if request.method == "POST" else request.GET
    asked = rules.parse(dict(params.lists()), posted=request.method == "POST")
    languages.wish(request, asked.ui_locales)
    session = binding.session_of(request)
    if session is None and _lost_its_cookie(request):
        return _resubmit(request, params)
    snapshot = configuration.at(getattr(session, "config_version", None)) if session else configuration.current()
    decision = _decide(request, asked, session, snapshot)
    application = snapshot.application(decision.client_id) if decision.client_id else None
    if session is None or decision.step is LogoutStep.NOTHING:
        return finish(request, decision.redirect)
    unseen = request.method == "GET" and not is_opened_page(request)  # part of another page: nobody meant to sign out
    if decision.step is LogoutStep.ASK or unseen:
        return ask(request, session, application=application, return_url=decision.redirect, federated=asked.federated)
    return end_and_answer(
        request,
        session,
        application=application,
        return_url=decision.redirect,
        at=timezone.now(),
        federated=asked.federated,
    )


@sign_out_errors
def _of_an_older_page(request: HttpRequest) -> HttpResponse:
    """The answer counts if a browser says that a page of ours sent it; else the question is asked once more."""
    if "Sec-Fetch-Site" in request.headers and is_from_our_page(request):
        return confirmed(request)
    return asked_again(_answer(request, agreed=False))


@when_stale(_of_an_older_page)
@login_not_required
@require_POST
@sign_out_errors
def confirmed(request: HttpRequest) -> HttpResponse:
    """The answer to our question. CSRF is checked; the question was about the session that the browser still has."""
    return _answer(request, agreed=request.POST.get("logout") == "yes")


def _answer(request: HttpRequest, *, agreed: bool) -> HttpResponse:
    question = _read_question(request)
    session = binding.session_of(request)
    snapshot = configuration.current()
    application = snapshot.application(question["client_id"]) if question["client_id"] else None
    if question["client_id"] and (application is None or not application.enabled):
        question["return_url"] = ""  # it was deleted or disabled since it asked
    if session is None:
        return finish(request, question["return_url"])
    what_follows = {"return_url": question["return_url"], "federated": question["federated"]}
    if session.sid != question["sid"] or not agreed:
        return ask(request, session, application=application, **what_follows)
    return end_and_answer(request, session, application=application, at=timezone.now(), **what_follows)


@login_not_required
@require_GET
def stayed(request: HttpRequest) -> HttpResponse:
    """The person chose to stay signed in."""
    return render(request, "logout/aborted.html")


@login_not_required
@require_GET
def complete(request: HttpRequest) -> HttpResponse:
    return render(request, "logout/complete.html")


def ask(
    request: HttpRequest,
    session: SSOSession,
    *,
    application: Application | None,
    return_url: str,
    federated: bool = False,
) -> HttpResponse:
    """The question. What it was about travels signed; `return_url` is validated already."""
    question = {
        "sid": session.sid,
        "client_id": application.client_id if application else "",
        "return_url": return_url,
        "federated": federated,
    }
    context = {
        "question": signing.dumps(question, salt=SALT, compress=True),
        "application": application,
        "person": session.user,
    }
    response = render(request, "logout/confirm.html", context)
    return content_policy.allow_forms_to(response, return_url)


def _decide(
    request: HttpRequest, asked: LogoutRequest, session: SSOSession | None, snapshot: configuration.Snapshot
) -> rules.LogoutDecision:
    tenant = snapshot.tenant

    def find(client_id: str) -> LogoutClient | None:
        application = snapshot.application(client_id) if client_id.isprintable() else None
        if application is None:
            return None
        return LogoutClient(
            application.client_id,
            application.usable.logout_urls,
            enabled=application.enabled,
            any_port=application.may_use_any_port,
        )

    hint = hints.verify(asked.id_token_hint, snapshot) if asked.id_token_hint else None
    return rules.decide(
        asked,
        hint=hint,
        current=Current(session.sid, hints.subject(session.user.user_id, hint, snapshot)) if session else None,
        find_client=find,
        tenant_urls=targets.tenant_logout_urls(tenant),
        may_skip_question=not tenant.oidc_logout_prompt_enabled and is_opened_page(request),
    )


def _read_question(request: HttpRequest) -> dict[str, Any]:
    try:
        question: dict[str, Any] = signing.loads(request.POST.get("question", ""), salt=SALT, max_age=QUESTION_LASTS)
    except signing.BadSignature:
        raise InvalidRequest(gettext_noop("This question was asked too long ago. Please sign out again.")) from None
    return question


def _lost_its_cookie(request: HttpRequest) -> bool:
    """A cross-site POST to an issuer whose cookie is Lax: the browser kept the cookie back."""
    return (
        request.method == "POST"
        and settings.SSO_COOKIE_SAMESITE == "Lax"
        and settings.SSO_COOKIE_NAME not in request.COOKIES
        and RESUBMITTED not in request.POST
        and request.headers.get("Sec-Fetch-Site", "") == "cross-site"
    )


def _resubmit(request: HttpRequest, params: QueryDict) -> HttpResponse:
    """A page that posts the same form once more, from our own origin: then the cookie comes with it."""
    fields = [(name, value) for name in rules.PARAMETERS for value in params.getlist(name)]
    context = {"fields": [*fields, (RESUBMITTED, "1")], "action": request.path}
    response = render(request, "logout/resubmit.html", context)
    return content_policy.allow_forms_to(response, *params.getlist("post_logout_redirect_uri"))
