"""Signed messages of somebody else by HTTP-Redirect and HTTP-POST (SAML bindings sections 3.4 and 3.5).

For single logout: `read` believes nothing that is not signed by a certificate of the connection.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.protocol.params import Params
from idp.saml import structure, xml
from idp.saml.names import SIGNATURE_METHODS, ds, samlp
from idp.saml.signed import UnknownSigner
from idp.saml.structure import BadResponse
from idp.saml.x509 import Certificate
from idp.saml.xml import Element, Unreadable

LONGEST = 100_000  # characters; a logout message is short
REQUEST, RESPONSE = "SAMLRequest", "SAMLResponse"
STATE, ALGORITHM, SIGNATURE, ENCODING = "RelayState", "SigAlg", "Signature", "SAMLEncoding"
DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
ROOTS = {REQUEST: "LogoutRequest", RESPONSE: "LogoutResponse"}
_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came, of which nothing is proven yet. `query` is "" for one that was posted."""

    name: str
    encoded: str
    query: str

    def read(self, certificates: Iterable[Certificate]) -> Element:
        """The message, if one of these signed it. Raises BadResponse."""
        try:
            return self._read_query(certificates) if self.query else self._read_form(certificates)
        except (Unreadable, ValueError, zlib.error) as error:  # ValueError: no Base64, or not even ASCII
            raise BadResponse(str(error) if isinstance(error, Unreadable) else "cannot be decoded") from None

    def _read_query(self, certificates: Iterable[Certificate]) -> Element:
        """The signature is over the values as they came, in the order of the specification: what was changed since breaks it."""
        values = _raw_values(self.query)
        if missing := [name for name in (self.name, ALGORITHM, SIGNATURE) if not values.get(name)]:
            raise BadResponse(f"is not signed as the redirect binding wants it: {' and '.join(missing)} missing")
        if unquote_plus(values.get(ENCODING, DEFLATE)) != DEFLATE:
            raise BadResponse("has another encoding than DEFLATE")
        algorithm, raw = unquote_plus(values[ALGORITHM]), _decoded(values[SIGNATURE])
        signed = list(_signed(self.name, values))
        if not any(_verifies(c, algorithm, raw, text) for c in certificates for text in signed):
            raise UnknownSigner("has a signature that belongs to none of the identity provider's certificates")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        data = inflater.decompress(_decoded(values[self.name]), LONGEST)
        if inflater.unconsumed_tail:
            raise BadResponse(f"is longer than {LONGEST:,} bytes")
        return self._root(data.removeprefix(xml.BYTE_ORDER_MARK))

    def _read_form(self, certificates: Iterable[Certificate]) -> Element:
        data = base64.b64decode("".join(self.encoded.split()), validate=True).removeprefix(xml.BYTE_ORDER_MARK)
        root = self._root(data)
        signatures = list(root.iter(ds("Signature")))
        if len(signatures) != 1 or signatures[0].getparent() is not root:
            raise BadResponse("is not signed")
        structure.check_signature(signatures[0])
        xpath = f"/samlp:{ROOTS[self.name]}/ds:Signature"
        if not any(OneLogin_Saml2_Utils.validate_sign(data, cert=c.pem, xpath=xpath) for c in certificates):
            raise UnknownSigner("has a signature that belongs to none of the identity provider's certificates")
        return root

    def _root(self, data: bytes) -> Element:
        root = xml.parse_message(data)
        if root.tag != samlp(ROOTS[self.name]) or root.get("Version") != "2.0":
            raise BadResponse(f"is not a {ROOTS[self.name]}")
        structure.check_document(root)
        return root


def arrived(name: str, query: str, params: Params) -> Arrived:
    """`query` is the raw query string of a GET, "" for a form. Raises BadResponse."""
    encoded = params.get(name, "")
    if not encoded or len(encoded) > LONGEST:
        raise BadResponse("is missing, or too long")
    return Arrived(name, encoded, query)


def _raw_values(query: str) -> dict[str, str]:
    """Each parameter's value in the characters that the browser carried, by its name. Raises BadResponse for a name twice.

    The signature is over the sender's own percent-encoding (lower-case escapes are common), which no decoder gives back.
    """
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if (name := unquote_plus(name)) in found:
            raise BadResponse(f"has {name[:40]} more than once")
        found[name] = value
    return found


def _signed(name: str, values: Mapping[str, str]) -> Iterator[bytes]:
    """What may have been signed (SAML bindings section 3.4.4.1), whatever the order in the query and whatever else is in it.

    A RelayState that is there and empty says nothing: some senders sign it, others leave it out as the specification asks.
    """
    with_state, without = (name, STATE, ALGORITHM), (name, ALGORITHM)
    state = values.get(STATE)
    for names in (without,) if state is None else (with_state,) if state else (with_state, without):
        yield "&".join(f"{part}={values[part]}" for part in names).encode()


def _decoded(value: str) -> bytes:
    """Base64 in a query. A plus sign that was not escaped stays one: in Base64 it can be nothing else."""
    return base64.b64decode("".join(unquote(value).split()), validate=True)


def _verifies(certificate: Certificate, algorithm: str, signature: bytes, message: bytes) -> bool:
    kind, _, digest = algorithm.rpartition("#")[2].partition("-")
    if algorithm not in SIGNATURE_METHODS or digest not in _HASHES:
        return False
    key, chosen = certificate.key, _HASHES[digest]
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), chosen)
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_der(signature), message, ec.ECDSA(chosen))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _der(signature: bytes) -> bytes:
    """XML Signature writes an ECDSA signature as its two numbers, one after the other."""
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
