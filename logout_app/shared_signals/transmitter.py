"""A connection's transmitter: its metadata, which is kept, and requests to it with our access token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import wire
from idp.connections.oidc.document_cache import Shelf
from idp.connections.oidc.wire import Deadline
from idp.connections.shared_signals import SignalOptions
from idp.models import Connection
from idp.protocol.strict_json import parse_object
from logout_app.protocol.shared_signals import streams
from logout_app.protocol.shared_signals.streams import Transmitter
from logout_app.shared_signals import access

WHAT = "The transmitter"
_documents: Shelf[Mapping[str, Any]] = Shelf(WHAT)


@dataclass(frozen=True, slots=True)
class TransmitterAnswer:
    status: int
    document: Any


def discover(options: SignalOptions, deadline: Deadline) -> Transmitter:
    """Raises UpstreamFault when its metadata cannot be had, or is somebody else's."""
    document = _documents.get(options.issuer, lambda: _fetched(options.issuer, deadline), deadline)
    try:
        return streams.read_metadata(document, options.issuer)
    except streams.BadDocument as error:
        raise UpstreamFault(f"{WHAT} {options.issuer} {error}.", status=502) from error


def known(options: SignalOptions, deadline: Deadline) -> Transmitter:
    """By hand, with a key set, nothing is asked for."""
    if options.jwks_uri:
        return Transmitter(options.issuer, options.jwks_uri)
    found = discover(options, deadline)
    if not found.jwks_uri:
        raise UpstreamFault(f"{WHAT} {options.issuer} names no key set: give jwks_uri by hand.", status=502)
    return found


def ask(
    connection: Connection, method: str, url: str, deadline: Deadline, body: Mapping[str, Any] | None = None
) -> TransmitterAnswer:
    """One request with our access token. Raises UpstreamFault when nobody answers, or something that cannot be read."""
    answer = _ask(connection, method, url, deadline, body)
    if answer.status == 401 and access.forget(connection):  # withdrawn before its end, or its issuer began anew
        return _ask(connection, method, url, deadline, body)
    return answer


def _ask(
    connection: Connection, method: str, url: str, deadline: Deadline, body: Mapping[str, Any] | None
) -> TransmitterAnswer:
    headers = {"Accept": "application/json", "Authorization": f"Bearer {access.token(connection, deadline)}"}
    with wire.session(deadline, WHAT, url) as client:
        try:
            answer = client.request(method, url, json=body, headers=headers)
        except requests.RequestException as error:
            raise wire.fault(WHAT, url, error) from error
    return TransmitterAnswer(answer.status_code, _read(answer, url))


def expect(answer: TransmitterAnswer, statuses: set[int], what: str) -> None:
    """Raises UpstreamFault for another status."""
    if answer.status in {401, 403}:
        raise UpstreamFault(f"The transmitter did not take our access token ({answer.status}), asked to {what}.")
    if answer.status not in statuses:
        raise UpstreamFault(f"The transmitter answered HTTP {answer.status}, asked to {what}.")


def _read(answer: requests.Response, url: str) -> Any:
    """A list of streams is wrapped, because only objects are read strictly."""
    content = answer.content.strip()
    if not content or answer.status_code >= 400:
        return {}
    try:
        return parse_object(b'{"list":' + content + b"}" if content.startswith(b"[") else content)
    except ValueError as error:
        raise UpstreamFault(f"{WHAT} at {url} answered what cannot be read: {error}.", status=502) from error


def _fetched(issuer: str, deadline: Deadline) -> tuple[Mapping[str, Any], int | None]:
    """The first of its places where it is; the fault of the first if it is nowhere."""
    first: UpstreamFault | None = None
    for url in streams.metadata_urls(issuer):
        try:
            document = wire.fetch(f"{WHAT}'s metadata", url, deadline)
        except UpstreamFault as fault:
            if fault.silent:
                raise
            first = first or fault
            continue
        return document.values, document.max_age
    raise first or UpstreamFault(f"{WHAT} {issuer} has no metadata.")


def forget() -> None:
    """Begin anew: for tests, where a port is soon somebody else's."""
    _documents.clear()
    access.forget_all()
