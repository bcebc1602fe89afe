"""What the channels to applications have in common: the URL is the application's of today, the key that of its ID tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from idp.applications import rules
from idp.applications.subjects import subject_for
from idp.crypto import keys
from idp.models import Application
from idp.tenants.configuration import Memo, Snapshot
from idp.tenants.profile import signing_algorithm
from logout_app.delivery.channels.base import Message, NothingToTell, Route
from logout_app.delivery.outbox import Claimed

_ROUTES = Memo[Route]("way to an application by a channel")


@dataclass(frozen=True, slots=True)
class Addressee:
    """An application, its URL on a channel and the key to sign with."""

    application: Application
    url: str
    key: keys.LoadedKey
    snapshot: Snapshot

    def subject(self, user_id: str) -> str:
        """As the application knows the person."""
        return subject_for(user_id, self.application, self.snapshot)


@dataclass(frozen=True, slots=True)
class ToApplication:
    """The `route` of a channel. `urls_name`: what people call the URL; `unheard`: why it does not want this one, or ""."""

    field: str
    urls_name: str
    mint: Callable[[Addressee, Claimed, datetime], Message]
    unheard: Callable[[Application, Claimed], str] = lambda _application, _row: ""

    def __call__(self, row: Claimed, snapshot: Snapshot) -> Route:
        application = None if row.application_id is None else snapshot.application_by_pk(row.application_id)
        if application is None:
            raise NothingToTell("the application was deleted")
        if reason := self._nothing_to_tell(application, row):
            raise NothingToTell(reason)
        return snapshot.derived(_ROUTES, lambda: self.reach(application, snapshot), (application.pk, self.field))

    def _nothing_to_tell(self, application: Application, row: Claimed) -> str:
        if not application.enabled:
            return "the application is disabled"
        if not url_of(application, self.field):
            return f"the application has no {self.urls_name}"
        return self.unheard(application, row)

    def reach(self, application: Application, snapshot: Snapshot) -> Route:
        url = url_of(application, self.field)
        key = keys.active(signing_algorithm(application.id_token_signed_response_alg, snapshot.tenant), snapshot)
        mint = partial(self.mint, Addressee(application, url, key, snapshot))
        return Route(url, rules.problem(application, self.field, url), mint)


def url_of(application: Application, field: str) -> str:
    url: str = getattr(application, field)
    return url
