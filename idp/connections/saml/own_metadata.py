"""Our metadata document (SAML metadata section 2.4.4): what an identity provider needs to know about us."""

from __future__ import annotations

import base64
import re
from datetime import datetime

from lxml import etree

from idp.connections.saml import decryption, service
from idp.connections.saml.options import SamlOptions
from idp.models import Connection
from idp.saml.names import DSIG, METADATA, POST, PROTOCOL, REDIRECT, UNSPECIFIED, ds, md
from idp.saml.own_key import own_certificates
from idp.saml.signed import Wanted
from idp.saml.xml import Element

_ARMOUR = re.compile(r"-----[^-]+-----")


def document(connection: Connection, options: SamlOptions, acs: str, at: datetime) -> bytes:
    root = etree.Element(md("EntityDescriptor"), nsmap={"md": METADATA, "ds": DSIG})
    root.set("entityID", service.entity_id(connection, options))
    role = etree.SubElement(root, md("SPSSODescriptor"), protocolSupportEnumeration=PROTOCOL)
    role.set("AuthnRequestsSigned", "true" if options.sign_requests else "false")
    role.set("WantAssertionsSigned", "false" if options.wants_signed is Wanted.RESPONSE else "true")
    for pem in own_certificates(at):
        _key_descriptor(role, "signing", pem)
    if for_encryption := decryption.certificate(connection, at):
        _key_descriptor(role, "encryption", for_encryption)
    if not options.disable_signout:
        logout = service.logout_url(connection)
        for binding in (REDIRECT, POST):
            etree.SubElement(role, md("SingleLogoutService"), Binding=binding, Location=logout)
    etree.SubElement(role, md("NameIDFormat")).text = UNSPECIFIED
    etree.SubElement(role, md("AssertionConsumerService"), Binding=POST, Location=acs, index="0", isDefault="true")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)  # type: ignore[no-any-return]


def _key_descriptor(role: Element, use: str, pem: str) -> None:
    descriptor = etree.SubElement(role, md("KeyDescriptor"), use=use)
    data = etree.SubElement(etree.SubElement(descriptor, ds("KeyInfo")), ds("X509Data"))
    body = "".join(_ARMOUR.sub("", pem).split())
    etree.SubElement(data, ds("X509Certificate")).text = base64.b64encode(base64.b64decode(body)).decode()
