"""Connections of a tenant file: their secrets, and what the audit trail is told."""

from __future__ import annotations

from typing import Any

from idp.connections import trust
from idp.connections.options import secret_context
from idp.crypto import sealing
from idp.models import Connection
from idp.tenants.changes import Difference
from idp.tenants.schema import ConnectionEntry


def untyped(row: Connection, entry: ConnectionEntry) -> list[str]:
    """Secrets that the file would send to a new place without bringing them."""
    if entry.options is None:
        return []
    change = trust.ConnectionChange(row, entry.options, given=frozenset(entry.secrets))
    return [f"{entry.path}.options.{secret}: {sentence}" for secret, sentence in trust.untyped(change).items()]


def sealed(row: Connection, entry: ConnectionEntry) -> dict[str, str]:
    """Envelopes of the secrets; one that holds the same secret already is kept, so that nothing changes."""
    envelopes = dict(row.sealed_options)
    for option, secret in entry.secrets.items():
        context = secret_context(entry.name, option)
        if not _opens_to(envelopes.get(option), secret, context):
            envelopes[option] = sealing.seal(secret, context)
    return envelopes


def differences(row: Connection, columns: dict[str, Any], clients: frozenset[str]) -> list[Difference]:
    """What these columns, and client ids of applications that may use it, change of the row, which does not have them yet."""
    row.strategy = columns["strategy"]  # it can differ only where the row is new
    envelopes = columns["sealed_options"]
    given = {name for name, envelope in envelopes.items() if row.sealed_options.get(name) != envelope}
    options, enabled = columns.get("options", row.options), columns.get("enabled")
    for_all = columns["enabled_for_all"]
    change = trust.ConnectionChange(
        row, options, frozenset(given), enabled=enabled, enabled_for_all=for_all, enabled_clients=clients
    )
    return trust.differences(change)


def _opens_to(envelope: str | None, secret: str, context: str) -> bool:
    try:
        return envelope is not None and sealing.unseal(envelope, context) == secret
    except sealing.CannotUnseal:
        return False  # sealed with a key that is gone: the file brings the secret again
