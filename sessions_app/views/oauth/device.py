"""POST /oauth/device/code for the device, /activate for the person who holds it (RFC 8628)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods

from idp.http.requests import facts
from idp.limits import limiter
from idp.protocol.errors import AccessDenied, TooManyRequests
from idp.tenants import configuration
from idp.views.errors import page_errors
from idp.views.stale_forms import asked_again, when_stale
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import DeviceGrant, SSOSession
from sessions_app.oauth import device
from sessions_app.protocol import scopes
from sessions_app.session import assurance, binding
from sessions_app.session.gate import may_use
from sessions_app.views.oauth.consent_page import in_words
from sessions_app.views.oauth.endpoint import authenticate_client, body_params, program_endpoint


@program_endpoint
def device_code(request: HttpRequest) -> HttpResponse:
    params, at = body_params(request), timezone.now()
    application = authenticate_client(request, params, at)
    audience = params.get("audience", params.get("resource", ""))
    asked = scopes.split(params.get("scope", ""))
    started = device.start(application, asked, audience, configuration.current(), facts=facts(request), at=at)
    query = urlencode({"user_code": started.user_code})
    return JsonResponse(
        {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": device.verification_uri(),
            "verification_uri_complete": f"{device.verification_uri()}?{query}",
            "expires_in": int(device.LIFETIME.total_seconds()),
            "interval": device.INTERVAL,
        },
        headers={"Cache-Control": "no-store"},
    )


@page_errors
def _ask_again(request: HttpRequest) -> HttpResponse:
    return asked_again(_activate(request, answer=""))


@when_stale(_ask_again)
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def activate(request: HttpRequest) -> HttpResponse:
    """Type the code, see who asks, allow or not. Whoever comes here is signed in (LoginRequiredMiddleware)."""
    return _activate(request, answer=request.POST.get("answer", ""))


def _activate(request: HttpRequest, *, answer: str) -> HttpResponse:
    session = binding.session_of(request)
    typed = request.POST.get("user_code") or request.GET.get("user_code", "")
    if session is None or not typed:
        return render(request, "device_code.html", {"failed": False})
    grant = _waiting(request, session, typed)
    if grant is None:
        return render(request, "device_code.html", {"failed": True, "typed": typed[:20]}, status=400)
    if not may_use(grant.application, session, session.user, binding.browser_of(request).snapshot):
        raise AccessDenied(device.NOT_FOR_THEM)
    if assurance.missing(grant.application, session, binding.browser_of(request).snapshot):
        back = f"{reverse('device_activate')}?{urlencode({'user_code': typed[:20]})}"
        return HttpResponseRedirect(f"{reverse('login_step_up')}?{urlencode({'there': '1', 'next': back})}")
    at = timezone.now()
    if answer == "allow":
        done = device.approve(grant, session, facts(request), at)
        return render(request, "device_done.html", {"application": grant.application, "allowed": done})
    if answer == "deny":
        device.deny(grant)
        return render(request, "device_done.html", {"application": grant.application, "allowed": False})
    items = in_words(scopes.split(grant.scope))
    return render(
        request, "device_confirm.html", {"application": grant.application, "typed": typed[:20], "items": items}
    )


def _waiting(request: HttpRequest, session: SSOSession, typed: str) -> DeviceGrant | None:
    """The device with this code, counted for whoever types it before it is looked for. Raises TooManyRequests."""
    at = timezone.now()
    taken = limiter.reserve([limiter.CODE.key("device", session.user_id)], at)
    if taken.news:
        trail.record(EventType.DEVICE_CODE_THROTTLED, session=session, facts=facts(request), at=at)
    if not taken.allowed:
        message = gettext_noop("Too many wrong codes. Try again in a quarter of an hour.")
        raise TooManyRequests(message, retry_after=taken.retry_after)
    if (grant := device.waiting(typed, at)) is None:
        trail.record(EventType.DEVICE_CODE_FAILED, session=session, facts=facts(request), at=at)
        return None
    limiter.give_back(taken)
    return grant
