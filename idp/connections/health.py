"""Does a connection work: why nobody could sign in through it, what its test finds, and what the last test found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from idp.connections import registry, strategies
from idp.connections.checks import Finding
from idp.connections.upstream import UpstreamFault
from idp.models import Connection, ConnectionCheck, Strategy
from idp.sealing import CannotUnseal


def examine(connection: Connection, *, at: datetime) -> list[Finding]:
    """Test the connection and remember what was found. Up to ten seconds; nobody is signed in by it."""
    found = [*obstacles(connection), *_asked(connection)]
    findings = found or [Finding("ok", "Passwords are kept here: there is nobody else to ask.")]
    rows = [{"level": finding.level, "text": finding.text} for finding in findings]
    ConnectionCheck.objects.update_or_create(connection=connection, defaults={"checked_at": at, "findings": rows})
    return findings


def last_findings(connection: Connection) -> tuple[datetime | None, list[Finding]]:
    """When the connection was last tested, and what was found."""
    row = ConnectionCheck.objects.filter(connection=connection).first()
    return (row.checked_at, [_finding(entry) for entry in row.findings]) if row else (None, [])


def complaints() -> Iterator[tuple[Connection, Finding]]:
    """What the last tests of all enabled connections found wrong, errors first."""
    rows = ConnectionCheck.objects.filter(connection__enabled=True).select_related("connection")
    found = [(row.connection, _finding(entry)) for row in rows for entry in row.findings if entry["level"] != "ok"]
    yield from sorted(found, key=lambda pair: (pair[1].level != "error", pair[0].name))


def obstacles(connection: Connection) -> list[Finding]:
    """Why nobody can sign in, as far as it can be seen from here."""
    return [Finding("error", f"Nobody can sign in: {reason}.") for reason in _reasons(connection)]


def _reasons(connection: Connection) -> Iterator[str]:
    if not connection.enabled:
        yield "the connection is disabled"
    protocols = {**registry.PASSWORD_PROTOCOLS, **registry.REDIRECT_PROTOCOLS}
    if connection.strategy not in protocols:
        yield f"this release has no protocol for {Strategy(connection.strategy).label}"
    if not connection.enabled_for_all and not connection.enabled_clients.filter(enabled=True).exists():
        yield "no application that is enabled may use it"
    for problem in strategies.problems(connection.strategy, connection.options):
        yield f"the option {problem.rstrip('.')}"


def _asked(connection: Connection) -> list[Finding]:
    """The protocol's own test. A connection without its options has nobody to ask."""
    if strategies.problems(connection.strategy, connection.options):
        return []
    try:
        return strategies.check(connection)
    except UpstreamFault as error:
        return [Finding("error", error.reason)]
    except CannotUnseal:
        return [Finding("error", "A secret of it cannot be read: its key is not in CURFEW_ENCRYPTION_KEYS.")]


def _finding(entry: dict[str, Any]) -> Finding:
    return Finding(entry["level"], entry["text"])
