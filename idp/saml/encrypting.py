"""Encrypted assertions of ours (SAML core section 2.3.4): AES-256-GCM, with a key by RSA-OAEP."""

from __future__ import annotations

from typing import Any

import xmlsec as library
from lxml import etree

from idp.saml.names import saml
from idp.saml.x509 import Certificate
from idp.saml.xml import Element

xmlsec: Any = library  # its types name hardly anything of it


def encrypt(root: Element, assertion: Element, certificate: Certificate) -> None:
    """Put an EncryptedAssertion in the place of the assertion, which is a child of `root`."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate.pem, xmlsec.KeyFormat.CERT_PEM))
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.Transform.AES256_GCM, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    encrypted_key = xmlsec.template.add_encrypted_key(info, xmlsec.Transform.RSA_OAEP)
    xmlsec.template.encrypted_data_ensure_cipher_value(encrypted_key)
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, 256, xmlsec.KeyDataType.SESSION)
    wrapper = etree.Element(saml("EncryptedAssertion"))
    assertion.addprevious(wrapper)
    wrapper.append(context.encrypt_xml(data, assertion))
