"""The metadata document of an application (SAML metadata section 2.4.4). Reading it only ever tells; it switches nothing on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from idp.saml import x509, xml
from idp.saml.names import NAMESPACES, POST, PROTOCOL, REDIRECT, SOAP, md
from idp.saml.x509 import BadCertificate, Certificate

LONGEST = 1_000_000  # bytes
MOST_SERVICES = 50
TRUE = ("true", "1")


class BadSpMetadata(ValueError):
    """One clause about what is wrong with it."""


@dataclass(frozen=True, slots=True)
class SpMetadata:
    """`acs`: URL -> index ("" where it has none), the usual one first; `logout`: binding -> endpoint."""

    entity_id: str
    acs: Mapping[str, str]
    logout: Mapping[str, str] = field(default_factory=dict)
    logout_replies: Mapping[str, str] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    name_id_formats: tuple[str, ...] = ()
    signs_requests: bool = False
    valid_until: datetime | None = None


def read(data: bytes) -> SpMetadata:
    """Raises BadSpMetadata."""
    if len(data) > LONGEST:
        raise BadSpMetadata(f"is longer than {LONGEST:,} bytes")
    try:
        return _read(xml.parse_document(data))
    except (xml.Unreadable, BadCertificate) as error:
        raise BadSpMetadata(str(error)) from None


def _read(root: xml.Element) -> SpMetadata:
    entities = list(root.iter(md("EntityDescriptor")))
    if len(entities) != 1:
        raise BadSpMetadata(f"describes {len(entities)} entities instead of one")
    roles = [
        role
        for role in entities[0].findall(md("SPSSODescriptor"))
        if PROTOCOL in (role.get("protocolSupportEnumeration") or "").split()
    ]
    entity_id = (entities[0].get("entityID") or "").strip()
    if len(roles) != 1 or not entity_id:
        raise BadSpMetadata("does not describe one SAML 2.0 service provider")
    role, acs = roles[0], _consumers(roles[0])
    if not acs:
        raise BadSpMetadata("names no assertion consumer service for HTTP-POST")
    limits = [xml.instant(each.get("validUntil")) for each in (root, entities[0], role) if each.get("validUntil")]
    return SpMetadata(
        entity_id=entity_id,
        acs=acs,
        logout=_endpoints(role, "Location"),
        logout_replies=_endpoints(role, "ResponseLocation"),
        certificates=_signing(role),
        name_id_formats=tuple(xml.text_of(element) for element in role.findall(md("NameIDFormat"))),
        signs_requests=role.get("AuthnRequestsSigned") in TRUE,
        valid_until=min(limits, default=None),
    )


def _consumers(role: xml.Element) -> dict[str, str]:
    """Those that take HTTP-POST; whatever else it has cannot be answered from here."""
    found = [
        element
        for element in role.findall(md("AssertionConsumerService"))[:MOST_SERVICES]
        if element.get("Binding") == POST and (element.get("Location") or "").strip()
    ]
    usual = next((element for element in found if element.get("isDefault") in TRUE), None)
    found.sort(key=lambda element: element is not usual)
    return {element.get("Location").strip(): element.get("index") or "" for element in found}


def _endpoints(role: xml.Element, attribute: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in role.findall(md("SingleLogoutService"))[:MOST_SERVICES]:
        binding, location = element.get("Binding"), (element.get(attribute) or "").strip()
        if binding in (REDIRECT, POST, SOAP) and location:
            found.setdefault(binding, location)
    return found


def _signing(role: xml.Element) -> tuple[Certificate, ...]:
    """A key without `use` serves signing too (section 2.4.1.1)."""
    found: dict[str, Certificate] = {}
    for descriptor in role.findall(md("KeyDescriptor")):
        if descriptor.get("use") not in (None, "signing"):
            continue
        for element in descriptor.iterfind("ds:KeyInfo/ds:X509Data/ds:X509Certificate", NAMESPACES):
            found.update({certificate.pem: certificate for certificate in x509.read(xml.text_of(element))})
    return tuple(found.values())
