"""One search for everything: people, applications, connections, sessions, tokens and ends, by what somebody has at hand."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import SuspiciousOperation
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from idp.admin.support import is_text
from idp.models import Application, Connection, Identity, User
from idp.navigation import Page
from idp.people.search import people
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.audit import history
from sessions_app.models import RefreshTokenFamily, SSOSession

MOST = 10  # of one kind
LONGEST = 320  # an e-mail address
HIGHEST = 2**63 - 1  # of a key


@dataclass(frozen=True, slots=True)
class Hit:
    name: str
    more: str
    url: str


@dataclass(frozen=True, slots=True)
class Kind:
    title: str
    permission: str
    look: Callable[[str], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class FoundPlaces:
    typed: str
    kinds: list[tuple[str, list[Hit]]]
    audit_url: str = ""

    @property
    def hits(self) -> list[Hit]:
        return [hit for _, hits in self.kinds for hit in hits]


def find(request: HttpRequest) -> HttpResponse:
    typed = request.GET.get("q", "").strip()
    if "\0" in typed or not is_text(typed):
        raise SuspiciousOperation("a search that is not text")
    found = look(request.user, typed[:LONGEST])
    if len(found.hits) == 1:
        return HttpResponseRedirect(found.hits[0].url)
    context = {**admin.site.each_context(request), "title": "Find", "found": found}
    return TemplateResponse(request, "admin/find.html", context)


FIND = Page("find", "", "find/", find)


def look(user: Any, typed: str) -> FoundPlaces:
    """What this administrator may see of it. Of an address of the network only the audit trail knows."""
    if not typed:
        return FoundPlaces("", [])
    kinds = [(kind.title, list(kind.look(typed))) for kind in KINDS if user.has_perm(kind.permission)]
    audit = ""
    if user.has_perm(history.VIEW):
        audit = f"{reverse(f'admin:{history.LIST}')}?{urlencode({'q': typed})}"
    return FoundPlaces(typed, [(title, hits) for title, hits in kinds if hits], audit)


def _people(typed: str) -> Iterator[Hit]:
    if _is_ip(typed):
        return
    known = (
        Q(user_id__in=people(typed)) | Q(user_id=typed) | Q(pk__in=Identity.objects.filter(sub=typed).values("user"))
    )
    for user in User.objects.filter(known).order_by("email", "pk")[:MOST]:
        yield Hit(str(user), " · ".join(filter(None, (user.name, user.user_id))), _page(user))


def _applications(typed: str) -> Iterator[Hit]:
    known = Q(name__icontains=typed) | Q(client_id=typed)
    for one in Application.objects.filter(known).order_by("name", "pk")[:MOST]:
        yield Hit(one.name or one.client_id, one.client_id, _page(one))


def _connections(typed: str) -> Iterator[Hit]:
    for one in Connection.objects.filter(name__icontains=typed).order_by("name")[:MOST]:
        yield Hit(one.name, one.get_strategy_display(), _page(one))


def _sessions(typed: str) -> Iterator[Hit]:
    wanted = Q(sid=typed) | (Q(pk=_number(typed)) if _number(typed) else Q())
    for one in SSOSession.objects.filter(wanted).select_related("user")[:MOST]:
        yield Hit(f"Session #{one.pk}", f"{one.user}, sid {one.sid}", _page(one))


def _families(typed: str) -> Iterator[Hit]:
    for one in RefreshTokenFamily.objects.filter(public_id=typed).select_related("user", "application"):
        yield Hit(one.public_id, f"{one.user} in {one.application}", _page(one))


def _events(typed: str) -> Iterator[Hit]:
    for one in LogoutEvent.objects.filter(pk=_number(typed) or 0):
        yield Hit(f"End #{one.pk}", f"{one.initiator}, by {one.actor}", _page(one))


def _deliveries(typed: str) -> Iterator[Hit]:
    for one in LogoutDelivery.objects.filter(pk=_number(typed) or 0).select_related("application"):
        yield Hit(f"Delivery #{one.pk}", f"{one.application or one.client_id}: {one.state_in_words}", _page(one))


KINDS = (
    Kind("People", "idp.view_user", _people),
    Kind("Applications", "idp.view_application", _applications),
    Kind("Connections", "idp.view_connection", _connections),
    Kind("Sessions", "sessions_app.view_ssosession", _sessions),
    Kind("Refresh tokens", "sessions_app.view_refreshtokenfamily", _families),
    Kind("Ends", "logout_app.view_logoutevent", _events),
    Kind("Deliveries", "logout_app.view_logoutdelivery", _deliveries),
)


def _page(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


def _number(typed: str) -> int | None:
    """Of `#12`, as pages write it, or of `12`."""
    digits = typed.removeprefix("#")
    return (
        int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 and int(digits) <= HIGHEST else None
    )


def _is_ip(typed: str) -> bool:
    try:
        ipaddress.ip_address(typed)
    except ValueError:
        return False
    return True
