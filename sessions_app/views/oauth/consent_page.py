"""The page that asks whether an application may have what it asked for."""

from __future__ import annotations

from collections.abc import Iterable

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop

from idp.http import content_policy
from idp.protocol.params import Params
from idp.protocol.standard_scopes import OPENID
from sessions_app.oauth import authorize as act
from sessions_app.oauth.recipient import Recipient

SALT = "curfew.consent"
WORDS = {
    "profile": gettext_noop("Your name, picture and other facts of your profile"),
    "email": gettext_noop("Your e-mail address"),
    "address": gettext_noop("Your postal address"),
    "phone": gettext_noop("Your phone number"),
    "groups": gettext_noop("The groups that you are in"),
    "roles": gettext_noop("Your roles"),
    "offline_access": gettext_noop("Access while you are not there, also after you signed out"),
}


def in_words(scopes: Iterable[str]) -> list[str]:
    """What an application may know or do by these; that it knows who somebody is, is said beside."""
    return [gettext(WORDS[scope]) if scope in WORDS else scope for scope in scopes if scope != OPENID]


def render_page(request: HttpRequest, params: Params, to: Recipient, ask: act.Ask) -> HttpResponse:
    """The whole request travels in the form, signed and bound to the session that is asked."""
    carried = {"pairs": params.pairs, "sid": ask.session.sid, "scope": ask.scope}
    context = {
        "application": to.application,
        "user": ask.session.user,
        "items": in_words(ask.scope),
        "carried": signing.dumps(carried, salt=SALT, compress=True),
        "host": to.origin or to.redirect_uri,
    }
    response = render(request, "consent.html", context)
    content_policy.allow_forms_to(response, to.redirect_uri)
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"  # the page may be in an SDK's popup
    return response
