"""`/account/not-me/…`, the link *This was not me* of a mail: it asks, and a button ends everything."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from idp.http import languages
from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.views.errors import error_page, page_errors
from logout_app.ending import not_me
from sessions_app.account import mail
from sessions_app.account.not_me import NotMe, read
from sessions_app.signin import passkeys


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def this_was_not_me(request: HttpRequest, key: str) -> HttpResponse:
    """GET does nothing: mail scanners and browsers open links before anybody reads them."""
    at = timezone.now()
    link = read(key, at)
    if link is None:
        guesses.count(facts(request), limiter.ENDPOINT, "not-me link", at)
        return _dead(request)
    languages.heard_of(request, link.user.language)
    if request.method == "POST":
        return _end(request, link, at)
    if not_me.was_used(link):
        return _dead(request)
    context = {
        "person": link.user,
        "at_stake": not_me.at_stake(link.user, at),
        "may_reset": bool(mail.new_password_url(link.user, link.is_own_address)),
        "address": link.address,
    }
    return render(request, "account/not_me.html", context)


def _end(request: HttpRequest, link: NotMe, at: datetime) -> HttpResponse:
    had = passkeys.of_person(link.user.pk)
    done = not_me.end_everything(link, facts(request), at)
    if done is None:
        return _dead(request)
    context = {
        "sessions": len(done.ended.session_pks),
        "reset_url": mail.new_password_url(link.user, link.is_own_address or done.restored),
        "passkeys": bool(had),
        "restored": link.address if done.restored else "",
    }
    return render(request, "account/not_me_done.html", context)


def _dead(request: HttpRequest) -> HttpResponse:
    """The same for a link that was used, is too old, or never was one."""
    return error_page(
        request,
        gettext("This link does not work any more"),
        gettext(
            "It was used already, or it is older than three days. If something is wrong with your account, "
            "choose a new password and look at your sessions."
        ),
        status=404,
    )
