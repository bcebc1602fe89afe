"""What the pages behind links of mails share. The secret leaves the address at once and goes on in a cookie of this browser:
it stands in no history, no Referer and no `next`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from idp.http.requests import facts
from idp.limits import guesses, limiter
from idp.models import MailLink, MailLinkKind
from idp.people import mail_links
from idp.protocol.opaque import new_secret

REMEMBERED_FOR = 3600  # seconds
ASKED_FOR = 24 * 3600  # seconds, as long as the longest of these mails works


def opened(request: HttpRequest, kind: MailLinkKind, key: str, page: str) -> HttpResponse:
    """A link of a mail, by GET, perhaps by a scanner of mails: on to the page that asks. Raises TooManyRequests."""
    link = mail_links.find(kind, key)
    if link is None:
        guesses.count(facts(request), limiter.ENDPOINT, f"{kind} link", timezone.now())
        return dead(request, kind)
    response = HttpResponseRedirect(reverse(page))
    _cookie(response, settings.LINK_COOKIE_NAME, key, REMEMBERED_FOR)
    return response


def of_browser(request: HttpRequest, kind: MailLinkKind, at: datetime) -> MailLink | None:
    """The usable link whose secret this browser holds. Raises TooManyRequests."""
    secret = request.COOKIES.get(settings.LINK_COOKIE_NAME, "")
    link = mail_links.find(kind, secret)
    if link is None and secret:
        guesses.count(facts(request), limiter.ENDPOINT, f"{kind} link", at)
    return link if link is not None and mail_links.is_usable(link, at) else None


def dead(request: HttpRequest, kind: MailLinkKind, **more: Any) -> HttpResponse:
    """The same for a link that was used, replaced or withdrawn, is too old, or never was one: and what to do now."""
    return render(request, "newcomers/dead_link.html", {"kind": str(kind), **more}, status=410)


def forget(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(settings.LINK_COOKIE_NAME, path="/")
    return response


def asking_browser(request: HttpRequest) -> str:
    """The value of the cookie of the browser that asked for a mail; "" if it did not."""
    value = request.COOKIES.get(settings.MAIL_COOKIE_NAME, "")
    return value if len(value) <= mail_links.LONGEST_SECRET else ""


def bind(request: HttpRequest, response: HttpResponse) -> str:
    """This browser asks for a mail: what names it from now on."""
    browser = asking_browser(request) or new_secret()
    _cookie(response, settings.MAIL_COOKIE_NAME, browser, ASKED_FOR)
    return browser


def _cookie(response: HttpResponse, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=settings.HTTPS, httponly=True, samesite="Lax"
    )  # fmt: skip
