"""Responses of ours (SAML core section 3.4, profiles section 4.1.4.2): one assertion about one person, or a status that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from idp.saml import encrypting, signing, xml
from idp.saml.application.settings import SamlSettings
from idp.saml.names import ASSERTION, BEARER, PROTOCOL, STATUS, saml, samlp
from idp.saml.own_key import OwnKey
from idp.saml.sending import new_id, timestamp
from idp.saml.xml import Element

TO_PRESENT = timedelta(minutes=5)  # how long a browser may take to bring it; a bearer's right is short
BACKDATED = timedelta(minutes=1)  # clocks of applications are behind ours now and then
XS, XSI = "http://www.w3.org/2001/XMLSchema", "http://www.w3.org/2001/XMLSchema-instance"
BASIC, URI, PLAIN = (f"urn:oasis:names:tc:SAML:2.0:attrname-format:{name}" for name in ("basic", "uri", "unspecified"))


@dataclass(frozen=True, slots=True)
class SamlStatement:
    """What one assertion says."""

    name_id: Mapping[str, str]
    session_index: str
    auth_time: datetime
    session_ends_at: datetime
    context: str
    attributes: Mapping[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SamlAddressee:
    """To whom and as an answer to what; `in_response_to` is "" where nobody asked."""

    settings: SamlSettings
    acs: str
    in_response_to: str


def success(to: SamlAddressee, said: SamlStatement, key: OwnKey, at: datetime, *, longest: int) -> bytes:
    """`longest`: seconds that the tenant's profile allows an assertion."""
    settings = to.settings
    root = _response(to, at, ("Success",))
    made = assertion(to, said, at, min(settings.lifetime, longest))
    algorithms = settings.signature_algorithm, settings.digest_algorithm
    if settings.signs_assertion:
        signing.sign(made, key, *algorithms)
    root.append(made)
    if settings.encrypts_for is not None:
        encrypting.encrypt(root, made, settings.encrypts_for)
    if settings.signs_response:
        signing.sign(root, key, *algorithms)
    return etree.tostring(root)  # type: ignore[no-any-return]


def failure(to: SamlAddressee, codes: tuple[str, ...], key: OwnKey, at: datetime) -> bytes:
    """`codes`: outermost first. Always signed: there is no assertion that could be."""
    root = _response(to, at, codes)
    signing.sign(root, key, to.settings.signature_algorithm, to.settings.digest_algorithm)
    return etree.tostring(root)  # type: ignore[no-any-return]


def _response(to: SamlAddressee, at: datetime, codes: tuple[str, ...]) -> Element:
    root = etree.Element(samlp("Response"), nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
    root.set("ID", new_id())
    root.set("Version", "2.0")
    root.set("IssueInstant", timestamp(at))
    root.set("Destination", to.settings.destination or to.acs)
    if to.in_response_to:
        root.set("InResponseTo", to.in_response_to)
    etree.SubElement(root, saml("Issuer")).text = to.settings.own_entity_id
    within = etree.SubElement(root, samlp("Status"))
    for code in codes:
        within = etree.SubElement(within, samlp("StatusCode"), Value=STATUS + code)
    return root


def assertion(to: SamlAddressee, said: SamlStatement, at: datetime, lifetime: int) -> Element:
    """Not signed yet. `lifetime`: seconds."""
    # With all its namespaces on itself: it is signed, encrypted and read apart from the response.
    root = etree.Element(saml("Assertion"), nsmap={"saml": ASSERTION, "xs": XS, "xsi": XSI})
    root.set("ID", new_id())
    root.set("Version", "2.0")
    root.set("IssueInstant", timestamp(at))
    etree.SubElement(root, saml("Issuer")).text = to.settings.own_entity_id
    _subject(root, to, said, at, lifetime)
    ends_at = at + timedelta(seconds=lifetime)
    conditions = etree.SubElement(root, saml("Conditions"))
    conditions.set("NotBefore", timestamp(at - BACKDATED))
    conditions.set("NotOnOrAfter", timestamp(ends_at))
    restriction = etree.SubElement(conditions, saml("AudienceRestriction"))
    etree.SubElement(restriction, saml("Audience")).text = to.settings.entity_id
    statement = etree.SubElement(root, saml("AuthnStatement"), AuthnInstant=timestamp(said.auth_time))
    statement.set("SessionIndex", said.session_index)
    statement.set("SessionNotOnOrAfter", timestamp(said.session_ends_at))
    context = etree.SubElement(statement, saml("AuthnContext"))
    etree.SubElement(context, saml("AuthnContextClassRef")).text = said.context
    if said.attributes:
        _attributes(root, to.settings, said.attributes)
    return root


def _subject(root: Element, to: SamlAddressee, said: SamlStatement, at: datetime, lifetime: int) -> None:
    subject = etree.SubElement(root, saml("Subject"))
    name = etree.SubElement(subject, saml("NameID"), Format=said.name_id["name_id_format"])
    name.text = said.name_id["name_id"]
    for ours, theirs in (("name_qualifier", "NameQualifier"), ("sp_name_qualifier", "SPNameQualifier")):
        if said.name_id[ours]:
            name.set(theirs, said.name_id[ours])
    confirmation = etree.SubElement(subject, saml("SubjectConfirmation"), Method=BEARER)
    data = etree.SubElement(confirmation, saml("SubjectConfirmationData"))
    data.set("Recipient", to.settings.recipient or to.acs)
    data.set("NotOnOrAfter", timestamp(at + min(timedelta(seconds=lifetime), TO_PRESENT)))
    if to.in_response_to:
        data.set("InResponseTo", to.in_response_to)


def _attributes(root: Element, settings: SamlSettings, attributes: Mapping[str, list[Any]]) -> None:
    statement = etree.SubElement(root, saml("AttributeStatement"))
    for name, values in attributes.items():
        attribute = etree.SubElement(statement, saml("Attribute"), Name=xml.sayable(name))
        if settings.attribute_name_format:
            attribute.set("NameFormat", URI if ":" in name else BASIC if " " not in name else PLAIN)
        for value in values:
            element = etree.SubElement(attribute, saml("AttributeValue"))
            kind, element.text = written(value)
            if settings.typed_attributes:
                element.set(f"{{{XSI}}}type", kind)


def written(value: Any) -> tuple[str, str]:
    """A value of an attribute: its type, and its text."""
    if isinstance(value, bool):
        return "xs:boolean", "true" if value else "false"
    if isinstance(value, int):
        return "xs:integer", str(value)
    if isinstance(value, float):
        return "xs:double", str(value)
    return "xs:string", xml.sayable(value)
