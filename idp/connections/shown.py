"""The value of an option as the audit trail shows it: short, certificates and documents by what they are recognised by."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Sequence
from typing import Any

from idp.connections.saml import idp_metadata
from idp.connections.saml.idp_metadata import BadMetadata
from idp.saml import x509
from idp.saml.x509 import BadCertificate, Certificate
from idp.tenants import changes
from idp.tenants.changes import NO_VALUE

CERTIFICATES = frozenset({"signingCert", "ca_certificate"})
DOCUMENTS = frozenset({"metadataXml", "fedMetadataXml"})


def shown(option: str, value: Any) -> str:
    if value in (None, "", [], {}):
        return NO_VALUE
    if option in CERTIFICATES:
        return _certificates(value if isinstance(value, list) else [value])
    if option in DOCUMENTS:
        return _document(str(value))
    return changes.shown(value)


def _certificates(texts: Sequence[Any]) -> str:
    try:
        return _fingerprints([found for text in texts for found in x509.read(str(text))])
    except BadCertificate:
        return f"what is no certificate ({changes.digest(json.dumps(texts))})"


def _document(text: str) -> str:
    try:
        metadata = idp_metadata.read(text.strip().encode())
    except BadMetadata:
        return f"what is no metadata ({changes.digest(text)})"
    where = ", ".join(sorted({*metadata.sign_on.values()}))
    return f"metadata of {metadata.entity_id} at {where} with {_fingerprints(metadata.certificates)} ({changes.digest(text)})"


def _fingerprints(certificates: Sequence[Certificate]) -> str:
    return ", ".join(
        f"the certificate {certificate.subject} SHA-256 {hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.pem)).hexdigest()}"
        for certificate in certificates
    )
