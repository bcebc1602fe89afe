"""What an administrator who tried a connection is shown: whom it would sign in, and what it says of them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from idp.connections.contract import Account, UpstreamFault, UpstreamRefused
from idp.connections.database import LONGEST_LOGIN, LONGEST_PASSWORD
from idp.models import Connection, User
from idp.people import identities
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params
from sessions_app.signin import trial
from sessions_app.signin.attempts import TooManyAttempts
from sessions_app.signin.round_trip import Trip, prove
from sessions_app.views.signin import upstream_pages

WRONG = "It knows nobody by this name and password. People sign in here with the same two."
LOST = "This was a test of a connection, and the administrator who began it is not signed in here any more."


class PasswordTrialForm(forms.Form):
    """Of the administrator, at the directory. Neither is kept: the browser is not to keep them for the console either."""

    username = forms.CharField(
        label="Your user name there",
        max_length=LONGEST_LOGIN,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Your password there",
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


@sensitive_variables("password")
def by_password(
    request: HttpRequest, connection: Connection, login: str, password: str, back: str, at: datetime
) -> HttpResponse:
    """The same of a directory, whose password is typed here. `back` is the connection's page."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  the admin lets nobody else here
    try:
        account = trial.prove(request, connection, login, password, at)
        found = identities.expected(connection, account) if account else None
    except TooManyAttempts as error:
        page = _page(request, connection, back, {"problem": str(error)}, status=error.status)
        page.headers["Retry-After"] = str(error.retry_after)
        return page
    except UpstreamRefused as error:
        return _page(request, connection, back, {"problem": f"{connection} says: {error.sentence} ({error.detail})"})
    except UpstreamFault as error:
        return _page(request, connection, back, {"problem": error.reason})
    if account is None or found is None:
        return _page(request, connection, back, {"problem": WRONG})
    trial.passed(user, connection, account.sub)
    said = {"facts": _person(account, found), "claims": _claims(found)}
    return _page(request, connection, back, said)


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
        problem = f"{trip.connection} says: {error.sentence} ({error.error}: {error.detail})"
        return _page(request, trip.connection, trip.redirect_url, {"problem": problem})
    except UpstreamFault as error:
        return _page(request, trip.connection, trip.redirect_url, {"problem": error.reason})
    trial.passed(user, trip.connection, account.sub)
    said = {"facts": _facts(trip.connection, account, found), "claims": _claims(found)}
    return _page(request, trip.connection, trip.redirect_url, said)


def _facts(connection: Connection, account: Account, found: identities.ExpectedPerson) -> list[tuple[str, str]]:
    return [
        *_person(account, found),
        ("Second factor", _second_factor(connection, account)),
        ("Proved", f"{account.auth_time:%Y-%m-%d %H:%M:%S} UTC" if account.auth_time else "it does not say when"),
        ("Session there", account.upstream_sid or "it does not say which: its sign-outs cannot name it"),
    ]


def _person(account: Account, found: identities.ExpectedPerson) -> list[tuple[str, str]]:
    groups = account.profile.get("groups")
    listed = [str(group) for group in groups] if isinstance(groups, list) else []
    whose = "Nobody yet: a person would be made"
    if found.user:
        whose = f"{found.user}, who is known here{'' if found.user.is_active else ', and blocked'}"
    return [
        ("Subject", account.sub),
        ("Person", whose),
        ("User ID", found.user_id),
        ("E-mail address", _email(found)),
        ("Name", found.name or "none"),
        ("Groups", ", ".join(listed) or "none"),
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


def _page(
    request: HttpRequest, connection: Connection, back: str, more: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Sign in as yourself",
        "opts": Connection._meta,
        "object": connection,
        "object_url": back,
    }
    return render(request, "admin/idp/connection/trial.html", context | more, status=status)
