"""A SAML identity provider of ours, for answers that no real one gives: it says and signs what a test tells it to."""

from __future__ import annotations

import base64
import functools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree

ENTITY_ID = "https://idp.example/metadata"
SIGN_ON = "https://idp.example/sso"
NAMES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
}
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


@dataclass(frozen=True)
class Key:
    """A key pair with its self-signed certificate, in PEM."""

    private: str
    certificate: str

    @property
    def body(self) -> str:
        """The certificate as metadata hold it."""
        return "".join(self.certificate.split("-----")[2].split())


def make_key(
    name: str = "idp.example",
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    bits: int = 2048,
) -> Key:
    key = rsa.generate_private_key(65537, bits)
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - timedelta(days=100))
        .not_valid_after(not_after or now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Key(private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())


@functools.cache
def the_key(name: str = "idp.example") -> Key:
    """One key for each name and run: making them is slow."""
    return make_key(name)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True)
class Answer:
    """What a response says; `replace()` it to say something else."""

    acs: str
    audience: str
    at: datetime
    in_response_to: str | None = None
    issuer: str = ENTITY_ID
    name_id: str = "mary"
    name_id_format: str = PERSISTENT
    attributes: dict[str, Any] = field(default_factory=lambda: {"mail": "Mary@FabrikamCorp.com", "displayName": "Mary"})
    response_id: str = field(default_factory=lambda: f"_r{secrets.token_hex(16)}")
    assertion_id: str = field(default_factory=lambda: f"_a{secrets.token_hex(16)}")
    session_index: str = "index-1"
    session_until: datetime | None = None
    auth_instant: datetime | None = None
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    confirmed_until: datetime | None = None
    issued_at: datetime | None = None
    destination: str | None = None
    recipient: str | None = None
    confirmed_in_response_to: str | None = None
    conditions: bool = True
    context: str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
    status: str = f'<samlp:StatusCode Value="{SUCCESS}"/>'

    def assertion(self) -> str:
        in_response_to = self.confirmed_in_response_to or self.in_response_to
        data = _attributes(
            InResponseTo=in_response_to,
            Recipient=self.acs if self.recipient is None else self.recipient,
            NotOnOrAfter=instant(self.confirmed_until or self.at + timedelta(minutes=5)),
        )
        times = _attributes(
            NotBefore=instant(self.not_before or self.at - timedelta(minutes=1)),
            NotOnOrAfter=instant(self.not_on_or_after or self.at + timedelta(minutes=5)),
        )
        audience = f"<saml:Audience>{escape(self.audience)}</saml:Audience>" if self.audience else ""
        restriction = f"<saml:AudienceRestriction>{audience}</saml:AudienceRestriction>" if audience else ""
        statement = _attributes(
            AuthnInstant=instant(self.auth_instant or self.at),
            SessionIndex=self.session_index,
            SessionNotOnOrAfter=instant(self.session_until) if self.session_until else None,
        )
        return (
            f'<saml:Assertion xmlns:saml="{NAMES["saml"]}" ID={quoteattr(self.assertion_id)} Version="2.0"'
            f" IssueInstant={quoteattr(instant(self.issued_at or self.at))}>"
            f"<saml:Issuer>{escape(self.issuer)}</saml:Issuer>"
            f"<saml:Subject><saml:NameID Format={quoteattr(self.name_id_format)}>{escape(self.name_id)}</saml:NameID>"
            f'<saml:SubjectConfirmation Method="{BEARER}"><saml:SubjectConfirmationData{data}/></saml:SubjectConfirmation>'
            "</saml:Subject>"
            + (f"<saml:Conditions{times}>{restriction}</saml:Conditions>" if self.conditions else "")
            + f"<saml:AuthnStatement{statement}><saml:AuthnContext><saml:AuthnContextClassRef>"
            f"{escape(self.context)}</saml:AuthnContextClassRef></saml:AuthnContext>"
            f"</saml:AuthnStatement>{self._statement()}</saml:Assertion>"
        )

    def response(self, inside: str | None = None) -> str:
        head = _attributes(
            ID=self.response_id,
            Version="2.0",
            IssueInstant=instant(self.at),
            Destination=self.acs if self.destination is None else self.destination,
            InResponseTo=self.in_response_to,
        )
        return (
            f'<samlp:Response xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}"{head}>'
            f"<saml:Issuer>{escape(self.issuer)}</saml:Issuer><samlp:Status>{self.status}</samlp:Status>"
            f"{self.assertion() if inside is None else inside}</samlp:Response>"
        )

    def _statement(self) -> str:
        if not self.attributes:
            return ""
        return f"<saml:AttributeStatement>{''.join(_attribute(*item) for item in self.attributes.items())}</saml:AttributeStatement>"


