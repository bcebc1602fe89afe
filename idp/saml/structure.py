"""The shape that a response must have before anything in it is believed: one of each, where we look for it, and nowhere else.

Signature wrapping lives from two pieces of code that find different elements. In a document of this shape there is only one
element to find: the signed one is the one that is read. Which elements must be signed is `signed`.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from idp.saml.names import (
    BLOCK_ENCRYPTION,
    DIGEST_METHODS,
    ENVELOPED,
    EXCLUSIVE_C14N,
    KEY_TRANSPORT,
    SIGNATURE_METHODS,
    ds,
    saml,
    samlp,
    xenc,
)
from idp.saml.xml import Element

SKEW = timedelta(seconds=60)  # between our clock and others
ID_ATTRIBUTES = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")
XINCLUDE = "{http://www.w3.org/2001/XInclude}"


class BadResponse(Exception):
    """One clause about what is wrong with the response."""


def check_response(root: Element) -> None:
    """A Response, as it was received."""
    _check(root.tag == samlp("Response"), "is not a Response")
    _check(root.get("Version") == "2.0", "is not of SAML 2.0")
    check_document(root)
    for signature in root.iter(ds("Signature")):
        _check(signature.getparent() in (root, *root.findall(saml("Assertion"))), "has a signature at an odd place")
        check_signature(signature)


def check_success(root: Element, *, encrypted: bool) -> None:
    """A Response that brings somebody: exactly one assertion, directly in it, in clear or encrypted."""
    clear, sealed = list(root.iter(saml("Assertion"))), list(root.iter(saml("EncryptedAssertion")))
    expected = sealed if encrypted else clear
    _check(len(clear) + len(sealed) == 1 == len(expected), "does not hold exactly one assertion")
    _check(expected[0].getparent() is root, "has its assertion at an odd place")
    if encrypted:
        _check_encryption(expected[0])


def check_decrypted(root: Element) -> None:
    """The same Response with its assertion in clear."""
    check_response(root)
    check_success(root, encrypted=False)
    check_assertion(root.find(saml("Assertion")))


def check_assertion(assertion: Element) -> None:
    """One of each of what will be read."""
    _check(assertion.get("Version") == "2.0", "has an assertion that is not of SAML 2.0")
    for name in ("Issuer", "Subject", "Conditions", "AuthnStatement"):
        _check(len(assertion.findall(saml(name))) == 1, f"does not have one {name} in its assertion")
    for name in ("EncryptedID", "EncryptedAttribute"):
        _check(next(assertion.iter(saml(name)), None) is None, f"has an {name}, which we do not read")


def check_signature(signature: Element) -> None:
    """XML Signature as SAML core section 5.4 profiles it: one reference, to the element that the signature is in."""
    parent = signature.getparent()
    _check(len(parent.findall(ds("Signature"))) == 1, "has several signatures on one element")
    names = Counter(child.tag for child in signature)
    allowed = {ds("SignedInfo"): 1, ds("SignatureValue"): 1, ds("KeyInfo"): names[ds("KeyInfo")]}
    _check(names == Counter({tag: count for tag, count in allowed.items() if count}), "has an odd signature")
    info = signature.find(ds("SignedInfo"))
    _check(
        [child.tag for child in info] == [ds("CanonicalizationMethod"), ds("SignatureMethod"), ds("Reference")],
        "has an odd signature",
    )
    canonicalization, method, reference = info
    _check(canonicalization.get("Algorithm") == EXCLUSIVE_C14N, "has a signature with an odd canonicalisation")
    _check(
        method.get("Algorithm") in SIGNATURE_METHODS, f"is signed by {method.get('Algorithm')}, which is not allowed"
    )
    _check(not method.findall("{*}HMACOutputLength"), "has an odd signature")
    _check_reference(reference, parent)


def _check_reference(reference: Element, parent: Element) -> None:
    _check(bool(parent.get("ID")), "has a signed element without ID")
    _check(reference.get("URI") == f"#{parent.get('ID')}", "has a signature of something else")
    _check(
        [child.tag for child in reference] == [ds("Transforms"), ds("DigestMethod"), ds("DigestValue")],
        "has an odd reference",
    )
    transforms, digest, value = reference
    algorithms = [transform.get("Algorithm") for transform in transforms]
    _check(algorithms == [ENVELOPED, EXCLUSIVE_C14N], "has a signature with odd transforms")
    _check(
        digest.get("Algorithm") in DIGEST_METHODS, f"has a digest by {digest.get('Algorithm')}, which is not allowed"
    )
    _check(len(value) == 0, "has an odd digest")


def _check_encryption(encrypted: Element) -> None:
    """One ciphertext, one key for us, by algorithms that leak nothing when they fail."""
    data = encrypted.findall(xenc("EncryptedData"))
    keys = list(encrypted.iter(xenc("EncryptedKey")))
    _check(len(data) == 1 == len(list(encrypted.iter(xenc("EncryptedData")))), "has an odd EncryptedAssertion")
    _check(len(keys) == 1, "does not have one key in its EncryptedAssertion")
    _check(next(encrypted.iter(xenc("CipherReference")), None) is None, "has its ciphertext somewhere else")
    for element, allowed in ((data[0], BLOCK_ENCRYPTION), (keys[0], KEY_TRANSPORT)):
        method = element.find(xenc("EncryptionMethod"))
        algorithm = method.get("Algorithm") if method is not None else None
        _check(algorithm in allowed, f"is encrypted by {algorithm}, which is not allowed")


def check_document(root: Element) -> None:
    """What holds for messages of every kind."""
    ids = [value for element in root.iter() for name in ID_ATTRIBUTES if (value := element.get(name)) is not None]
    _check(len(ids) == len(set(ids)), "has the same id twice")
    _check(bool(root.get("ID")), "has no ID")
    included = next((e for e in root.iter() if isinstance(e.tag, str) and e.tag.startswith(XINCLUDE)), None)
    _check(included is None, "has an inclusion")


def _check(good: bool, clause: str) -> None:
    if not good:
        raise BadResponse(clause)
