"""Does a connection work: why nobody could sign in through it, what its test finds, and what the last test found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from cryptography import x509

from idp import signals
from idp.connections import registry, strategies
from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.dialects import SAML, dialect
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection, ConnectionCheck, SamlKey, SamlKeyStatus, Strategy

EVERY = timedelta(days=1)
SOON = timedelta(days=30)
log = structlog.get_logger(__name__)


def examine(connection: Connection, *, at: datetime) -> list[Finding]:
    """Test the connection and remember what was found. Up to ten seconds; nobody is signed in by it."""
    findings = [*obstacles(connection), *_asked(connection), *_kept_certificates(connection, at)]
    findings += _known_above(connection, at)
    rows = [asdict(finding) for finding in findings]
    ConnectionCheck.objects.update_or_create(connection=connection, defaults={"checked_at": at, "findings": rows})
    return [*_closed(connection), *findings]


def examine_due(*, at: datetime) -> list[Connection]:
    """Test every enabled connection that was not tested for a day; returns them."""
    rows = Connection.objects.filter(enabled=True).exclude(strategy=Strategy.DATABASE)
    due = list(rows.exclude(last_check__checked_at__gt=at - EVERY))
    for connection in due:
        for finding in examine(connection, at=at):
            if finding.level != "ok":
                log.warning("connection_test", connection=connection.name, level=finding.level, finding=finding.text)
    return due


def last_findings(connection: Connection) -> tuple[datetime | None, list[Finding]]:
    """When the connection was last tested, and what was found."""
    row = ConnectionCheck.objects.filter(connection=connection).first()
    return (row.checked_at, [_finding(entry) for entry in row.findings]) if row else (None, [])


def complaints() -> Iterator[tuple[Connection, Finding]]:
    """What somebody must see to, as the last tests of all enabled connections found: what fails, then what expires."""
    rows = ConnectionCheck.objects.filter(connection__enabled=True).select_related("connection")
    found = [(row.connection, _finding(entry)) for row in rows for entry in row.findings]
    found += [(row, _silence(row)) for row in Connection.objects.filter(enabled=True, silent_since__isnull=False)]
    urgent = [pair for pair in found if pair[1].level == "error" or pair[1].expires]
    yield from sorted(urgent, key=lambda pair: (pair[1].level != "error", pair[0].name))


def _silence(connection: Connection) -> Finding:
    return Finding("error", f"It does not answer since {connection.silent_since:%d %B %Y %H:%M} (UTC).")


def obstacles(connection: Connection) -> list[Finding]:
    """Why nobody can sign in, as far as it can be seen from here."""
    return [Finding("error", f"Nobody can sign in: {reason}.") for reason in _reasons(connection)]


def _closed(connection: Connection) -> Iterator[Finding]:
    """How a connection begins, and no fault of it: it is not remembered as one that would still stand when it is open."""
    if not connection.enabled:
        yield Finding("warning", "It is closed: nobody signs in through it until it is enabled.")


def _reasons(connection: Connection) -> Iterator[str]:
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


def _kept_certificates(connection: Connection, at: datetime) -> Iterator[Finding]:
    """Certificates that are kept here: the authority of a directory, and our own for SAML."""
    if connection.strategy == Strategy.ACTIVE_DIRECTORY:
        yield from _expiring("ca_certificate", str(connection.options.get("ca_certificate") or ""), at)
    own = SamlKey.objects.filter(status=SamlKeyStatus.ACTIVE).first()
    if own and dialect(connection.strategy, connection.options) == SAML:
        yield from _expiring("certificate of our own metadata", own.certificate, at)


def _expiring(what: str, pem: str, at: datetime) -> Iterator[Finding]:
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode()) if pem else []
    except ValueError:
        return  # the protocol's own test says so
    for certificate in certificates:
        ends = certificate.not_valid_after_utc
        if ends < at:
            yield Finding("error", f"The {what} {certificate.subject.rfc4514_string()} expired on {ends:%d %B %Y}.")
        elif ends < at + SOON:
            days = (ends - at).days
            yield Finding(
                "warning", f"The {what} {certificate.subject.rfc4514_string()} expires in {days} days.", expires=True
            )


def _known_above(connection: Connection, at: datetime) -> Iterator[Finding]:
    """What sessions tell of it, which this app does not know."""
    answers: Any = signals.connection_tested.send(Connection, connection=connection, at=at)
    for _, found in answers:
        yield from found


def _finding(entry: dict[str, Any]) -> Finding:
    return Finding(**entry)
