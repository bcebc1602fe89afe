"""What an administrator who tried a connection is shown: whom it would sign in, and what it says of them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from idp.connections.contract import Account, UpstreamFault, UpstreamRefused
from idp.models import Connection, User
from idp.people import identities
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params
from sessions_app.signin import trial
from sessions_app.signin.round_trip import Trip, prove
from sessions_app.views.signin import upstream_pages

LOST = "This was a test of a connection, and the administrator who began it is not signed in here any more."


def arrived(request: HttpRequest, trip: Trip, answer: Params) -> HttpResponse:
    """Nothing of it is kept but a line in the connection's history."""
    user = request.user
    if not isinstance(user, User) or not trial.may_see(user, trip):
        return upstream_pages.lost(request, InvalidRequest(LOST))
    at = timezone.now()
    try:
        account = prove(trip, answer, at)
        found = identities.expected(trip.connection, account)
    except UpstreamRefused as error:
        return _page(
            request, trip, {"problem": f"{trip.connection} says: {error.sentence} ({error.error}: {error.detail})"}
        )
    except UpstreamFault as error:
        return _page(request, trip, {"problem": error.reason})
    trial.passed(user, trip.connection, account.sub)
    return _page(request, trip, {"facts": _facts(trip.connection, account, found), "claims": _claims(found)})


def _facts(connection: Connection, account: Account, found: identities.ExpectedPerson) -> list[tuple[str, str]]:
    groups = account.profile.get("groups")
    listed = [str(group) for group in groups] if isinstance(groups, list) else []
    whose = f"{found.user}, who is known here" if found.user else "Nobody yet: a person would be made"
    return [
        ("Subject", account.sub),
        ("Person", whose),
        ("User id", found.user_id),
        ("E-mail address", _email(found)),
        ("Name", found.name or "none"),
        ("Groups", ", ".join(listed) or "none"),
        ("Second factor", _second_factor(connection, account)),
        ("Proved", f"{account.auth_time:%Y-%m-%d %H:%M:%S} UTC" if account.auth_time else "it does not say when"),
        ("Session there", account.upstream_sid or "it does not say which: its sign-outs cannot name it"),
    ]


def _email(found: identities.ExpectedPerson) -> str:
    if not found.email:
        return "none"
    return f"{found.email}, {'verified' if found.email_verified else 'not verified'}"


def _second_factor(connection: Connection, account: Account) -> str:
    if account.has_proved_several:
        return "proved there"
    trusted = connection.options.get("trust_upstream_mfa") is True
    return "not proved there" if trusted else "what it says of that is not believed (Its second factor counts)"


def _claims(found: identities.ExpectedPerson) -> str:
    return json.dumps(found.profile, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def _page(request: HttpRequest, trip: Trip, more: dict[str, Any]) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Sign in as yourself",
        "opts": Connection._meta,
        "object": trip.connection,
        "object_url": trip.redirect_url,
    }
    return render(request, "admin/idp/connection/trial.html", context | more)
