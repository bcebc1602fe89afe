"""`/account/activity`: what happened to somebody's account in the last thirty days."""

from __future__ import annotations

from typing import cast

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.models import User
from idp.tenants import configuration, rules
from idp.views.errors import page_errors
from logout_app.evidence import activity

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
