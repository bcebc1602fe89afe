"""*Check signals*: would an event of this connection's transmitter arrive and be believed? Nothing is signed, and nobody told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import requests

from idp import outbound
from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.oidc import keys
from idp.connections.oidc.wire import Deadline
from idp.models import Connection
from idp.outbound import web
from logout_app.models import ReceivedSignal
from logout_app.protocol.gtr import ALGORITHMS
from logout_app.shared_signals import transmitter
from logout_app.shared_signals.trust import SignalTrust, endpoint_of, trust

PATIENCE = 10.0  # seconds for metadata and keys


def is_offered(connection: Connection) -> bool:
    return trust(connection) is not None


def check(connection: Connection) -> list[Finding]:
    """In the order in which an event would meet it. Takes up to 15 seconds."""
    believed = trust(connection)
    if believed is None:
        return [Finding("error", "No security event is believed for this connection.")]
    return [_arrives(connection), *_is_believed(believed), *_came(connection)]


def _arrives(connection: Connection) -> Finding:
    url = endpoint_of(connection)
    rules = replace(outbound.rules(), own=frozenset())  # our own address is the one that nobody else must make us ask
    try:
        with web.session(rules=rules) as session:
            answer = session.get(url)
    except web.BlockedTarget as error:
        return Finding("warning", f"{url} cannot be asked from here: {error}. Ask it from outside.")
    except requests.RequestException:
        return Finding("warning", f"{url} did not answer us here. Ask it from outside: it answers a GET with 405.")
    if answer.status_code == 405 and b'"err"' in answer.content:
        return Finding("ok", f"A request to {url} arrives; one without an event was refused, as it must be.")
    return Finding(
        "error", f"{url} answered HTTP {answer.status_code}, not by us: something in front of Curfew took it."
    )


def _is_believed(believed: SignalTrust) -> Iterator[Finding]:
    yield Finding("ok", f"Its events must say iss {believed.options.issuer} and aud {' or '.join(believed.audiences)}.")
    deadline = Deadline(PATIENCE)
    try:
        known = transmitter.known(believed.options, deadline)
        found = [
            algorithm
            for algorithm in ALGORITHMS
            if keys.at(known.jwks_uri, None, algorithm, deadline, suspect=algorithm == ALGORITHMS[0])
        ]
    except UpstreamFault as fault:
        yield Finding("error", fault.reason)
        return
    if found:
        yield Finding("ok", f"The keys that signatures are checked with are there, for {', '.join(found)}.")
    else:
        yield Finding("error", "There is no key that a signature could be checked with.")


def _came(connection: Connection) -> Iterator[Finding]:
    if not ReceivedSignal.objects.filter(connection=connection, error="").exists():
        yield Finding("warning", "No event was believed yet.")
