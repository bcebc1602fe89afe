"""Our metadata as an identity provider (SAML metadata section 2.4.3): what an application needs to know about us, signed."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta

from lxml import etree

from idp.models import Application
from idp.saml import signing
from idp.saml.application import settings as settings_of
from idp.saml.application.settings import NAME_ID_FORMATS, SamlSettings
from idp.saml.names import DSIG, METADATA, POST, PROTOCOL, REDIRECT, SOAP, ds, md
from idp.saml.own_key import own_certificates, own_key
from idp.saml.sending import new_id, timestamp
from idp.saml.xml import Element

VALID_FOR = timedelta(days=7)  # who refreshes daily, as they should, has a week to notice that they cannot
_ARMOUR = re.compile(r"-----[^-]+-----")


def document(application: Application, settings: SamlSettings, at: datetime) -> bytes:
    """Every key that we sign with or did, the one in use first."""
    root = etree.Element(md("EntityDescriptor"), nsmap={"md": METADATA, "ds": DSIG})
    root.set("ID", new_id())
    root.set("entityID", settings.own_entity_id)
    root.set("validUntil", timestamp(at + VALID_FOR))
    role = etree.SubElement(root, md("IDPSSODescriptor"), protocolSupportEnumeration=PROTOCOL)
    role.set("WantAuthnRequestsSigned", "true" if settings.wants_signed_requests else "false")
    for pem in own_certificates(at, settings.signing_key):
        key_descriptor(role, pem)
    for binding in (REDIRECT, POST, SOAP):
        etree.SubElement(role, md("SingleLogoutService"), Binding=binding, Location=settings_of.logout_url(application))
    for name_format in NAME_ID_FORMATS:
        etree.SubElement(role, md("NameIDFormat")).text = name_format
    for binding in (REDIRECT, POST):
        etree.SubElement(role, md("SingleSignOnService"), Binding=binding, Location=settings_of.sso_url(application))
    signing.sign(root, own_key(at, settings.signing_key))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")  # type: ignore[no-any-return]


def key_descriptor(role: Element, pem: str) -> None:
    descriptor = etree.SubElement(role, md("KeyDescriptor"), use="signing")
    data = etree.SubElement(etree.SubElement(descriptor, ds("KeyInfo")), ds("X509Data"))
    body = "".join(_ARMOUR.sub("", pem).split())
    etree.SubElement(data, ds("X509Certificate")).text = base64.b64encode(base64.b64decode(body)).decode()
