"""The login page. For somebody of whom nothing is known it is made once per configuration, application and connections.

Two such pages differ in the CSRF token and in where they lead. The kept page has marks in these places, and what is put in
is escaped there. It is rendered without a request: what a browser brings along cannot get into it.
"""

from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import quote_plus

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape

from idp.http import languages
from idp.people.newcomers import is_open_to_everybody
from idp.tenants.configuration import Memo, Snapshot
from sessions_app.account import mailed
from sessions_app.session import binding
from sessions_app.signin.destinations import Destination
from sessions_app.signin.forms import LoginForm
from sessions_app.signin.offers import Offer
from sessions_app.views.signin import upstream_pages

# Letters and digits only: neither a template nor a URL changes them. Random: no name of an application has them in it.
TOKEN, NEXT, QUOTED = (f"{name}{secrets.token_hex(16)}" for name in ("token", "next", "quoted"))
MARKS = re.compile(f"({TOKEN}|{NEXT}|{QUOTED})")
_PAGES = Memo[list[str]]("login pages of nobody")


def page(
    request: HttpRequest,
    target: Destination,
    form: LoginForm,
    status: int = 200,
    *,
    notice: str = "",
    blocked: str = "",
) -> HttpResponse:
    """The page with what this person typed, and what was wrong with it; or that they are blocked though what they
    proved is right, and whom to ask."""
    form.mark_errors()
    choosing = "choose" in request.POST or "choose" in request.GET
    context = _context(target, form, choosing=choosing) | {"notice": notice, "blocked": blocked}
    return render(request, "login.html", context, status=status)


def first_page(request: HttpRequest, target: Destination, offered: Offer, snapshot: Snapshot) -> HttpResponse:
    """The empty page, or one with the name of whom the application or the session hints at."""
    session = binding.session_of(request)
    known_as = session.identity.login if session is not None and session.identity else ""
    hint = target.login_hint or known_as
    personal = session is not None or hint or offered.buttons_first or settings.SESSION_COOKIE_NAME in request.COOKIES
    if personal or offered.named or "choose" in request.GET:
        return page(request, target, LoginForm(offer=offered, initial={"username": hint}))
    languages.settle(request)
    parts = _kept(target, offered, snapshot)
    values = {NEXT: target.url}
    if QUOTED in parts:
        values[QUOTED] = quote_plus(target.url)
    if TOKEN in parts:
        values[TOKEN] = get_token(request)
    return HttpResponse("".join([escape(values[part]) if part in values else part for part in parts]))


def _kept(target: Destination, offered: Offer, snapshot: Snapshot) -> list[str]:
    """The page of nobody, in parts: its text and its marks. One for each application and language, whatever is asked."""
    ways = (*(row.pk for row in offered.passwords), *(row.pk for row in offered.redirects))
    return snapshot.derived(
        _PAGES,
        lambda: _make(target, offered, snapshot),
        (target.application and target.application.pk, ways, languages.current()),
    )


def _make(target: Destination, offered: Offer, snapshot: Snapshot) -> list[str]:
    nobody = _context(Destination(NEXT, target.application), LoginForm(offer=offered), choosing=False)
    marked = {
        "buttons": _buttons(offered, QUOTED),
        **_without_password(offered, QUOTED),
        "tenant": snapshot.tenant,
        "csrf_token": TOKEN,
    }
    return MARKS.split(render_to_string("login.html", nobody | marked))


def _context(target: Destination, form: LoginForm, *, choosing: bool) -> dict[str, Any]:
    offered = form.offer
    return {
        "form": form,
        "errors": form.errors,
        "username": form.known,
        "has_password": bool(offered.passwords),
        "passkeys": offered.passkeys,
        "focus": form.focus,
        "application": target.application,
        "next": target.url,
        "only": offered.named,
        "choosing": choosing,
        "buttons": _buttons(offered, target.url),
        **_without_password(offered, quote_plus(target.url)),
        "buttons_first": offered.buttons_first,
    }


def _without_password(offered: Offer, quoted: str) -> dict[str, str]:
    """The ways for those who have no account, or no password, where one of the connections has such a way."""
    query = f"?next={quoted}{f'&only={quote_plus(offered.named)}' if offered.named else ''}"
    by_mail, sign_up = map(mailed.by_mail, offered.passwords), map(is_open_to_everybody, offered.passwords)
    return {
        "by_mail_url": f"{reverse('by_mail')}{query}" if any(by_mail) else "",
        "sign_up_url": f"{reverse('sign_up')}{query}" if any(sign_up) else "",
    }


def _buttons(offered: Offer, leads_to: str) -> list[dict[str, Any]]:
    return [
        {
            "connection": row,
            "initial": str(row)[:1].upper(),
            "url": upstream_pages.start_url(row, leads_to),
            "last_used": row.name == offered.last_used,
        }
        for row in offered.redirects
    ]
