"""A response, from the bytes that a browser brought to the assertion that is believed.

Shape first, then the message's signature, then decryption, then python3-saml in strict mode, then the rules that it leaves to us.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from lxml import etree
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from xmlsec import Error as XmlSecError

from idp.connections.saml import refusals, rules
from idp.connections.saml.provider import SamlProvider
from idp.connections.saml.rules import ExpectedResponse
from idp.saml import structure, xml
from idp.saml.names import POST, saml
from idp.saml.structure import BadResponse, UnknownSigner
from idp.saml.x509 import Certificate
from idp.saml.xml import Element, Unreadable

LONGEST = 500_000  # characters of Base64
RESPONSE_SIGNATURE = "/samlp:Response/ds:Signature"


@dataclass(frozen=True, slots=True)
class Received:
    """A response of the right shape, of which nothing is proven yet."""

    data: bytes
    root: Element

    @property
    def is_encrypted(self) -> bool:
        return self.root.find(saml("EncryptedAssertion")) is not None


@dataclass(frozen=True, slots=True)
class Proven:
    """The one assertion of a response that kept every rule, and until when it counts."""

    assertion: Element
    valid_until: datetime


def receive(encoded: str) -> Received:
    """Raises BadResponse."""
    if not encoded or len(encoded) > LONGEST:
        raise BadResponse("is missing" if not encoded else f"is longer than {LONGEST:,} characters")
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
        root = xml.parse_message(data)
    except (binascii.Error, ValueError):
        raise BadResponse("is not Base64") from None
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    structure.check_response(root)
    return Received(data, root)


def is_signed_by(received: Received, certificates: Iterable[Certificate]) -> bool:
    """Whether the response as a whole is signed by the key of one of these."""
    return any(
        OneLogin_Saml2_Utils.validate_sign(received.data, cert=certificate.pem, xpath=RESPONSE_SIGNATURE)
        for certificate in certificates
    )


def prove(received: Received, provider: SamlProvider, expected: ExpectedResponse, decryption_key: str) -> Proven:
    """Raises BadResponse for everything but a valid assertion, and UpstreamRefused when the identity provider said no."""
    signers = [c for c in provider.certificates if c.is_valid(expected.at)]
    authentic = is_signed_by(received, signers)
    if not refusals.is_success(received.root):
        raise refusals.refusal(received.root, authentic=authentic)
    structure.check_success(received.root, encrypted=received.is_encrypted)
    if not received.is_encrypted:
        structure.check_assertion(received.root.find(saml("Assertion")))
    if not authentic:
        raise _unknown_signer(received, provider, expected.at)
    root = _validated(received, provider, signers, expected, decryption_key)
    try:
        structure.check_decrypted(xml.parse_message(etree.tostring(root)))
        valid_until = rules.check(root, expected)
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    return Proven(root.find(saml("Assertion")), valid_until)


def _unknown_signer(received: Received, provider: SamlProvider, at: datetime) -> BadResponse:
    for certificate in provider.certificates:
        if not certificate.is_valid(at) and is_signed_by(received, [certificate]):
            word = "expired on" if certificate.not_after < at else "is not valid before"
            moment = certificate.not_after if certificate.not_after < at else certificate.not_before
            return UnknownSigner(
                f"is signed with the certificate {certificate.subject}, which {word} {moment:%d %B %Y}"
            )
    return UnknownSigner("has a signature that belongs to none of the identity provider's certificates, or was altered")


def _validated(
    received: Received,
    provider: SamlProvider,
    signers: list[Certificate],
    expected: ExpectedResponse,
    decryption_key: str,
) -> Element:
    """The document that python3-saml checked, with its assertion in clear."""
    try:
        settings = OneLogin_Saml2_Settings(_settings(received, provider, signers, expected, decryption_key))
        response = OneLogin_Saml2_Response(settings, base64.b64encode(received.data).decode())
        response.is_valid(_request_data(expected.acs), request_id=expected.request_id, raise_exceptions=True)
    except (OneLogin_Saml2_ValidationError, OneLogin_Saml2_Error) as error:
        raise BadResponse(f"is not valid: {error}") from error
    except (XmlSecError, etree.LxmlError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadResponse(f"cannot be decrypted or checked: {type(error).__name__}") from error
    return response.get_xml_document()


def _settings(
    received: Received,
    provider: SamlProvider,
    signers: list[Certificate],
    expected: ExpectedResponse,
    decryption_key: str,
) -> dict[str, object]:
    issuer = expected.issuer or received.root.findtext(saml("Issuer")) or "unknown"
    return {
        "strict": True,
        "sp": {
            "entityId": expected.audience,
            "assertionConsumerService": {"url": expected.acs, "binding": POST},
            "privateKey": decryption_key,
        },
        "idp": {
            "entityId": issuer.strip(),
            "singleSignOnService": {"url": provider.sign_on.get(provider.sign_on_binding) or expected.acs},
            "x509certMulti": {"signing": [c.pem for c in signers]},
        },
        "security": {
            "wantMessagesSigned": True,
            "wantAssertionsSigned": True,
            "rejectDeprecatedAlgorithm": True,
            "wantNameId": False,
            "wantAttributeStatement": False,
            "allowRepeatAttributeName": True,
            "requestedAuthnContext": False,
            "allowSingleLabelDomains": True,
        },
    }


def _request_data(acs: str) -> dict[str, str]:
    """The request as python3-saml asks for it: where it came to."""
    parts = urlsplit(acs)
    return {
        "https": "on" if parts.scheme == "https" else "off",
        "http_host": parts.netloc,
        "script_name": parts.path,
    }
