"""The login page and what sign-in needs beside it: the second factor's page and the sign-out button's target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.logout import logout as allauth_logout
from allauth.mfa.base import views as mfa_views
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.database import LONGEST_LOGIN
from idp.http import languages
from idp.http.content_policy import allow_forms_to
from idp.protocol.errors import InvalidRequest
from idp.protocol.text import normal_forms
from idp.tenants import configuration, profile
from idp.views.errors import error_page, page_errors
from idp.views.stale_forms import when_stale
from sessions_app.models import SSOSession
from sessions_app.saml import kept, sso
from sessions_app.session import binding
from sessions_app.signin import offers, remembered, sign_in
from sessions_app.signin.attempts import TooManyAttempts
from sessions_app.signin.destinations import Destination, destination, is_ours
from sessions_app.signin.forms import LoginForm
from sessions_app.signin.offers import Offer
from sessions_app.signin.round_trip import onward
from sessions_app.signin.under_way import sign_in_of
from sessions_app.signin.waiting import waiting_behind
from sessions_app.views.oauth.authorization_response import succeed
from sessions_app.views.signin import login_page, passkey, upstream_pages
from sessions_app.views.signin.callback import depart
from sessions_app.views.signin.popups import keep_opener

WRONG = gettext_lazy("E-mail address or password is wrong.")
AGAIN = gettext_noop(
    "This page was open for a while, and somebody signed in or out in this browser meanwhile. Please sign in once more."
)
OFFERS = "curfew_offers_passkey"  # in Django's session, while a second factor is waited for
NAMES = ("next", "only", "choose", "connection", "username", "password", "credential", "passkeys")


@keep_opener
@page_errors
def _of_an_older_page(request: HttpRequest) -> HttpResponse:
    """Whoever the form names signed in meanwhile (another tab, a double click): on to where it leads. Else it asks again,
    with what was typed but the password: this form may be another site's, so it is not looked at.
    """
    _refuse_repeated(request.POST, NAMES)
    browser = binding.browser_of(request)
    snapshot, session = browser.snapshot, browser.session
    target = destination(request.POST.get("next") or request.GET.get("next", ""), snapshot)
    typed = request.POST.get("username", "")[:LONGEST_LOGIN]
    if session is not None and _names(session, typed):
        return HttpResponseRedirect(target.url)
    offered = offers.offer(request, target, snapshot, named=_named(request.POST, target))
    if not offered:
        return _nothing_offered(request)
    initial = {"username": typed, "connection": request.POST.get("connection", "")}
    response = login_page.page(
        request, target, LoginForm(offer=offered, initial=initial), notice=gettext(AGAIN), status=403
    )
    return allow_forms_to(response, target.callback)


@when_stale(_of_an_older_page)
@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@keep_opener
@page_errors
def login(request: HttpRequest) -> HttpResponse:
    """Sign in to the application that waits behind `next`, or to Curfew itself.

    Somebody who is signed in sees the form only when it was asked for: by the application, which wants them to prove it
    again, or by themselves. `only` names the one connection to offer; `choose` offers all of them, and goes nowhere by itself.
    """
    _refuse_repeated(request.GET, ("next",))
    given = request.POST if request.method == "POST" else request.GET
    _refuse_repeated(given, NAMES)
    browser = binding.browser_of(request)
    snapshot, session = browser.snapshot, browser.session
    target = destination(given.get("next") or request.GET.get("next", ""), snapshot)
    languages.wish(request, target.asked.ui_locales)
    if request.method != "POST" and session is not None and not _asks_again(request, target, session):
        return HttpResponseRedirect(target.url)
    offered = offers.offer(request, target, snapshot, named=_named(given, target))
    if not offered:
        return _nothing_offered(request)
    if request.method == "POST":
        return allow_forms_to(_signed_in(request, target, offered), target.callback)
    just_signed_out = settings.SIGNED_OUT_COOKIE_NAME in request.COOKIES
    only = None if "choose" in given else offered.straight(just_signed_out=just_signed_out)
    if only is not None and only.silent_since:
        return upstream_pages.silent(request, only, target.url, upstream_pages.start_url(only, target.url, anyway="1"))
    if only is not None:
        return depart(request, only, target, snapshot)
    return allow_forms_to(login_page.first_page(request, target, offered, snapshot), target.callback)


def _asks_again(request: HttpRequest, target: Destination, session: SSOSession) -> bool:
    """Whether anybody wants this session's person to sign in once more; /authorize decides it by the same rules."""
    if target.application is None:
        return False
    by_hand, snapshot = "choose" in request.GET or "only" in request.GET, binding.browser_of(request).snapshot
    if (by_saml := kept.behind(target.url)) is not None:
        return by_hand or sso.asks_to_sign_in(by_saml, target.application, session, snapshot, timezone.now())
    waiting = waiting_behind(target.url, request.COOKIES)
    if waiting is None:
        return False
    return by_hand or waiting.asks_to_sign_in(session, snapshot, timezone.now())


def _named(given: QueryDict, target: Destination) -> str:
    """The one connection that is offered; "": all."""
    return "" if "choose" in given else given.get("only", "") or target.connection


