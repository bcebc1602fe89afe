"""The page behind `check_session_iframe` (OpenID Connect Session Management 1.0 section 3.3)."""

from __future__ import annotations

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from idp import configuration


@require_safe
@login_not_required
@xframe_options_exempt
@csp_replace({"frame-ancestors": ["*"]})
def check_session(request: HttpRequest) -> HttpResponse:
    """Framable by anyone: it shows nothing, sends nothing to us, and answers its parent one of three words."""
    if not configuration.current().tenant.session_management:
        raise Http404
    response = render(request, "check_session.html", {"cookie_name": settings.BROWSER_STATE_COOKIE_NAME})
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # also for parents that embed by COEP
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response
