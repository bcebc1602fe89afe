"""The identity provider of a connection: its options over its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from idp.connections.contract import UpstreamFault
from idp.connections.saml import metadata_cache, options
from idp.connections.saml.idp_metadata import BadMetadata, IdpMetadata
from idp.connections.saml.options import BadOptions, SamlOptions
from idp.models import Connection
from idp.saml.names import POST, REDIRECT
from idp.saml.x509 import Certificate


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """`entity_id` is "" where nobody told us: then only its signature says who it is."""

    options: SamlOptions
    entity_id: str
    sign_on: Mapping[str, str]  # binding -> endpoint
    logout: Mapping[str, str]
    logout_replies: Mapping[str, str]
    certificates: tuple[Certificate, ...]
    signs_requests: bool  # ours: because the administrator or the identity provider wants it

    @property
    def sign_on_binding(self) -> str:
        return _binding(self.options, self.sign_on)

    @property
    def logout_binding(self) -> str:
        return _binding(self.options, self.logout)


def provider_of(connection: Connection, at: datetime, *, suspect: bool = False) -> SamlProvider:
    """Who signs for this connection, and where it is met. `suspect` as in `metadata_cache.get`.

    Raises UpstreamFault when the options or the metadata cannot be used.
    """
    try:
        given = options.read(connection.strategy, connection.options)
    except BadOptions as error:
        raise UpstreamFault(f"{connection.name} is not configured: {' '.join(error.args)}") from error
    metadata = _metadata(connection, given, suspect)
    if metadata is None:
        return manual(given)
    if metadata.is_expired(at):
        raise UpstreamFault(f"The metadata of {connection.name} was valid until {metadata.valid_until} only.")
    return combined(connection, given, metadata)


def combined(connection: Connection, given: SamlOptions, metadata: IdpMetadata) -> SamlProvider:
    """Options that say something explicitly win; certificates of both places count. Raises UpstreamFault."""
    if given.idp_entity_id and given.idp_entity_id != metadata.entity_id:
        raise UpstreamFault(
            f"The metadata of {connection.name} is of {metadata.entity_id}, but idpEntityId is {given.idp_entity_id}."
        )
    certificates = {c.pem: c for c in (*given.signing_certificates, *metadata.certificates)}
    if given.thumbprints:
        certificates = {pem: c for pem, c in certificates.items() if c.thumbprint in given.thumbprints}
        if not certificates:
            raise UpstreamFault(f"No certificate in the metadata of {connection.name} has one of the thumbprints.")
    told = manual(given)
    return SamlProvider(
        options=given,
        entity_id=metadata.entity_id,
        sign_on=told.sign_on or metadata.sign_on,
        logout=told.logout or metadata.logout,
        logout_replies={} if told.logout else metadata.logout_replies,
        certificates=tuple(certificates.values()),
        signs_requests=given.sign_requests or metadata.wants_signed_requests,
    )


def manual(given: SamlOptions) -> SamlProvider:
    """What the options alone say. Auth0's rule: who signs out where they sign in needs to say it once."""
    sign_out = given.sign_out_endpoint or ("" if _has_metadata(given) else given.sign_in_endpoint)
    return SamlProvider(
        options=given,
        entity_id=given.idp_entity_id,
        sign_on={given.binding or REDIRECT: given.sign_in_endpoint} if given.sign_in_endpoint else {},
        logout={given.binding or REDIRECT: sign_out} if sign_out else {},
        logout_replies={},
        certificates=given.signing_certificates,
        signs_requests=given.sign_requests,
    )


def _has_metadata(given: SamlOptions) -> bool:
    return bool(given.metadata_url or given.metadata_xml)


def _metadata(connection: Connection, given: SamlOptions, suspect: bool) -> IdpMetadata | None:
    """A pasted document wins over one that is published: whoever pasted it wanted no other."""
    try:
        if given.metadata_xml:
            return options.read_metadata(given)
        if given.metadata_url:
            return metadata_cache.get(given.metadata_url, suspect=suspect)
    except BadMetadata as error:
        raise UpstreamFault(f"The metadata of {connection.name} {error}.") from error
    except metadata_cache.Unavailable as error:
        raise UpstreamFault(f"{connection.name}: {error}", status=error.status) from error
    return None


def _binding(given: SamlOptions, endpoints: Mapping[str, str]) -> str:
    """The one that the administrator chose, if it is there; else HTTP-Redirect before HTTP-POST; "" where there is none."""
    return next((b for b in (given.binding, REDIRECT, POST) if b and b in endpoints), "")