@dataclass
class ScriptedIdp:
    """Signs with `key`; the methods change one thing at a time of what an honest one does."""

    key: Key = field(default_factory=the_key)

    def answer(
        self,
        said: Answer,
        *,
        sign_assertion: bool = True,
        sign_response: bool = True,
        alter: Callable[[Any], Any] = list,
        algorithm: Any = xmlsec.Transform.RSA_SHA256,
        digest: Any = xmlsec.Transform.SHA256,
    ) -> str:
        """SAMLResponse of a response whose `alter`ed tree is then signed, the assertion first."""
        root = etree.fromstring(said.response())
        alter(root)
        if sign_assertion:
            sign(root.find("saml:Assertion", NAMES), self.key, algorithm=algorithm, digest=digest)
        if sign_response:
            sign(root, self.key, algorithm=algorithm, digest=digest)
        return encode(root)

    def encrypted(
        self,
        said: Answer,
        certificate: str,
        *,
        sign_assertion: bool = True,
        sign_response: bool = True,
        transport: Any = xmlsec.Transform.RSA_OAEP,
        alter: Callable[[Any], Any] = list,
    ) -> str:
        root = etree.fromstring(said.response())
        alter(root)
        if sign_assertion:
            sign(root.find("saml:Assertion", NAMES), self.key)
        encrypt(root, root.find("saml:Assertion", NAMES), certificate, transport=transport)
        if sign_response:
            sign(root, self.key)
        return encode(root)

    def metadata(self, *, keys: Iterable[str] | None = None, valid_until: str = "", sign_on: str = SIGN_ON) -> str:
        bodies = [self.key.body] if keys is None else keys
        descriptors = "".join(key_descriptor(body, "signing") for body in bodies)
        return metadata(descriptors, valid_until=valid_until, sign_on=sign_on)


def metadata(descriptors: str, *, valid_until: str = "", sign_on: str = SIGN_ON, entity_id: str = ENTITY_ID) -> str:
    limit = f' validUntil="{valid_until}"' if valid_until else ""
    endpoints = "".join(
        f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" Location="{escape(sign_on)}"/>'
        for binding in ("HTTP-Redirect", "HTTP-POST")
    )
    return (
        f'<md:EntityDescriptor xmlns:md="{NAMES["md"]}" xmlns:ds="{NAMES["ds"]}" entityID="{entity_id}"{limit}>'
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{NAMES["samlp"]}">{descriptors}'
        f'<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
        f' Location="https://idp.example/slo"/>{endpoints}</md:IDPSSODescriptor></md:EntityDescriptor>'
    )


def key_descriptor(body: str, use: str = "") -> str:
    kind = f' use="{use}"' if use else ""
    return (
        f"<md:KeyDescriptor{kind}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{body}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def sign(
    element: Any,
    key: Key,
    *,
    algorithm: Any = xmlsec.Transform.RSA_SHA256,
    digest: Any = xmlsec.Transform.SHA256,
    reference: str | None = None,
    prefix: str | None = "ds",
    inclusive: str = "",
) -> Any:
    """Put an enveloped signature behind the Issuer, with the certificate in its KeyInfo; gives the signature.

    `prefix` of its names, None for .NET's default namespace; `inclusive`: prefixes that OpenSAML keeps in the canonical form.
    """
    signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, algorithm, ns=prefix)
    element.find("saml:Issuer", NAMES).addnext(signature)
    uri = f"#{element.get('ID')}" if reference is None else reference
    ref = xmlsec.template.add_reference(signature, digest, uri=uri)
    xmlsec.template.add_transform(ref, xmlsec.Transform.ENVELOPED)
    canonical = xmlsec.template.add_transform(ref, xmlsec.Transform.EXCL_C14N)
    if inclusive:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(canonical, inclusive)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = _signing_key(key, algorithm)
    context.sign(signature)
    return signature


def encrypt(root: Any, assertion: Any, certificate: str, *, transport: Any = xmlsec.Transform.RSA_OAEP) -> None:
    """Put an EncryptedAssertion in the assertion's place."""
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM))
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.Transform.AES128, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    xmlsec.template.encrypted_data_ensure_cipher_value(xmlsec.template.add_encrypted_key(info, transport))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, 128, xmlsec.KeyDataType.SESSION)
    wrapper = etree.Element(f"{{{NAMES['saml']}}}EncryptedAssertion")
    assertion.addprevious(wrapper)
    wrapper.append(context.encrypt_xml(data, assertion))


def encode(root: Any) -> str:
    return base64.b64encode(root if isinstance(root, bytes) else etree.tostring(root)).decode()


def decode(encoded: str) -> Any:
    return etree.fromstring(base64.b64decode(encoded))


def _signing_key(key: Key, algorithm: Any) -> Any:
    if algorithm == xmlsec.Transform.HMAC_SHA256:
        return xmlsec.Key.from_binary_data(xmlsec.KeyData.HMAC, key.certificate.encode())
    loaded = xmlsec.Key.from_memory(key.private, xmlsec.KeyFormat.PEM)
    loaded.load_cert_from_memory(key.certificate, xmlsec.KeyFormat.PEM)
    return loaded


def _attributes(**values: str | None) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value is not None)


def _attribute(name: str, value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    inside = "".join(f"<saml:AttributeValue>{escape(item)}</saml:AttributeValue>" for item in values)
    return f"<saml:Attribute Name={quoteattr(name)}>{inside}</saml:Attribute>"
