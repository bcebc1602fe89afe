"""Our metadata for WS-Federation (WS-Federation 1.2 section 3.1): keys, names of claims, and the address to come to; signed."""

from __future__ import annotations

from datetime import datetime

from lxml import etree

from idp.models import Application
from idp.saml import signing
from idp.saml.application import wsfed
from idp.saml.application.wsfed import WsFedSettings
from idp.saml.names import DSIG, METADATA, md
from idp.saml.own_key import own_certificates, own_key
from idp.saml.sending import new_id, timestamp
from idp.saml.xml import Element
from sessions_app.saml.metadata import VALID_FOR, key_descriptor
from sessions_app.wsfed.token import ADDRESSING, SAML1, SAML2

FEDERATION = "http://docs.oasis-open.org/wsfed/federation/200706"
AUTHORIZATION = "http://docs.oasis-open.org/wsfed/authorization/200706"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def document(application: Application, settings: WsFedSettings, at: datetime) -> bytes:
    """Every key that we sign with or did, the one in use first."""
    spaces = {"md": METADATA, "ds": DSIG, "fed": FEDERATION, "auth": AUTHORIZATION, "wsa": ADDRESSING, "xsi": XSI}
    root = etree.Element(md("EntityDescriptor"), nsmap=spaces)
    root.set("ID", new_id())
    root.set("entityID", settings.told.own_entity_id)
    root.set("validUntil", timestamp(at + VALID_FOR))
    role = etree.SubElement(root, md("RoleDescriptor"), protocolSupportEnumeration=FEDERATION)
    role.set(f"{{{XSI}}}type", "fed:SecurityTokenServiceType")
    for pem in own_certificates(at, settings.told.signing_key):
        key_descriptor(role, pem)
    offered = etree.SubElement(role, _fed("TokenTypesOffered"))
    etree.SubElement(offered, _fed("TokenType"), Uri=SAML2 if settings.token_type == wsfed.SAML20 else SAML1)
    claims = etree.SubElement(role, _fed("ClaimTypesOffered"))
    for name in dict.fromkeys(settings.told.mappings.values()):
        etree.SubElement(claims, f"{{{AUTHORIZATION}}}ClaimType", Uri=name, Optional="true")
    # The schema wants an address of the active profile, which we do not speak: there is one for both.
    for kind in ("SecurityTokenServiceEndpoint", "PassiveRequestorEndpoint"):
        _endpoint(role, kind, wsfed.endpoint(application))
    signing.sign(root, own_key(at, settings.told.signing_key))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")  # type: ignore[no-any-return]


def _endpoint(role: Element, kind: str, address: str) -> None:
    reference = etree.SubElement(etree.SubElement(role, _fed(kind)), f"{{{ADDRESSING}}}EndpointReference")
    etree.SubElement(reference, f"{{{ADDRESSING}}}Address").text = address


def _fed(name: str) -> str:
    return f"{{{FEDERATION}}}{name}"
