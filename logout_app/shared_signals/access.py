"""By which access token a transmitter is asked: one that an administrator pasted, or those that its authorization server gives to
our own name there (RFC 6749 section 4.4). These live for minutes, and are kept in the process until shortly before their end.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import requests

from idp.connections import shared_signals
from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, wire
from idp.connections.oidc.wire import Deadline
from idp.connections.options import secret
from idp.connections.shared_signals import SignalOptions
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection
from idp.protocol.opaque import digest

WHAT = "The transmitter's token endpoint"
SCOPE = "ssf.read ssf.manage"
SPARE = 20.0  # seconds before its end a token is not begun with
UNTOLD = 60.0  # seconds that one is good for whose end is not told


@dataclass(frozen=True, slots=True)
class _Kept:
    asked_with: tuple[str, ...]
    token: str
    until: float


_kept: dict[int, _Kept] = {}  # by connection


def token(connection: Connection, deadline: Deadline) -> str:
    """Raises UpstreamFault when there is none."""
    options = shared_signals.of(connection)
    if options is None or not options.client_id:
        return _sealed(connection, shared_signals.TOKEN, "The access token")
    asked_with = (*_whom(options), digest(_sealed(connection, shared_signals.SECRET, "The client secret")))
    found = _kept.get(connection.pk)
    if found is None or found.asked_with != asked_with or time.monotonic() > found.until:
        found = _kept[connection.pk] = _asked_for(connection, options, asked_with, deadline)
    return found.token


def forget(connection: Connection) -> bool:
    """A token was not taken; whether there may be a better one."""
    return _kept.pop(connection.pk, None) is not None


def forget_all() -> None:
    _kept.clear()


def _whom(options: SignalOptions) -> tuple[str, ...]:
    return options.issuer, options.token_endpoint, options.client_id


def _sealed(connection: Connection, name: str, what: str) -> str:
    try:
        value = secret(connection, name)
    except CannotUnseal as error:
        raise UpstreamFault(f"{what} for the transmitter cannot be opened: {error}.") from error
    if not value or not value.isascii() or not value.isprintable():
        raise UpstreamFault(f"{what} for the transmitter is missing: give {name}.")
    return value


def _asked_for(
    connection: Connection, options: SignalOptions, asked_with: tuple[str, ...], deadline: Deadline
) -> _Kept:
    url = options.token_endpoint or discovery.token_endpoint_of(options.issuer, deadline)
    password, began = _sealed(connection, shared_signals.SECRET, "The client secret"), time.monotonic()
    answer = _post(url, options.client_id, password, deadline, in_body=False)
    if answer.status_code == 401:  # some know a client by the way that it was registered for, and no other
        answer = _post(url, options.client_id, password, deadline, in_body=True)
    values = _read(answer, url)
    given, lifetime = values.get("access_token"), values.get("expires_in")
    if not isinstance(given, str) or not given or not given.isascii() or not given.isprintable():
        raise UpstreamFault(f"{WHAT} at {url} gave no access token.", status=502)
    seconds = float(lifetime) if isinstance(lifetime, int | float) else UNTOLD
    return _Kept(asked_with, given, began + seconds - SPARE)


def _post(url: str, client_id: str, password: str, deadline: Deadline, *, in_body: bool) -> requests.Response:
    """Section 2.3.1: both ways to say who we are. Whoever has a grant for one audience needs not name it."""
    body, headers = {"grant_type": "client_credentials", "scope": SCOPE}, {"Accept": "application/json"}
    if in_body:
        body |= {"client_id": client_id, "client_secret": password}
    else:
        halves = f"{quote_plus(client_id)}:{quote_plus(password)}"
        headers["Authorization"] = f"Basic {base64.b64encode(halves.encode()).decode()}"
    with wire.session(deadline, WHAT, url) as client:
        try:
            return client.post(url, data=body, headers=headers)
        except requests.RequestException as error:
            raise wire.fault(WHAT, url, error) from error


def _read(answer: requests.Response, url: str) -> Mapping[str, Any]:
    try:
        values: Mapping[str, Any] = wire.read_object(answer)
    except ValueError as error:
        raise UpstreamFault(f"{WHAT} at {url} answered HTTP {answer.status_code}, with no JSON object.") from error
    if answer.status_code != 200:
        said = wire.error_in(dict(values)) or f"HTTP {answer.status_code}"
        raise UpstreamFault(f"{WHAT} at {url} refused us ({said}).", status=502)
    return values
