"""Pages on which a passkey is made: one that offers it after a password, one of the account; and the page that removes a key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views as webauthn_views
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from idp.http.content_policy import allow_forms_to
from idp.http.visit import reauthentication_url
from idp.models import User
from idp.protocol import assurance
from idp.views.errors import error_page, page_errors
from sessions_app.session import binding
from sessions_app.session.assurance import level_of
from sessions_app.signin import factors, passkey_enrolment, security_keys
from sessions_app.signin.destinations import Destination, destination

PROVED_WITHIN = timedelta(minutes=5)  # before the page is shown; who stole a cookie must not add a key of their own
TIME_TO_ANSWER = timedelta(minutes=10)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@page_errors
def offer(request: HttpRequest) -> HttpResponse:
    """After a password, on the way to `next`: make one, or never be asked again."""
    target = destination(request.POST.get("next") or request.GET.get("next", ""), binding.browser_of(request).snapshot)
    if request.method == "POST" and "not-now" in request.POST:
        passkey_enrolment.decline(_person(request), timezone.now())
        return allow_forms_to(HttpResponseRedirect(target.url), target.callback)
    if request.method != "POST" and not passkey_enrolment.may_be_asked(_person(request)):
        return HttpResponseRedirect(
            target.url
        )  # opened again, or from a sign-in of somebody else that was not finished
    return allow_forms_to(_make(request, target, is_offer=True), target.callback)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@page_errors
def add(request: HttpRequest) -> HttpResponse:
    """The same, asked for on the account's pages."""
    return _make(request, Destination(reverse("mfa_index")), is_offer=False)


@page_errors
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """allauth's page, but for the key without which its person could not sign in any more."""
    key = Authenticator.objects.filter(pk=pk, user=_person(request), type=Authenticator.Type.WEBAUTHN).first()
    if key is None:
        raise Http404
    if passkey_enrolment.is_last_way_in(key):
        return error_page(
            request,
            _("This is your only way to sign in"),
            _("Set a password or add another passkey first. Then you can remove this one."),
            status=403,
            again=reverse("mfa_list_webauthn"),
        )
    response: HttpResponse = webauthn_views.remove_webauthn(request, pk=pk)
    return response


def _make(request: HttpRequest, target: Destination, *, is_offer: bool) -> HttpResponse:
    person, at = _person(request), timezone.now()
    if not passkey_enrolment.may_have(person):
        return error_page(
            request,
            _("Passkeys are not switched on for you"),
            _("You sign in somewhere else, or an administrator has switched them off."),
            status=403,
        )
    if away := _to_prove(request, person, at):
        return away
    refused = False
    if request.method == "POST":
        try:
            name = request.POST.get("name", "").strip()[: security_keys.LONGEST_NAME]
            key, codes = passkey_enrolment.add(
                request, person, name, security_keys.read(request.POST.get("credential", ""))
            )
        except security_keys.NotProved:
            refused = True
        else:
            return _done(request, target, key, codes)
    context = {
        "options": passkey_enrolment.begin(person),
        "default_name": passkey_enrolment.default_name(request),
        "application": target.application,
        "next": target.url,
        "is_offer": is_offer,
        "refused": refused,
    }
    return render(request, "account/passkey_add.html", context, status=400 if refused else 200)


def _done(request: HttpRequest, target: Destination, key: Authenticator, codes: list[str]) -> HttpResponse:
    """Said at once, with the recovery codes: a page that is asked for again would not show them."""
    context = {"key": key, "codes": codes, "application": target.application, "onward": target.url}
    return render(request, "account/passkey_done.html", context)


def _to_prove(request: HttpRequest, person: User, at: datetime) -> HttpResponse | None:
    """Who has a second factor proves that, everybody what they have, and a short time ago."""
    session, here = binding.session_of(request), request.get_full_path()
    if session is None:
        raise Http404
    if factors.of_person(person) and level_of(session) < assurance.MULTI:
        return HttpResponseRedirect(f"{reverse('login_step_up')}?{urlencode({'next': here})}")
    patience = PROVED_WITHIN + (TIME_TO_ANSWER if request.method == "POST" else timedelta())
    return None if session.auth_time > at - patience else HttpResponseRedirect(reauthentication_url(here))


def _person(request: HttpRequest) -> User:
    """Who is signed in: the middleware lets nobody else come here."""
    return cast(User, request.user)
