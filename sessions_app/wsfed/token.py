"""Tokens of WS-Federation: a SAML assertion in a RequestSecurityTokenResponse, as ADFS sends it (WS-Trust of February 2005).

SAML 1.1 is what SharePoint Server and old .NET read, and what is issued unless the application is set to take SAML 2.0.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from idp.protocol.assurance import MICROSOFT_MFA
from idp.saml import signing, xml
from idp.saml.application.settings import CLAIMS
from idp.saml.application.wsfed import SAML20, WsFedSettings
from idp.saml.own_key import OwnKey
from idp.saml.sending import new_id, timestamp
from idp.saml.xml import Element
from sessions_app.saml import response
from sessions_app.saml.authn_request import KNOWN_CLASSES, MULTI, PASSWORD
from sessions_app.saml.response import BACKDATED, SamlAddressee, SamlStatement

SAML1 = "urn:oasis:names:tc:SAML:1.0:assertion"
SAML2 = "urn:oasis:names:tc:SAML:2.0:assertion"
BEARER = "urn:oasis:names:tc:SAML:1.0:cm:bearer"
PASSWORD_METHOD = "urn:oasis:names:tc:SAML:1.0:am:password"
UNSPECIFIED_METHOD = "urn:oasis:names:tc:SAML:1.0:am:unspecified"
TRUST = "http://schemas.xmlsoap.org/ws/2005/02/trust"
POLICY = "http://schemas.xmlsoap.org/ws/2004/09/policy"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
NO_PROOF_KEY = "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey"


def wresult(
    settings: WsFedSettings, to: SamlAddressee, said: SamlStatement, key: OwnKey, at: datetime, *, longest: int
) -> str:
    """`longest`: seconds that the tenant's profile allows a token."""
    lifetime = min(settings.told.lifetime, longest)
    is_saml2 = settings.token_type == SAML20
    assertion = response.assertion(to, said, at, lifetime) if is_saml2 else _assertion(to, said, at, lifetime)
    signing.sign(assertion, key, settings.told.signature_algorithm, settings.told.digest_algorithm)
    root = etree.Element(_t("RequestSecurityTokenResponse"), nsmap={"t": TRUST})
    times = etree.SubElement(root, _t("Lifetime"), nsmap={"wsu": UTILITY})
    etree.SubElement(times, f"{{{UTILITY}}}Created").text = timestamp(at)
    etree.SubElement(times, f"{{{UTILITY}}}Expires").text = timestamp(at + timedelta(seconds=lifetime))
    applies = etree.SubElement(root, f"{{{POLICY}}}AppliesTo", nsmap={"wsp": POLICY, "wsa": ADDRESSING})
    reference = etree.SubElement(applies, f"{{{ADDRESSING}}}EndpointReference")
    etree.SubElement(reference, f"{{{ADDRESSING}}}Address").text = settings.realm
    etree.SubElement(root, _t("RequestedSecurityToken")).append(assertion)
    etree.SubElement(root, _t("TokenType")).text = SAML2 if is_saml2 else SAML1
    etree.SubElement(root, _t("RequestType")).text = f"{TRUST}/Issue"
    etree.SubElement(root, _t("KeyType")).text = NO_PROOF_KEY
    return str(etree.tostring(root, encoding="unicode"))


def _assertion(to: SamlAddressee, said: SamlStatement, at: datetime, lifetime: int) -> Element:
    """SAML 1.1 core section 2.3. With all its namespaces on itself: it is signed and read apart from what is around it."""
    root = etree.Element(_s("Assertion"), nsmap={"saml": SAML1})
    root.set("MajorVersion", "1")
    root.set("MinorVersion", "1")
    root.set("AssertionID", new_id())
    root.set("Issuer", to.settings.own_entity_id)
    root.set("IssueInstant", timestamp(at))
    conditions = etree.SubElement(root, _s("Conditions"))
    conditions.set("NotBefore", timestamp(at - BACKDATED))
    conditions.set("NotOnOrAfter", timestamp(at + timedelta(seconds=lifetime)))
    restriction = etree.SubElement(conditions, _s("AudienceRestrictionCondition"))
    etree.SubElement(restriction, _s("Audience")).text = to.settings.entity_id
    if said.attributes:
        statement = etree.SubElement(root, _s("AttributeStatement"))
        _subject(statement, said)
        for name, values in said.attributes.items():
            _attribute(statement, name, values)
    statement = etree.SubElement(root, _s("AuthenticationStatement"))
    statement.set("AuthenticationMethod", _method(said.context))
    statement.set("AuthenticationInstant", timestamp(said.auth_time))
    _subject(statement, said)
    return root


def _subject(statement: Element, said: SamlStatement) -> None:
    subject = etree.SubElement(statement, _s("Subject"))
    name = etree.SubElement(subject, _s("NameIdentifier"), Format=said.name_id["name_id_format"])
    name.text = said.name_id["name_id"]
    if said.name_id["name_qualifier"]:
        name.set("NameQualifier", said.name_id["name_qualifier"])
    confirmation = etree.SubElement(subject, _s("SubjectConfirmation"))
    etree.SubElement(confirmation, _s("ConfirmationMethod")).text = BEARER


def _attribute(statement: Element, name: str, values: list[Any]) -> None:
    """A name of SAML 1.1 has two parts, which .NET joins by a slash; one that has no slash becomes one of the usual claims."""
    space, _, last = xml.sayable(name).rpartition("/")
    if not last:
        space, last = space.rpartition("/")[0], space.rpartition("/")[2] + "/"
    attribute = etree.SubElement(statement, _s("Attribute"), AttributeName=last)
    attribute.set("AttributeNamespace", space or CLAIMS.rstrip("/"))
    for value in values:
        etree.SubElement(attribute, _s("AttributeValue")).text = response.written(value)[1]


def _method(context: str) -> str:
    """SAML 1.1 core section 7.1 has no name for two factors; Microsoft's is the one that .NET applications know."""
    if KNOWN_CLASSES.get(context) == MULTI:
        return MICROSOFT_MFA
    return PASSWORD_METHOD if context == PASSWORD else UNSPECIFIED_METHOD


def _s(name: str) -> str:
    return f"{{{SAML1}}}{name}"


def _t(name: str) -> str:
    return f"{{{TRUST}}}{name}"
