"""The certificates whose signatures count for a connection: of its options and its metadata, never of a message."""

from __future__ import annotations

from datetime import datetime

from idp.connections.saml.provider import provider_of
from idp.models import Connection
from idp.saml.x509 import Certificate, PublicKey


def signing_certificates(connection: Connection, at: datetime, *, suspect: bool = False) -> list[Certificate]:
    """Every one that the connection has, expired ones too.

    `suspect`: something was signed by none of them, so metadata by URL is asked again, at most once a minute.
    Raises UpstreamFault.
    """
    return list(provider_of(connection, at, suspect=suspect).certificates)


def signing_keys(connection: Connection, at: datetime, *, suspect: bool = False) -> list[PublicKey]:
    """The public keys of the certificates that are valid now. Raises UpstreamFault."""
    return [c.key for c in signing_certificates(connection, at, suspect=suspect) if c.is_valid(at)]
