"""The page behind `check_session_iframe` (OpenID Connect Session Management 1.0 section 3.3)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from idp.http import content_policy
from idp.tenants import configuration
from sessions_app.session import binding, browser_state


@require_safe
@login_not_required
@xframe_options_exempt
@binding.passive
def check_session(request: HttpRequest) -> HttpResponse:
    """Framable by anyone: it shows nothing, sends nothing to us, and answers its parent one of three words.

    A session that ended elsewhere (an administrator, another device, its age) left this browser's state as it was: who
    opens the page now is told "changed".
    """
    tenant = configuration.current().tenant
    if not tenant.session_management:
        raise Http404
    response = render(request, "check_session.html", {"cookie_name": settings.BROWSER_STATE_COOKIE_NAME})
    content_policy.allow_only(response, "frame-ancestors", ["*"])
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # also for parents that embed by COEP
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    if settings.SSO_COOKIE_NAME in request.COOKIES and binding.session_of(request) is None:
        browser_state.renew(response, tenant)
    return response
