"""By what a connection's Global Token Revocation requests are believed: its own issuer, its own keys, and nobody else's.

OpenID connections need no configuration of their own: issuer, `client_id` and key set are those of sign-in. SAML ones have
the certificates of sign-in, and two options that say what Okta calls itself and us.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.urls import reverse
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from idp.connections.dialects import OIDC, dialect
from idp.connections.oidc import discovery, keys, options
from idp.connections.oidc.wire import Deadline
from idp.connections.registry import Purpose, usable_for
from idp.connections.saml import certificates, provider
from idp.models import Connection, Strategy
from idp.protocol.jwt_profile import Unverified
from idp.saml.x509 import PublicKey
from logout_app.protocol.gtr import ExpectedRequest


@dataclass(frozen=True, slots=True)
class Trust:
    """What a token must say, and the issuers by which a subject of the format `iss_sub` may name people."""

    expected: ExpectedRequest
    issuers: frozenset[str]


def endpoint_of(connection: Connection) -> str:
    path = reverse("global_token_revocation", kwargs={"connection": connection.name})
    return f"{settings.ISSUER_ORIGIN}{path}"


def trust(connection: Connection, at: datetime, deadline: Deadline) -> Trust | None:
    """None: no revocation request is believed for this connection. Raises UpstreamFault when its issuer cannot be known."""
    if not usable_for(connection, Purpose.REVOCATION):
        return None
    if is_saml(connection):
        issuer, subject = (
            str(connection.options.get(f"global_token_revocation_jwt_{name}") or "") for name in ("iss", "sub")
        )
        entity_id = provider.provider_of(connection, at).entity_id if issuer and subject else ""
    elif dialect(connection.strategy, connection.options) == OIDC:
        given = options.of(connection)
        issuer, subject, entity_id = discovery.provider(given, deadline).issuer, given.client_id, ""
    else:
        return None
    if not issuer or not subject:
        return None
    return Trust(ExpectedRequest(issuer, subject, endpoint_of(connection)), frozenset({issuer, entity_id} - {""}))


def is_saml(connection: Connection) -> bool:
    """The strategy, not the protocol: an ADFS connection by SAML has no options for revocation."""
    return str(connection.strategy) == Strategy.SAML


def is_signed_by(connection: Connection, token: Unverified, encoded: str, at: datetime, deadline: Deadline) -> bool:
    """Whether one of the connection's keys signed this. If none did, its keys are asked for anew, when it is time to.

    Raises UpstreamFault when the keys cannot be known.
    """
    return any(
        _verifies(encoded, token.algorithm, key)
        for suspect in (False, True)
        for key in _keys(connection, token, at, deadline, suspect=suspect)
    )


def _keys(
    connection: Connection, token: Unverified, at: datetime, deadline: Deadline, *, suspect: bool
) -> Iterator[Key]:
    if not is_saml(connection):
        yield from keys.signing_keys(connection, token.kid, token.algorithm, deadline=deadline, suspect=suspect)
        return
    # A certificate has no kid: every one that fits the algorithm is tried.
    for public in certificates.signing_keys(connection, at, suspect=suspect):
        if isinstance(public, rsa.RSAPublicKey) == (token.algorithm[:2] in ("RS", "PS")):
            yield _key(public)


def _key(public: PublicKey) -> Key:
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return RSAKey.import_key(pem) if isinstance(public, rsa.RSAPublicKey) else ECKey.import_key(pem)


def _verifies(encoded: str, algorithm: str, key: Key) -> bool:
    try:
        jws.deserialize_compact(encoded, key, algorithms=[algorithm])
    except (JoseError, ValueError):
        return False
    return True
