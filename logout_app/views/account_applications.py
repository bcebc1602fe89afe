"""`/account/applications`: which applications may act for somebody, and the page that takes one of them everything."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from idp.http.requests import facts
from idp.http.visit import is_fresh, reauthentication_url
from idp.models import User
from idp.protocol.text.bidi import isolated
from idp.views.errors import page_errors
from logout_app.ending import application_removed
from logout_app.ending.application_removed import ActingApplication, Removed
from sessions_app.views.oauth import consent_page


@require_safe
@page_errors
def your_applications(request: HttpRequest) -> HttpResponse:
    found = application_removed.acting_for(_person(request), timezone.now())
    rows = [(row, _scopes(row)) for row in found]
    return render(request, "account/applications.html", {"person": _person(request), "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def remove_application(request: HttpRequest, client_id: str) -> HttpResponse:
    """Asks, and does it. An application that may nothing of this person is not found, whoever else allowed it something."""
    if not client_id.isprintable():  # NUL and lone surrogates would be an error of the database
        raise Http404
    person, at = _person(request), timezone.now()
    found = application_removed.acting_for(person, at, client_id)
    if request.method == "POST" and not found:
        messages.info(request, gettext("That app could not act for you any more."))
        return HttpResponseRedirect(reverse("your_applications"))
    if not found:
        raise Http404
    if request.method != "POST":
        return render(request, "account/application_remove.html", {"row": found[0], "scopes": _scopes(found[0])})
    if not is_fresh(request, at):
        return HttpResponseRedirect(reauthentication_url(request.path))
    removed = application_removed.remove(person, found[0].application, facts(request), at)
    messages.success(request, _in_words(found[0], removed))
    return HttpResponseRedirect(reverse("your_applications"))


def _in_words(row: ActingApplication, removed: Removed) -> str:
    said = gettext("%(application)s cannot act for you any more.") % {"application": isolated(row.name)}
    if not removed.sessions:
        return said
    if removed.is_told:
        return f"{said} {gettext('It is being told that you are signed out; Activity shows its answer.')}"
    return f"{said} {gettext('We have no way to tell it that you are signed out: sign out there too.')}"


def _scopes(row: ActingApplication) -> list[str]:
    return consent_page.in_words(row.consent.scopes) if row.consent else []


def _person(request: HttpRequest) -> User:
    """Who is signed in: the middleware lets nobody else come here."""
    return cast(User, request.user)
