"""Where the login page may lead: our own pages only, and for an authorization request the application that waits behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from idp.applications.usable import Usable
from idp.connections.contract import SignInRequest
from idp.models import Application
from idp.protocol.assurance import SINGLE
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.params import Params
from idp.tenants.configuration import Snapshot
from sessions_app.oauth import long_requests, pushed
from sessions_app.protocol import redirect_uris
from sessions_app.protocol.authorization import asked_acr, read_claims
from sessions_app.saml import kept
from sessions_app.saml.kept import SamlRequest

HOME = "/"
# Pages that ask people to sign in. Nothing below /login, /logout or the endpoints of programs.
PREFIXES = ("/authorize", "/admin", "/account", "/activate", "/invitation")
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
    if (waiting := kept.behind(next_url)) is not None:
        return _by_saml(next_url, waiting, snapshot)
    if parts.path != "/authorize":
        return Destination(next_url)
    query = _parameters(_whole(parts.query))
    application = snapshot.application(_single(query, "client_id"))
    if application is None or not application.enabled:
        return Destination(next_url)
    return Destination(
        next_url,
        application,
        connection=_single(query, "connection"),
        login_hint=_single(query, "login_hint")[:255],
        asked=_asked(query, application.usable),
        callback=_callback(application, _single(query, "redirect_uri")),
    )


def _whole(query: str) -> str:
    """A reference that is too old is /authorize's to refuse: here it still says which application asked."""
    try:
        return long_requests.whole(query)
    except InvalidRequest:
        return query


def is_ours(url: str) -> bool:
    """A path of this origin that begins with one of the prefixes; `//host`, backslashes and spaces are somebody else's."""
    if not url.startswith("/") or url.startswith("//") or len(url) > LONGEST or ODD.search(url):
        return False
    path = urlsplit(url).path
    if "/.." in path.lower().replace("%2e", "."):  # browsers resolve these before they ask us
        return False
    if path == HOME or any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES):
        return True
    return kept.is_waiting(url)


def _by_saml(url: str, waiting: SamlRequest, snapshot: Snapshot) -> Destination:
    """Its answer leaves from a page of ours, so that no form leads out."""
    application = snapshot.application(waiting.client_id)
    if application is None or not application.enabled:
        return Destination(url)
    two_factors = waiting.context.acr.preferred > SINGLE
    return Destination(url, application, asked=SignInRequest(force=waiting.force, two_factors=two_factors))


def _parameters(query: str) -> dict[str, list[str]]:
    """The parameters of the authorization request, also where the address only names one that was pushed."""
    asked = parse_qs(query)
    if not _single(asked, "request_uri").startswith(pushed.URN):
        return asked
    found = pushed.peek(Params([(name, value) for name, values in asked.items() for value in values]))
    return {name: found.all(name) for name in found} if found else asked


def _asked(query: Mapping[str, list[str]], usable: Usable) -> SignInRequest:
    """What the application asks that an identity provider upstream can be asked for; /authorize checks the values."""
    prompt = _single(query, "prompt").split()
    max_age = _single(query, "max_age")
    seconds = int(max_age) if DIGITS.fullmatch(max_age) else None if max_age else usable.default_max_age
    return SignInRequest(
        login_hint=_single(query, "login_hint")[:255],
        force="login" in prompt or seconds == 0,
        max_age=seconds,
        select_account="select_account" in prompt,
        ui_locales=_single(query, "ui_locales")[:255],
        acr_values=_single(query, "acr_values")[:255],
        two_factors=_wants_two_factors(query, usable.default_acr_values),
    )


def _wants_two_factors(query: Mapping[str, list[str]], default_acr_values: Iterable[str]) -> bool:
    named = _single(query, "acr_values").split() if "acr_values" in query else default_acr_values
    try:
        return asked_acr(read_claims(_single(query, "claims")), named).preferred > SINGLE
    except ProtocolError:
        return False


def _callback(application: Application, redirect_uri: str) -> str:
    """Where the application waits for the answer, if it registered that."""
    callbacks = application.usable.callbacks
    if not redirect_uri and len(callbacks) == 1:
        redirect_uri = callbacks[0]
    is_registered = redirect_uris.is_registered(redirect_uri, callbacks, any_port=application.may_use_any_port)
    return redirect_uri if is_registered else ""


def _single(query: Mapping[str, list[str]], name: str) -> str:
    values = query.get(name, [])
    return values[0] if len(values) == 1 and "\0" not in values[0] else ""
