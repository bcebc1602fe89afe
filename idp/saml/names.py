"""Names that SAML 2.0, XML Signature and XML Encryption give to things."""

from __future__ import annotations

ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
NAMESPACES = {"saml": ASSERTION, "samlp": PROTOCOL, "md": METADATA, "ds": DSIG, "xenc": XENC}

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
EMAIL_ADDRESS = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

ENVELOPED = DSIG + "enveloped-signature"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = _MORE + "rsa-sha256"
# No SHA-1, no HMAC: a public certificate must never do as the key of a MAC.
SIGNATURE_METHODS = frozenset(
    {
        *(_MORE + f"{kind}-sha{bits}" for kind in ("rsa", "ecdsa") for bits in (256, 384, 512)),
        *(f"http://www.w3.org/2007/05/xmldsig-more#sha{bits}-rsa-MGF1" for bits in (256, 384, 512)),
    }
)
DIGEST_METHODS = frozenset({XENC + "sha256", _MORE + "sha384", XENC + "sha512"})

# What we sign with by Auth0's names. SHA-1 only where an administrator says so, for an application that knows no better.
SIGNATURE_ALGORITHMS = {"rsa-sha256": RSA_SHA256, "rsa-sha1": DSIG + "rsa-sha1"}
DIGEST_ALGORITHMS = {"sha256": XENC + "sha256", "sha1": DSIG + "sha1"}

# RSA with PKCS #1 v1.5 padding is not among them: an oracle for it opens what was sent to us.
KEY_TRANSPORT = frozenset({XENC + "rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#rsa-oaep"})
BLOCK_ENCRYPTION = frozenset(
    {
        *(XENC + f"aes{bits}-cbc" for bits in (128, 192, 256)),
        *(f"http://www.w3.org/2009/xmlenc11#aes{bits}-gcm" for bits in (128, 192, 256)),
    }
)


def saml(name: str) -> str:
    return f"{{{ASSERTION}}}{name}"


def samlp(name: str) -> str:
    return f"{{{PROTOCOL}}}{name}"


def md(name: str) -> str:
    return f"{{{METADATA}}}{name}"


def ds(name: str) -> str:
    return f"{{{DSIG}}}{name}"


def xenc(name: str) -> str:
    return f"{{{XENC}}}{name}"
