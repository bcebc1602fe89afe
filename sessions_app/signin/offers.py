"""Which ways to sign in the login page offers, in which order, and when there is only one way to go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from idp.connections import registry
from idp.models import Connection
from idp.models.people import CONNECTION_NAME
from idp.people import passkeys
from idp.tenants.configuration import Snapshot
from sessions_app.signin.destinations import Destination

REMEMBERED_FOR = 400 * 24 * 3600  # seconds; browsers keep no cookie longer


@dataclass(frozen=True, slots=True)
class Offer:
    """Connections with a password form, and those with a button: the one that was used last comes first.

    `named` says that the request names the one connection that is left.
    """

    passwords: Sequence[Connection]
    redirects: Sequence[Connection]
    last_used: str = ""
    named: str = ""

    def __bool__(self) -> bool:
        return bool(self.passwords or self.redirects)

    @property
    def passkeys(self) -> str:
        """How the page offers to sign in with one: Auth0's words, "" for not at all."""
        shown = {passkeys.challenge_ui(row) for row in self.passwords if passkeys.are_enabled(row)}
        return shown.pop() if len(shown) == 1 else passkeys.BOTH if shown else ""

    @property
    def buttons_first(self) -> bool:
        return bool(self.redirects) and self.redirects[0].name == self.last_used

    def straight(self, *, just_signed_out: bool) -> Connection | None:
        """The only way there is, if it leads upstream. Who just signed out would be signed in again before they see it."""
        if self.passwords or len(self.redirects) != 1 or (just_signed_out and not self.named):
            return None
        return self.redirects[0]


def offer(request: HttpRequest, target: Destination, snapshot: Snapshot, *, named: str) -> Offer:
    """`named` picks one connection. A name that no enabled connection has is ignored, as /authorize does."""
    last_used = request.COOKIES.get(settings.LAST_CONNECTION_COOKIE_NAME, "")
    passwords = registry.password_connections(snapshot, target.application)
    redirects = registry.redirect_connections(snapshot, target.application)
    picked = snapshot.connection(named) if CONNECTION_NAME.fullmatch(named) else None
    if picked is not None and picked.enabled:
        passwords = [row for row in passwords if row.pk == picked.pk]
        redirects = [row for row in redirects if row.pk == picked.pk]
    else:
        named = ""
    by_use = sorted(redirects, key=lambda row: (row.name != last_used, str(row).lower()))
    return Offer(passwords, by_use, last_used, named)


def remember(response: HttpResponse, connection: Connection) -> None:
    """What this browser used last; nothing depends on it but the order of the page."""
    response.set_cookie(
        settings.LAST_CONNECTION_COOKIE_NAME,
        connection.name,
        max_age=REMEMBERED_FOR,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
