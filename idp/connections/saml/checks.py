"""*Test connection* for SAML: what the identity provider publishes and what it signs with, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.utils import timezone

from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.options import secret
from idp.connections.saml import decryption, metadata_cache, options, provider
from idp.connections.saml.decryption import BadKey
from idp.connections.saml.idp_metadata import BadMetadata, IdpMetadata
from idp.connections.saml.options import BadOptions, SamlOptions
from idp.connections.saml.provider import SamlProvider
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection
from idp.saml.names import POST, REDIRECT
from idp.saml.x509 import Certificate

SOON = timedelta(days=30)
BINDINGS = {REDIRECT: "HTTP-Redirect", POST: "HTTP-POST"}


def check(connection: Connection) -> list[Finding]:
    """Fetches the metadata anew; signs nobody in."""
    return list(_findings(connection, timezone.now()))


def _findings(connection: Connection, at: datetime) -> Iterator[Finding]:
    try:
        given = options.read(connection.strategy, connection.options)
        metadata = _metadata(given)
        found = provider.combined(connection, given, metadata) if metadata else provider.manual(given)
    except BadOptions as error:
        yield from (Finding("error", sentence) for sentence in error.args)
        return
    except BadMetadata as error:
        yield Finding("error", f"The metadata {error}.")
        return
    except metadata_cache.Unavailable as error:
        yield Finding("error", str(error))
        return
    except UpstreamFault as error:
        yield Finding("error", error.reason)
        return
    if metadata:
        yield from _about_metadata(metadata, at)
    yield from _about_endpoints(found)
    yield from _about_certificates(found.certificates, at)
    yield from _about_decryption(connection)


def _metadata(given: SamlOptions) -> IdpMetadata | None:
    if given.metadata_xml:
        return options.read_metadata(given)
    return metadata_cache.fetch(given.metadata_url) if given.metadata_url else None


def _about_metadata(metadata: IdpMetadata, at: datetime) -> Iterator[Finding]:
    if metadata.is_expired(at):
        yield Finding("error", f"The metadata was valid until {metadata.valid_until:%d %B %Y} only.")
    else:
        yield Finding("ok", f"The metadata describes the identity provider {metadata.entity_id}.")


def _about_endpoints(found: SamlProvider) -> Iterator[Finding]:
    if not found.entity_id:
        text = "No idpEntityId is given, so the issuer of responses is not compared; their signature still is."
        yield Finding("warning", text)
    if not found.sign_on_binding:
        yield Finding("error", "There is no sign-in endpoint for HTTP-Redirect or HTTP-POST.")
        return
    endpoint = found.sign_on[found.sign_on_binding]
    if urlsplit(endpoint).scheme == "https":
        yield Finding("ok", f"People sign in at {endpoint} ({BINDINGS[found.sign_on_binding]}).")
    else:
        yield Finding("warning", f"People sign in at {endpoint}, which is not https.")
    if found.options.binding and found.options.binding != found.sign_on_binding:
        text = f"The identity provider has no {BINDINGS[found.options.binding]} endpoint: {BINDINGS[found.sign_on_binding]} is used."
        yield Finding("warning", text)
    if not found.options.disable_signout and not found.logout:
        yield Finding("warning", "The identity provider names no sign-out endpoint: federated logout cannot go there.")


def _about_certificates(certificates: tuple[Certificate, ...], at: datetime) -> Iterator[Finding]:
    valid = [certificate for certificate in certificates if certificate.is_valid(at)]
    for certificate in certificates:
        yield _about_certificate(certificate, at, is_last=valid == [certificate] or not valid)


def _about_certificate(certificate: Certificate, at: datetime, *, is_last: bool) -> Finding:
    """An expired certificate beside a good one is a rollover that was not tidied up, no trouble."""
    name, day = certificate.subject or certificate.thumbprint, f"{certificate.not_after:%d %B %Y}"
    if certificate.not_after < at:
        text = f"The signing certificate {name} expired on {day}"
        return Finding("error", f"{text}: nobody can sign in.") if is_last else Finding("warning", f"{text}.")
    if certificate.not_before > at:
        text = f"The signing certificate {name} is valid from {certificate.not_before:%d %B %Y} only"
        return Finding("error", f"{text}: nobody can sign in.") if is_last else Finding("ok", f"{text}.")
    if certificate.not_after < at + SOON and is_last:
        text = f"The signing certificate {name} expires on {day}: ask the identity provider for the next one."
        return Finding("warning", text, expires=True)
    return Finding("ok", f"The signing certificate {name} is valid until {day}.")


def _about_decryption(connection: Connection) -> Iterator[Finding]:
    try:
        if secret(connection, decryption.OPTION):
            decryption.read(secret(connection, decryption.OPTION))
    except CannotUnseal:
        yield Finding("error", "The decryptionKey cannot be opened with this installation's encryption keys.")
    except BadKey as error:
        yield Finding("error", f"The decryptionKey {error}.")
