"""allauth's account pages as we mount them. Its login, logout, signup and e-mail pages are not mounted."""

from __future__ import annotations

from typing import Any, cast

from allauth.account import views
from allauth.account.models import EmailConfirmationHMAC
from allauth.mfa.base import views as mfa_views
from allauth.mfa.webauthn import views as webauthn_views
from django.contrib.auth.decorators import login_not_required
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.models import PasswordChange, User
from idp.views.errors import error_page, page_errors
from sessions_app.account import mail
from sessions_app.signin import attempts, passkey_enrolment, remembered, sign_in


class PasswordResetFromKeyView(views.PasswordResetFromKeyView):
    def logout(self) -> None:
        """allauth signs out whoever opens somebody else's link by GET: a picture on another site could do that."""

    def form_valid(self, form: Form) -> HttpResponse:
        self.reset_user.password_change = PasswordChange.RESET
        response: HttpResponse = super().form_valid(form)
        if identity := mail.resettable(self.reset_user):
            attempts.remember_mailbox(self.request, identity)
        return response


@method_decorator(login_not_required, name="dispatch")
class ConfirmEmailView(views.ConfirmEmailView):
    """The link of a mail; a button does it, as mail scanners open links."""

    def logout(self) -> None:
        """As above."""

    def get_object(self, queryset: object = None) -> EmailConfirmationHMAC:
        try:
            return super().get_object(queryset)
        except Http404:
            guesses.count(facts(self.request), limiter.ENDPOINT, "address link", timezone.now())
            raise

    def get_redirect_url(self) -> str:
        return reverse("account_email_confirmed")


def password_change(request: HttpRequest) -> HttpResponse:
    """Of a password of ours; whoever signs in elsewhere changes it there."""
    person = _person(request)
    if not person.has_usable_password() or not sign_in.has_password(request, person, own=True):
        return error_page(
            request,
            gettext("Your password is not kept here"),
            gettext("Please change it where you sign in from."),
            status=403,
        )
    response: HttpResponse = views.password_change(request)
    return response


class SignInMethodsView(mfa_views.IndexView):
    """allauth's page of second factors, with the password beside them."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        person = _person(self.request)
        own = person.has_usable_password() and sign_in.has_password(self.request, person, own=True)
        identity = sign_in.identity_in(self.request, person)
        elsewhere = "" if own or identity is None else str(identity.connection)
        return {
            **super().get_context_data(**kwargs),
            "person": person,
            "own_password": own,
            "elsewhere": elsewhere,
            "passkeys": passkey_enrolment.may_have(person),
        }


class KeysView(webauthn_views.ListWebAuthnView):
    """allauth's list, which adds passkeys for those whom they sign in."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "passkeys": passkey_enrolment.may_have(_person(self.request))}


@require_POST
def forget_browser(request: HttpRequest, pk: int) -> HttpResponse:
    """One that is remembered instead of a second factor; it takes no proof, as it only asks for more of them."""
    if not remembered.forget(_person(request), pk, facts(request), timezone.now()):
        raise Http404
    return HttpResponseRedirect(reverse("your_sessions"))


@require_http_methods(["GET", "HEAD", "POST"])
def verify_email(request: HttpRequest) -> HttpResponse:
    """The person's own address: whether it is verified, and a mail that lets them verify it."""
    user = _person(request)
    connections = mail.names_of(user)
    if request.method == "POST" and connections and user.email and not user.email_verified:
        sent = mail.ask_for_verification(user, timezone.now())
        return HttpResponseRedirect(f"{reverse('account_verify_email')}?{'sent' if sent else 'wait'}")
    context = {"person": user, "connections": connections, "sent": "sent" in request.GET, "wait": "wait" in request.GET}
    return render(request, "account/verify_email.html", context)


def _person(request: HttpRequest) -> User:
    """Who is signed in: the middleware lets nobody else come here."""
    return cast(User, request.user)


@login_not_required
@require_safe
def email_confirmed(request: HttpRequest) -> HttpResponse:
    return render(request, "account/email_confirmed.html")


password_reset = views.password_reset
password_reset_done = views.password_reset_done
password_reset_from_key = page_errors(PasswordResetFromKeyView.as_view())
password_reset_from_key_done = views.password_reset_from_key_done
confirm_email = page_errors(ConfirmEmailView.as_view())
inactive = views.account_inactive
sign_in_methods = SignInMethodsView.as_view()
keys = KeysView.as_view()
