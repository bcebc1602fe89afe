"""A response, from the bytes that a browser brought to the assertion that is believed.

Shape first, then the response's signature if it has one, then decryption and the shape of what was inside, then the assertion's
signature if it has one, then python3-saml in strict mode, which verifies them once more, then the rules that it leaves to us.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
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
from idp.saml import signed, statuses, structure, xml
from idp.saml.names import POST, saml
from idp.saml.signed import Signed, UnknownSigner, Unproven, Wanted
from idp.saml.structure import BadResponse
from idp.saml.x509 import Certificate
from idp.saml.xml import Element, Unreadable

LONGEST = 500_000  # characters of Base64
RESPONSE_SIGNATURE = "/samlp:Response/ds:Signature"
ASSERTION_SIGNATURE = "/samlp:Response/saml:Assertion/ds:Signature"

_SAID = (OneLogin_Saml2_ValidationError, OneLogin_Saml2_Error)  # by python3-saml, in words
_UNSAID = (
    XmlSecError,
    etree.LxmlError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)  # by it, of what it did not expect


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
    """The one assertion of a response that kept every rule, until when it counts, and what of the two was signed."""

    assertion: Element
    valid_until: datetime
    signed: Signed


def receive(encoded: str) -> Received:
    """Raises BadResponse."""
    if not encoded or len(encoded) > LONGEST:
        raise BadResponse("is missing" if not encoded else f"is longer than {LONGEST:,} characters")
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True).removeprefix(xml.BYTE_ORDER_MARK)
        root = xml.parse_message(data)
    except (binascii.Error, ValueError):
        raise BadResponse("is not Base64") from None
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    structure.check_response(root)
    return Received(data, root)


def prove(
    received: Received, provider: SamlProvider, expected: ExpectedResponse, decryption_keys: Sequence[str]
) -> Proven:
    """`decryption_keys`: those that it may be encrypted for; [""] if it is not.

    Raises BadResponse for everything but a valid assertion, and UpstreamRefused when the identity provider said no."""
    signers = [c for c in provider.certificates if c.is_valid(expected.at)]
    has_signature = signed.has_signature(received.root)
    authentic = has_signature and _is_signed_by(received.data, RESPONSE_SIGNATURE, signers)
    if not statuses.is_success(received.root):
        raise refusals.refusal(received.root, authentic=authentic)
    structure.check_success(received.root, encrypted=received.is_encrypted)
    if has_signature and not authentic:
        raise _unknown_signer(received.data, RESPONSE_SIGNATURE, provider, expected.at)
    if received.is_encrypted:
        signed.check_before_opening(provider.options.wants_signed, received.root)
    try:
        validator = _opened(received, provider, signers, expected, decryption_keys)
        came = _verified(validator.get_xml_document(), provider, signers, expected.at)
    except BadResponse as error:
        if received.is_encrypted and not authentic and not isinstance(error, Unproven):
            # Anybody can encrypt for us: whoever tries ciphertexts must not learn what became of them.
            raise Unproven(str(error)) from error
        raise
    return _read(validator, expected, came)


def _is_signed_by(document: bytes | Element, xpath: str, certificates: Iterable[Certificate]) -> bool:
    """Whether the signature at `xpath` is by the key of one of these."""
    return any(
        OneLogin_Saml2_Utils.validate_sign(document, cert=certificate.pem, xpath=xpath) for certificate in certificates
    )


def _unknown_signer(document: bytes | Element, xpath: str, provider: SamlProvider, at: datetime) -> UnknownSigner:
    what = "is" if xpath == RESPONSE_SIGNATURE else "has an assertion that is"
    for certificate in provider.certificates:
        if not certificate.is_valid(at) and _is_signed_by(document, xpath, [certificate]):
            word = "expired on" if certificate.not_after < at else "is not valid before"
            moment = certificate.not_after if certificate.not_after < at else certificate.not_before
            return UnknownSigner(
                f"{what} signed with the certificate {certificate.subject}, which {word} {moment:%d %B %Y}"
            )
    return UnknownSigner(
        f"{what} signed with a key that belongs to none of the identity provider's certificates, or was altered"
    )


def _opened(
    received: Received,
    provider: SamlProvider,
    signers: list[Certificate],
    expected: ExpectedResponse,
    decryption_keys: Sequence[str],
) -> OneLogin_Saml2_Response:
    """The response with its assertion in clear, and of the right shape."""
    validator = _decrypted(received, [_settings(received, provider, signers, expected, key) for key in decryption_keys])
    try:
        structure.check_decrypted(xml.parse_message(etree.tostring(validator.get_xml_document())))
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    return validator


def _decrypted(received: Received, alternatives: Sequence[dict[str, object]]) -> OneLogin_Saml2_Response:
    """By the first of the keys that opens it: during a rotation nobody says for which of ours they encrypt."""
    failure = Unproven("cannot be decrypted: there is no key")
    for settings in alternatives:
        try:
            return OneLogin_Saml2_Response(OneLogin_Saml2_Settings(settings), base64.b64encode(received.data).decode())
        except _SAID as error:
            failure = Unproven(f"cannot be decrypted: {error}")
        except _UNSAID as error:
            failure = Unproven(f"cannot be decrypted: {type(error).__name__}")
    raise failure


def _verified(root: Element, provider: SamlProvider, signers: list[Certificate], at: datetime) -> Signed:
    """What is signed: enough, and the assertion by somebody who may. The response's own signature was verified before."""
    came = signed.of(root)
    signed.check(provider.options.wants_signed, came)
    if came in (Signed.ASSERTION, Signed.BOTH) and not _is_signed_by(root, ASSERTION_SIGNATURE, signers):
        raise _unknown_signer(root, ASSERTION_SIGNATURE, provider, at)
    return came


def _read(validator: OneLogin_Saml2_Response, expected: ExpectedResponse, came: Signed) -> Proven:
    try:
        validator.is_valid(_request_data(expected.acs), request_id=expected.request_id, raise_exceptions=True)
        root = validator.get_xml_document()
        valid_until = rules.check(root, expected, is_signed=came is not Signed.ASSERTION)
    except _SAID as error:
        raise BadResponse(f"is not valid: {error}") from error
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    except _UNSAID as error:
        raise BadResponse(f"cannot be checked: {type(error).__name__}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise BadResponse(f"is not valid: {error}") from error  # as python3-saml says it of times that it cannot read
    return Proven(root.find(saml("Assertion")), valid_until, came)


def _settings(
    received: Received,
    provider: SamlProvider,
    signers: list[Certificate],
    expected: ExpectedResponse,
    decryption_key: str,
) -> dict[str, object]:
    said = (received.root.findtext(path) for path in (saml("Issuer"), f"{saml('Assertion')}/{saml('Issuer')}"))
    issuer = expected.issuer or next(filter(None, said), "unknown")
    wanted = provider.options.wants_signed
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
            "wantMessagesSigned": wanted in (Wanted.RESPONSE, Wanted.BOTH),
            "wantAssertionsSigned": wanted in (Wanted.ASSERTION, Wanted.BOTH),
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
