"""*Send a test request*: would a revocation request of this connection's identity provider arrive and be believed?

Nothing is signed and nobody signed out: its keys are asked for, and our own endpoint gets a request without a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import requests

from idp import outbound
from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.oidc import keys
from idp.connections.oidc.wire import Deadline
from idp.connections.registry import Purpose, usable_for
from idp.connections.saml import certificates
from idp.models import Connection
from idp.outbound import web
from logout_app.gtr import trust
from logout_app.protocol.gtr import ALGORITHMS

PATIENCE = 10.0  # seconds for the keys


def is_offered(connection: Connection) -> bool:
    return usable_for(connection, Purpose.REVOCATION)


def check(connection: Connection, at: datetime) -> list[Finding]:
    """What an administrator should know, in the order in which a request would meet it. Takes up to 15 seconds."""
    found = [_arrives(connection)]
    try:
        found.extend(_is_believed(connection, at, Deadline(PATIENCE)))
    except UpstreamFault as fault:
        found.append(Finding("error", fault.reason))
    return found


def _arrives(connection: Connection) -> Finding:
    url = trust.endpoint_of(connection)
    # Our own address is the one that everybody else must not make us ask.
    rules = replace(outbound.rules(), own=frozenset())
    try:
        with web.session(rules=rules) as session:
            answer = session.post(url, json={}, headers={"Accept": "application/json"})
    except web.BlockedTarget as error:
        return Finding("warning", f"{url} cannot be asked from here: {error}. Ask it from outside.")
    except requests.RequestException:
        return Finding(
            "warning", f"{url} did not answer us here. Ask it from outside, without a token: it answers 401."
        )
    if answer.status_code == 401 and 'realm="curfew"' in answer.headers.get("WWW-Authenticate", ""):
        return Finding("ok", f"A request to {url} arrives; without a token it was refused, as it must be.")
    return Finding(
        "error", f"{url} answered HTTP {answer.status_code}, not by us: something in front of Curfew took it."
    )


def _is_believed(connection: Connection, at: datetime, deadline: Deadline) -> Iterator[Finding]:
    believed = trust.trust(connection, at, deadline)
    if believed is None:
        yield Finding("error", "No request is believed yet: the options say neither issuer nor subject of its tokens.")
        return
    expected = believed.expected
    yield Finding(
        "ok", f"Its tokens must say iss {expected.issuer}, sub {expected.subject} and aud {expected.audience}."
    )
    if trust.is_saml(connection):
        found = len(certificates.signing_keys(connection, at, suspect=True))
        kind = "valid certificate" if found == 1 else "valid certificates"
    else:
        algorithms = [
            algorithm
            for algorithm in ALGORITHMS
            if keys.signing_keys(connection, None, algorithm, deadline=deadline, suspect=algorithm == ALGORITHMS[0])
        ]
        found, kind = len(algorithms), f"of our algorithms ({', '.join(algorithms)})"
    if found:
        yield Finding("ok", f"The keys that signatures are checked with are there: {found} {kind}.")
    else:
        yield Finding("error", "There is no key that a signature could be checked with.")
