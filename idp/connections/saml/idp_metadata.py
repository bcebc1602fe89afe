"""The metadata document of an identity provider (SAML metadata section 2). Reading it only ever tells; it switches nothing off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from idp.protocol import uris
from idp.saml import x509, xml
from idp.saml.names import NAMESPACES, POST, PROTOCOL, REDIRECT, md
from idp.saml.x509 import BadCertificate, Certificate

LONGEST = 1_000_000  # bytes


class BadMetadata(ValueError):
    """One clause about what is wrong with it."""


@dataclass(frozen=True, slots=True)
class IdpMetadata:
    entity_id: str
    sign_on: Mapping[str, str]  # binding -> endpoint, of the bindings that we speak
    logout: Mapping[str, str]
    logout_replies: Mapping[str, str]  # of the bindings whose answers go somewhere else than requests
    certificates: tuple[Certificate, ...]
    wants_signed_requests: bool = False
    valid_until: datetime | None = None

    def is_expired(self, at: datetime) -> bool:
        return self.valid_until is not None and self.valid_until <= at


def read(data: bytes) -> IdpMetadata:
    """Raises BadMetadata. A document without a usable signing key is refused: nothing that it says could be checked."""
    if len(data) > LONGEST:
        raise BadMetadata(f"is longer than {LONGEST:,} bytes")
    try:
        root = xml.parse_document(data)
        return _read(root)
    except (xml.Unreadable, BadCertificate) as error:
        raise BadMetadata(str(error)) from None


def _read(root: xml.Element) -> IdpMetadata:
    entities = list(root.iter(md("EntityDescriptor")))
    if len(entities) != 1:
        raise BadMetadata(f"describes {len(entities)} entities instead of one")
    entity = entities[0]
    roles = [
        role
        for role in entity.findall(md("IDPSSODescriptor"))
        if PROTOCOL in (role.get("protocolSupportEnumeration") or "").split()
    ]
    if len(roles) != 1:
        raise BadMetadata("does not describe one SAML 2.0 identity provider")
    role = roles[0]
    entity_id = (entity.get("entityID") or "").strip()
    if not entity_id or len(entity_id) > 1024:
        raise BadMetadata("has no usable entityID")
    found = IdpMetadata(
        entity_id=entity_id,
        sign_on=_endpoints(role, "SingleSignOnService"),
        logout=_endpoints(role, "SingleLogoutService"),
        logout_replies=_endpoints(role, "SingleLogoutService", "ResponseLocation"),
        certificates=_signing(role),
        wants_signed_requests=role.get("WantAuthnRequestsSigned") in ("true", "1"),
        valid_until=_valid_until(root, entity, role),
    )
    if not found.sign_on:
        raise BadMetadata("names no sign-in endpoint by https for HTTP-Redirect or HTTP-POST")
    return found


def _endpoints(role: xml.Element, service: str, attribute: str = "Location") -> dict[str, str]:
    """The first endpoint of each binding, as SAML metadata section 2.4.3 asks; only web addresses, where browsers may be led."""
    found: dict[str, str] = {}
    for element in role.findall(md(service)):
        binding, location = element.get("Binding"), (element.get(attribute) or "").strip()
        if binding in (REDIRECT, POST) and uris.check_web_url(location) is None:
            found.setdefault(binding, location)
    return found


def _signing(role: xml.Element) -> tuple[Certificate, ...]:
    """A key without `use` serves signing too (section 2.4.1.1). One that we cannot use does not spoil the others."""
    found: dict[str, Certificate] = {}
    reasons = []
    for descriptor in role.findall(md("KeyDescriptor")):
        if descriptor.get("use") not in (None, "signing"):
            continue
        for element in descriptor.iterfind("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMESPACES):
            try:
                for certificate in x509.read(xml.text_of(element)):
                    found[certificate.pem] = certificate
            except BadCertificate as error:
                reasons.append(f"its certificate {error}")
    if not found:
        raise BadMetadata(f"has no certificate to check signatures with{': ' if reasons else ''}{'; '.join(reasons)}")
    return tuple(found.values())


def _valid_until(*elements: xml.Element) -> datetime | None:
    limits = [xml.instant(element.get("validUntil")) for element in elements if element.get("validUntil")]
    return min(limits, default=None)
