"""Messages of somebody else by HTTP-Redirect, HTTP-POST and SOAP (SAML bindings sections 3.2, 3.4 and 3.5).

`read` believes nothing that is not signed by one of the sender's certificates. `read_unsigned` is for what need not be: what
it gives may be anybody's.
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
    root: str = ""  # the message; "": a logout message, by its name

    @property
    def is_signed(self) -> bool:
        """Whether it says that it is."""
        if self.query:
            return bool(_raw_values(self.query).get(SIGNATURE))
        try:
            return next(self._unsigned_form().iter(ds("Signature")), None) is not None
        except (Unreadable, ValueError):
            return False  # `read_unsigned` says what is wrong

    def read_unsigned(self) -> Element:
        """The message, whoever wrote it. Raises BadResponse."""
        try:
            return self._root(self._inflated(_raw_values(self.query)) if self.query else self._form())
        except (Unreadable, ValueError, zlib.error) as error:
            raise BadResponse(str(error) if isinstance(error, Unreadable) else "cannot be decoded") from None

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
        algorithm, raw = unquote_plus(values[ALGORITHM]), _decoded(values[SIGNATURE])
        signed = list(_signed(self.name, values))
        if not any(_verifies(c, algorithm, raw, text) for c in certificates for text in signed):
            raise UnknownSigner("has a signature that belongs to none of the sender's certificates")
        return self._root(self._inflated(values))

    def _inflated(self, values: Mapping[str, str]) -> bytes:
        if unquote_plus(values.get(ENCODING, DEFLATE)) != DEFLATE:
            raise BadResponse("has another encoding than DEFLATE")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        data = inflater.decompress(_decoded(values[self.name]), LONGEST)
        if inflater.unconsumed_tail:
            raise BadResponse(f"is longer than {LONGEST:,} bytes")
        return data.removeprefix(xml.BYTE_ORDER_MARK)

    def _form(self) -> bytes:
        return base64.b64decode("".join(self.encoded.split()), validate=True).removeprefix(xml.BYTE_ORDER_MARK)

    def _unsigned_form(self) -> Element:
        return xml.parse_message(self._form())

    def _read_form(self, certificates: Iterable[Certificate]) -> Element:
        data = self._form()
        root = self._root(data)
        check_enveloped(root, data, certificates)
        return root

    def _root(self, data: bytes) -> Element:
        root, name = xml.parse_message(data), self.root or ROOTS[self.name]
        if root.tag != samlp(name) or root.get("Version") != "2.0":
            raise BadResponse(f"is not {'an' if name[0] in 'AE' else 'a'} {name}")
        structure.check_document(root)
        return root


def check_enveloped(root: Element, data: bytes, certificates: Iterable[Certificate]) -> None:
    """The one signature of a message is its own, by one of these. `data`: the message as it came, and nothing around it.

    Raises BadResponse.
    """
    signatures = list(root.iter(ds("Signature")))
    if len(signatures) != 1 or signatures[0].getparent() is not root:
        raise BadResponse("is not signed")
    structure.check_signature(signatures[0])
    xpath = f"/samlp:{root.tag.rpartition('}')[2]}/ds:Signature"
    if not any(OneLogin_Saml2_Utils.validate_sign(data, cert=c.pem, xpath=xpath) for c in certificates):
        raise UnknownSigner("has a signature that belongs to none of the sender's certificates")


def arrived(name: str, query: str, params: Params, *, root: str = "") -> Arrived:
    """`query` is the raw query string of a GET, "" for a form. Raises BadResponse."""
    encoded = params.get(name, "")
    if not encoded or len(encoded) > LONGEST:
        raise BadResponse("is missing, or too long")
    return Arrived(name, encoded, query, root)


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
