"""`/logout`: the person's own button (POST), and the old name of `/v2/logout` that early SDKs call (GET)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from idp.views.stale_forms import asked_again, is_from_our_page, when_stale
from logout_app.browser.sign_out import end_and_answer
from logout_app.views.oidc_logout import ask
from logout_app.views.v2_logout import v2_logout
from sessions_app.session import binding
from sessions_app.signin.destinations import is_ours
from sessions_app.views.signin import login


def _of_an_older_page(request: HttpRequest) -> HttpResponse:
    """A sign-out signs out, however old its page is; a form of somebody else's page only makes us ask."""
    if is_from_our_page(request):
        return _logout(request)
    session = binding.session_of(request)
    if session is None:
        return HttpResponseRedirect(login.after_logout(request.POST.get("next", "")))
    return asked_again(ask(request, session, application=None, return_url=_return_url(request)))


@when_stale(_of_an_older_page)
@login_not_required
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """POST (CSRF checked): end this browser's session and show who is told; then `next`, if it is ours, or home."""
    return v2_logout(request) if request.method == "GET" else _logout(request)


def _logout(request: HttpRequest) -> HttpResponse:
    session = binding.session_of(request)
    if session is None:
        return login.logout(request)  # a sign-in may be waiting for its second factor
    return end_and_answer(request, session, application=None, return_url=_return_url(request), at=timezone.now())


def _return_url(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    return target if is_ours(target) or target == reverse("account_login") else reverse("home")
