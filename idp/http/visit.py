"""What one request of a browser knows, as far as this app asks for it. The app above knows more, and attaches it."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from idp.tenants import configuration
from idp.tenants.configuration import Snapshot

FRESH = timedelta(hours=1)


class Visit(ABC):
    """On `request.browser`, for every request that gets as far as a page."""

    @functools.cached_property
    def snapshot(self) -> Snapshot:
        """The configuration of the moment when this request first asked: a view and its template see the same."""
        return configuration.current()

    @property
    @abstractmethod
    def proved_at(self) -> datetime | None:
        """When the person who is signed in here last proved who they are; None: nobody is."""

    @property
    @abstractmethod
    def chosen_language(self) -> str | None:
        """The language that the person who is signed in here chose, "" if they never did; None: nobody is."""


def of(request: HttpRequest) -> Visit | None:
    """None for a request that is answered before: with a Host that is not ours, or from where the admin may not be seen."""
    visit: Visit | None = getattr(request, "browser", None)
    return visit


def snapshot_of(request: HttpRequest) -> Snapshot:
    visit = of(request)
    return visit.snapshot if visit is not None else configuration.current()


def is_fresh(request: HttpRequest, at: datetime) -> bool:
    """Whether this person proved who they are within the last hour; dangerous acts ask for it, in the admin and on account pages."""
    visit = of(request)
    proved_at = visit.proved_at if visit is not None else None
    return proved_at is not None and proved_at > at - FRESH


def reauthentication_url(back: str) -> str:
    return f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"
