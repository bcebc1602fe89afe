"""Our requests, read as an identity provider reads them."""

from __future__ import annotations

import base64
import zlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree


def request_of(parameter: str) -> Any:
    """The message of the redirect binding."""
    return etree.fromstring(zlib.decompress(base64.b64decode(parameter), -15))


def check_query(url: str, certificate: str) -> None:
    """Raises InvalidSignature unless the query is signed as SAML bindings section 3.4.4.1 says."""
    query = urlsplit(url).query
    signed, _, signature = query.partition("&Signature=")
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    raw = base64.b64decode(parse_qs(f"s={signature}")["s"][0])
    key.verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
