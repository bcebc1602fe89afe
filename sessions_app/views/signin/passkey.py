"""Passkeys on the login page: the challenge that its script asks for, and the form that comes back with the answer."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from sessions_app.signin import offers, passkeys, security_keys
from sessions_app.signin.destinations import Destination
from sessions_app.signin.forms import LoginForm
from sessions_app.signin.offers import Offer
from sessions_app.signin.under_way import sign_in_of
from sessions_app.signin.waiting import waiting_behind
from sessions_app.views.oauth.authorization_response import succeed
from sessions_app.views.signin import login_page

WRONG = _("This passkey does not sign you in here. Please sign in as you usually do.")


@login_not_required
@require_GET
@never_cache
def challenge(request: HttpRequest) -> HttpResponse:
    """What `navigator.credentials.get` is given (WebAuthn Level 3, section 5.5): any passkey of ours, and its person verified."""
    return JsonResponse(
        {
            "challenge": passkeys.new_challenge(request, timezone.now()),
            "rpId": settings.ISSUER_PARTS.hostname,
            "userVerification": "required",
            "timeout": int(passkeys.LIFETIME.total_seconds() * 1000),
        }
    )


def sign_in(request: HttpRequest, target: Destination, offered: Offer) -> HttpResponse:
    """The form of a passkey. Raises TooManyAttempts; all else that is wrong is said on the login page."""
    waiting = waiting_behind(target.url, request.COOKIES)
    form = LoginForm(offer=offered)
    try:
        response = passkeys.by_passkey(
            request,
            security_keys.read(request.POST["credential"]),
            offered.passwords,
            timezone.now(),
            redirect_url=target.url,
            waiting=waiting,
        )
    except passkeys.PasskeyOfBlocked:
        return login_page.page(request, target, form, blocked="passkey")
    except passkeys.WrongPasskey:
        return login_page.page(request, target, form, notice=str(WRONG))
    if waiting and waiting.granted:
        response = succeed(request, waiting.granted.to, waiting.granted.code)
    if (proved := sign_in_of(request).proved) is not None:
        offers.remember(response, proved.identity.connection)
    return response
