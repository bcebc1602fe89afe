"""`/logout`: the person's own button (POST), and the old name of `/v2/logout` that early SDKs call (GET)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from logout_app.leaving import leave
from logout_app.views.v2_logout import v2_logout
from sessions_app import binding
from sessions_app.destinations import is_ours
from sessions_app.views import login


@login_not_required
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """POST (CSRF checked): end this browser's session and show who is told; then `next`, if it is ours, or home."""
    if request.method == "GET":
        return v2_logout(request)
    session = binding.session_of(request)
    if session is None:
        return login.logout(request)  # a sign-in may be waiting for its second factor
    target = request.POST.get("next", "")
    allowed = is_ours(target) or target == reverse("account_login")
    return leave(
        request, session, application=None, return_url=target if allowed else reverse("home"), at=timezone.now()
    )
