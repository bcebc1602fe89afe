"""A cross-site POST comes without a SameSite=Lax cookie; sent again from our own page it comes with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from idp.protocol.params import Params
from sessions_app.protocol.authorization import REPOSTED


def is_needed(request: HttpRequest, params: Params, *others: str) -> bool:
    """`others` name further cookies that are sent only when the session's is."""
    if request.method != "POST" or settings.SSO_COOKIE_SAMESITE == "None" or REPOSTED in params:
        return False
    return not {settings.SSO_COOKIE_NAME, *others} & set(request.COOKIES) and _is_cross_site(request)


def page(request: HttpRequest, params: Params, action: str) -> HttpResponse:
    """The page that posts the same once more to `action`."""
    fields = [*params.pairs, (REPOSTED, "1")]
    return render(request, "form_post.html", {"action": action, "fields": fields})


def _is_cross_site(request: HttpRequest) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "cross-site"
    origin = request.headers.get("Origin", "null")
    return origin == "null" or urlsplit(origin).netloc != urlsplit(settings.ISSUER).netloc
