"""Where the login page may lead: our own pages only, and for an authorization request the application that waits behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from idp.connections.contract import SignInRequest
from idp.models import Application
from idp.tenants.configuration import Snapshot
from sessions_app.protocol import redirect_uris

HOME = "/"
# Pages that ask people to sign in. Nothing below /login, /logout or the endpoints of programs.
PREFIXES = ("/authorize", "/admin", "/account", "/activate")
ODD = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
LONGEST = 8000
DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Destination:
    """`url` is a path of ours; the rest is known when it is an authorization request that names one application."""

    url: str = HOME
    application: Application | None = None
    connection: str = ""
    login_hint: str = ""
    asked: SignInRequest = field(default_factory=SignInRequest)
    callback: str = ""

    def asked_with(self, login_hint: str) -> SignInRequest:
        """What the application wishes, for the person who typed this address."""
        return replace(self.asked, login_hint=login_hint) if login_hint else self.asked


def destination(next_url: str, snapshot: Snapshot) -> Destination:
    """Read `next`; what is not a path of ours leads home."""
    if not is_ours(next_url):
        return Destination()
    parts = urlsplit(next_url)
    if parts.path != "/authorize":
        return Destination(next_url)
    query = parse_qs(parts.query)
    application = snapshot.application(_single(query, "client_id"))
    if application is None or not application.enabled:
        return Destination(next_url)
    return Destination(
        next_url,
        application,
        connection=_single(query, "connection"),
        login_hint=_single(query, "login_hint")[:255],
        asked=_asked(query),
        callback=_callback(application, _single(query, "redirect_uri")),
    )


def is_ours(url: str) -> bool:
    """A path of this origin that begins with one of the prefixes; `//host`, backslashes and spaces are somebody else's."""
    if not url.startswith("/") or url.startswith("//") or len(url) > LONGEST or ODD.search(url):
        return False
    path = urlsplit(url).path
    if "/.." in path.lower().replace("%2e", "."):  # browsers resolve these before they ask us
        return False
    return path == HOME or any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


def _asked(query: Mapping[str, list[str]]) -> SignInRequest:
    """What the application asks that an identity provider upstream can be asked for; /authorize checks the values."""
    prompt = _single(query, "prompt").split()
    max_age = _single(query, "max_age")
    seconds = int(max_age) if DIGITS.fullmatch(max_age) else None
    return SignInRequest(
        login_hint=_single(query, "login_hint")[:255],
        force="login" in prompt or seconds == 0,
        max_age=seconds,
        select_account="select_account" in prompt,
        ui_locales=_single(query, "ui_locales")[:255],
        acr_values=_single(query, "acr_values")[:255],
    )


def _callback(application: Application, redirect_uri: str) -> str:
    """Where the application waits for the answer, if it registered that."""
    callbacks = application.usable.callbacks
    if not redirect_uri and len(callbacks) == 1:
        redirect_uri = callbacks[0]
    is_registered = redirect_uris.is_registered(redirect_uri, callbacks, native=application.is_native)
    return redirect_uri if is_registered else ""


def _single(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    return values[0] if len(values) == 1 and "\0" not in values[0] else ""
