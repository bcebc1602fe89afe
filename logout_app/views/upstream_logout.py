"""Signing out upstream over HTTP: where the browser leaves for it, and where it comes back to."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from idp.protocol.errors import InvalidRequest
from idp.protocol.params import from_urlencoded
from idp.views.errors import page_errors
from logout_app.browser import transactions, upstream_logout
from logout_app.browser.sign_out import is_opened_page
from logout_app.views.sign_out_page import gone


@login_not_required
@require_GET
@page_errors
def leave_upstream(request: HttpRequest, token: str) -> HttpResponse:
    """From the sign-out page, for its browser only."""
    page = transactions.find(request, token, timezone.now())
    if page is None:
        return gone(request)
    if not is_opened_page(request):
        raise InvalidRequest("Signing out needs a page of its own.", error="access_denied", status=403)
    return upstream_logout.depart(request, page, token=token, at=timezone.now())


@login_not_required
@require_GET
@page_errors
def logout_callback(request: HttpRequest) -> HttpResponse:
    """Back from upstream. Where to go next was stored before; nothing in this address decides it."""
    query = request.META.get("QUERY_STRING", "")
    params = from_urlencoded(query)
    params.refuse_duplicates()
    return upstream_logout.arrive(request, params.get("state", ""), params, query=query, at=timezone.now())
