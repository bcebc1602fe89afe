"""Enveloped signatures of ours (SAML core section 5.4), by the algorithm that the receiver was configured with."""

from __future__ import annotations

from typing import Any

import xmlsec as library
from lxml import etree

from idp.saml import xml
from idp.saml.names import DIGEST_ALGORITHMS, SIGNATURE_ALGORITHMS, saml
from idp.saml.own_key import OwnKey
from idp.saml.xml import Element

xmlsec: Any = library  # its types name hardly anything of it


def signed(message: bytes, key: OwnKey, algorithm: str = "rsa-sha256", digest: str = "sha256") -> bytes:
    """The message with its signature. The names of algorithms are Auth0's."""
    root = etree.fromstring(message, xml.parser())
    sign(root, key, algorithm, digest)
    return etree.tostring(root)  # type: ignore[no-any-return]


def sign(element: Element, key: OwnKey, algorithm: str = "rsa-sha256", digest: str = "sha256") -> None:
    """In its place: after the Issuer, before everything else; without one (metadata) first of all, in SAML 1.1 last."""
    method, digests = SIGNATURE_ALGORITHMS[algorithm], DIGEST_ALGORITHMS[digest]
    signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, _transform(method), ns="ds")
    issuer, id_name = element.find(saml("Issuer")), "AssertionID" if element.get("AssertionID") else "ID"
    if id_name == "AssertionID":
        element.append(signature)
    elif issuer is None:
        element.insert(0, signature)
    else:
        issuer.addnext(signature)
    reference = xmlsec.template.add_reference(signature, _transform(digests), uri=f"#{element.get(id_name)}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.template.x509_data_add_certificate(data)
    xmlsec.tree.add_ids(element, [id_name])
    context = xmlsec.SignatureContext()
    context.key = _key(key)
    context.sign(signature)


def _key(key: OwnKey) -> Any:
    """Read anew for each signature: the library's keys belong to one context."""
    loaded = xmlsec.Key.from_memory(key.private_pem, xmlsec.KeyFormat.PEM)
    loaded.load_cert_from_memory(key.certificate_pem, xmlsec.KeyFormat.CERT_PEM)
    return loaded


_TRANSFORMS = {
    SIGNATURE_ALGORITHMS["rsa-sha256"]: xmlsec.Transform.RSA_SHA256,
    SIGNATURE_ALGORITHMS["rsa-sha1"]: xmlsec.Transform.RSA_SHA1,
    DIGEST_ALGORITHMS["sha256"]: xmlsec.Transform.SHA256,
    DIGEST_ALGORITHMS["sha1"]: xmlsec.Transform.SHA1,
}


def _transform(uri: str) -> Any:
    return _TRANSFORMS[uri]