def _names(session: SSOSession, typed: str) -> bool:
    """Whether this is what the session's person signs in with."""
    identity = session.identity
    known = {session.user.email, *((identity.login, identity.email) if identity else ())}
    return normal_forms.name(typed.strip()) in {normal_forms.name(name) for name in known if name}


def _nothing_offered(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        gettext("You cannot sign in here"),
        gettext("No way to sign in is switched on for this application."),
        status=403,
    )


def _signed_in(request: HttpRequest, target: Destination, offered: Offer) -> HttpResponse:
    try:
        return (
            passkey.sign_in(request, target, offered)
            if "credential" in request.POST
            else _try(request, target, offered)
        )
    except TooManyAttempts as error:
        response = error_page(request, gettext("Too many attempts"), error.sentence(gettext), status=error.status)
        response.headers["Retry-After"] = str(error.retry_after)
        return response


def _try(request: HttpRequest, target: Destination, offered: Offer) -> HttpResponse:
    form = LoginForm(request.POST, offer=offered)
    if not form.is_valid():
        return login_page.page(request, target, form, status=400)
    connection, username = form.cleaned_data["chosen"], form.cleaned_data["username"]
    if connection in offered.redirects:
        return onward(request, upstream_pages.start_url(connection, target.url, login_hint=username))
    waiting, password = waiting_behind(target.url, request.COOKIES), form.cleaned_data["password"]
    under_way = sign_in_of(request)
    under_way.can_keep_passkey = request.POST.get("passkeys") == "1"
    under_way.may_be_spared = not (target.asked.force or target.asked.two_factors)
    try:
        response = sign_in.by_password(
            request, connection, username, password, timezone.now(), redirect_url=target.url, waiting=waiting
        )
    except sign_in.AccountBlocked:
        return login_page.page(request, target, form, blocked="password")
    except sign_in.WrongPassword:
        form.add_error("password", WRONG)
        return login_page.page(request, target, form)
    except UpstreamRefused as error:
        form.add_error(None, languages.in_words(error.sentence))
        return login_page.page(request, target, form)
    except UpstreamFault as error:
        form.add_error(None, error.told)
        return login_page.page(request, target, form, status=error.status or 502)
    if sign_in_of(request).offers_passkey:
        response = _offer_passkey(request, target, response)
    elif waiting and waiting.granted:
        response = succeed(request, waiting.granted.to, waiting.granted.code)
    offers.remember(response, connection)
    return response


def _offer_passkey(request: HttpRequest, target: Destination, response: HttpResponse) -> HttpResponse:
    """Before they go on; whoever proves a second factor first is asked after it."""
    if binding.browser_of(request).new_cookie:
        return HttpResponseRedirect(_offer_url(target))
    request.session[OFFERS] = True
    return response


def _offer_url(target: Destination) -> str:
    return f"{reverse('account_passkey_offer')}?{urlencode({'next': target.url})}"


class SecondFactorView(mfa_views.AuthenticateView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        days = profile.remembered_days(binding.browser_of(self.request).snapshot.tenant)
        return {**super().get_context_data(**kwargs), "remember_days": days}


_authenticate = SecondFactorView.as_view()


def _code_of_an_older_page(request: HttpRequest) -> HttpResponse:
    """The page again if a sign-in still waits for its code; else it is done, or has to begin anew."""
    return HttpResponseRedirect(request.path)


@when_stale(_code_of_an_older_page)
@login_not_required
@keep_opener
@page_errors
def second_factor(request: HttpRequest) -> HttpResponse:
    """allauth's page; a person who proves again who they are is signed in already, which allauth would send home."""
    pending = sign_in.pending_redirect(request)
    if pending is None:  # done, by another click or in another tab, or never begun
        return HttpResponseRedirect(reverse("home" if binding.session_of(request) else "account_login"))
    request.user = AnonymousUser()
    target, offers_passkey = destination(pending, configuration.current()), request.session.get(OFFERS) is True
    response: HttpResponse = _authenticate(request)
    if hasattr(response, "render"):
        response = response.render()
    browser = binding.browser_of(request)
    if browser.new_cookie and browser.session is not None and request.POST.get("remember") == "1":
        remembered.remember(request, browser.session.user, browser.snapshot.tenant, timezone.now())
    if offers_passkey and browser.new_cookie:
        response = HttpResponseRedirect(_offer_url(target))
    return allow_forms_to(response, target.callback)


@login_not_required
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """What `/logout` does without applications to tell: the adapter's part, and a sign-in that waits for its second factor."""
    allauth_logout(request, show_message=False)
    return HttpResponseRedirect(after_logout(request.POST.get("next", "")))


def after_logout(target: str) -> str:
    """Where our own sign-out button may lead: our pages, or the login page, which then waits for a choice."""
    if target == reverse("account_login"):
        return f"{target}?choose=1"
    return target if is_ours(target) else reverse("home")


def _refuse_repeated(data: QueryDict, names: Sequence[str]) -> None:
    for name in names:
        if len(data.getlist(name)) > 1:
            raise InvalidRequest(f"{name} was sent more than once.")
