"""Whether an identity provider upstream answers at the moment, so that a page can say so before anybody is sent to it.

Web servers note who did not answer them; a worker asks everybody once in half a minute and takes that back. What is known is in
the connection's row, and a change of it is one of the configuration: pages read it from their snapshot, for no statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import requests
import structlog

from idp.connections.contract import UpstreamFault
from idp.connections.dialects import OIDC, dialect
from idp.connections.oidc import options as oidc_options
from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.models import Connection
from idp.outbound import web
from idp.tenants import configuration

PATIENCE = 3.0  # seconds for one question
TRIES = 2  # one lost packet is no outage
AT_ONCE = 8
log = structlog.get_logger(__name__)


def note(connection: Connection, fault: UpstreamFault, *, at: datetime) -> None:
    """An upstream did not answer a sign-in. One that did, with whatever, is not silent."""
    if fault.silent and connection.silent_since is None:
        _change(connection, at)


def watch(*, at: datetime) -> list[Connection]:
    """Ask everybody who can be asked; returns those for whom the answer changed."""
    rows = Connection.objects.filter(enabled=True, strategy__in=REDIRECT_PROTOCOLS)
    asked = [(row, url) for row in rows if (url := _address(row))]
    with ThreadPoolExecutor(AT_ONCE, "curfew-watch") as pool:  # no statement in its threads
        silences = list(pool.map(_is_silent, (url for _, url in asked)))
    return list(_changes(((row, silent) for (row, _), silent in zip(asked, silences, strict=True)), at))


def _changes(found: Iterable[tuple[Connection, bool]], at: datetime) -> Iterator[Connection]:
    for connection, silent in found:
        if silent != (connection.silent_since is not None):
            _change(connection, at if silent else None)
            yield connection


def _change(connection: Connection, since: datetime | None) -> None:
    """Of several that notice it together one changes the row, and the configuration once."""
    if Connection.objects.filter(pk=connection.pk, silent_since__isnull=since is not None).update(silent_since=since):
        configuration.bump()
        log.warning("upstream.silent" if since else "upstream.answers_again", connection=connection.name)


def _address(connection: Connection) -> str:
    """What we ask this upstream for anyway; "" where it has nothing for us: then nobody can know."""
    if dialect(connection.strategy, connection.options) != OIDC:
        return str(connection.options.get("metadataUrl") or "")
    options = oidc_options.of(connection)
    return options.discovery_url or options.endpoints.get("jwks_uri", "")


def _is_silent(url: str) -> bool:
    return all(_does_not_answer(url) for _ in range(TRIES))


def _does_not_answer(url: str) -> bool:
    """Nothing, or the error of a proxy in front of a server that is away."""
    try:
        with web.session(timeout=PATIENCE) as session:
            return session.get(url).status_code in (502, 503, 504)
    except requests.RequestException as error:
        return web.is_silence(error)
