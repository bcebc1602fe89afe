"""`/account/activity`: what happened to somebody's account in thirty days; `/account/data`: all that is kept about them, as a file."""

from __future__ import annotations

from typing import cast

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.http.visit import is_fresh, reauthentication_url
from idp.models import User
from idp.tenants import configuration, rules
from idp.views.errors import page_errors
from logout_app.evidence import activity, personal

LINES = 30


@require_safe
@page_errors
def your_activity(request: HttpRequest) -> HttpResponse:
    """A page that is not there is the nearest one that is."""
    person, at = cast(User, request.user), timezone.now()
    page = Paginator(activity.lines(person.user_id, at), LINES).get_page(request.GET.get("page"))
    timeout = rules.within(configuration.current().tenant, "sign_out_timeout")
    lines = activity.told_of(list(page), person.user_id, at, timeout)
    return render(request, "account/activity.html", {"person": person, "page": page, "lines": lines})


@require_safe
def your_data(request: HttpRequest) -> HttpResponseBase:
    """After a fresh proof: all of it together is worth more to a stranger than any page. The proof leads back to the profile."""
    at = timezone.now()
    if not is_fresh(request, at):
        return HttpResponseRedirect(reauthentication_url(reverse("account_profile")))
    pieces = personal.document(cast(User, request.user), at, personal.MOST)
    answer = StreamingHttpResponse(pieces, content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="curfew-{at:%Y%m%d}.json"'
    answer["Cache-Control"] = "no-store"
    return answer
