"""Responses in the shapes that well-known identity providers really send: prefixes, order, attributes, and what they sign.

The shapes are those of responses in their documentation and in reports of people who integrated them; each function names them.
Only names, times and keys are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import xmlsec
from lxml import etree

from tests.support.upstreams.scripted_saml import NAMES, Answer, Key, encode, instant, sign

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/"


def entra(said: Answer) -> str:
    """learn.microsoft.com/entra/identity-platform/single-sign-on-saml-protocol, `Response`; MicrosoftDocs/azure-docs issue 45071.

    Default namespaces, AttributeStatement before AuthnStatement, group object ids, valid for an hour.
    """
    return _microsoft(
        said,
        attributes={
            MICROSOFT + "identity/claims/tenantid": ["7f5fda7c-4f1e-4f4c-9d4f-2f6b4d6e1a11"],
            MICROSOFT + "identity/claims/objectidentifier": ["3f0b2a6e-8a5e-4d0d-9a3b-6c7a9f1f2b33"],
            MICROSOFT + "identity/claims/displayname": ["Mary Major"],
            MICROSOFT + "identity/claims/identityprovider": ["https://sts.windows.net/7f5fda7c/"],
            MICROSOFT + "claims/authnmethodsreferences": [
                "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password",
                "http://schemas.microsoft.com/claims/multipleauthn",
            ],
            MICROSOFT + "ws/2008/06/identity/claims/groups": [
                "0b2e9a40-5d3a-4e0c-8a8b-0a9c8b7d6e5f",
                "1c3f0b51-6e4b-4f1d-9b9c-1b0d9c8e7f60",
            ],
            CLAIMS + "givenname": ["Mary"],
            CLAIMS + "surname": ["Major"],
            CLAIMS + "emailaddress": ["mary@fabrikamcorp.com"],
            CLAIMS + "name": ["mary@fabrikamcorp.com"],
        },
        name_id_format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    )


def adfs(said: Answer) -> str:
    """SAML-Toolkits/php-saml issue 374, SAML-Toolkits/python-saml issue 180: Consent, and claims that the trust's rules issue."""
    return _microsoft(
        said,
        attributes={
            CLAIMS + "emailaddress": ["mary@fabrikamcorp.com"],
            CLAIMS + "upn": ["mary@fabrikamcorp.local"],
            "http://schemas.xmlsoap.org/claims/Group": ["Timesheets", "Domain Users"],
        },
        name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified",
        consent=' Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified"',
    )


def google(said: Answer) -> str:
    """node-saml/node-saml issue 378, goauthentik/authentik issue 12035: prefixes saml2p and saml2, `standalone`."""
    return _open_saml(said, 'Name="groups"', issuer_format="", declaration=True)


def okta(said: Answer) -> str:
    """directus/docs issue 303: an Issuer with Format, which SAML profiles section 4.1.4.2 allows; typed values with the prefix xs."""
    form = ' Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity"'
    basic = 'Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"'
    return _open_saml(said, basic, issuer_format=form, declaration=False)


def signed(
    written: str, key: Key, *, response: bool, assertion: bool, prefix: str | None = "ds", inclusive: str = ""
) -> str:
    """SAMLResponse, signed as that provider does."""
    root = etree.fromstring(written.encode())
    if assertion:
        sign(root.find("saml:Assertion", NAMES), key, prefix=prefix, inclusive=inclusive)
    if response:
        sign(root, key, prefix=prefix, inclusive=inclusive)
    return encode(etree.tostring(root, xml_declaration=written.startswith("<?xml"), encoding="UTF-8"))


def encrypted_by_adfs(written: str, key: Key, certificate: str) -> str:
    """python-saml issue 180: the assertion signed, then encrypted by AES-256-CBC; the response around it is not signed."""
    root = etree.fromstring(written.encode())
    assertion = root.find("saml:Assertion", NAMES)
    sign(assertion, key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM))
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.Transform.AES256, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    wrapped = xmlsec.template.add_encrypted_key(info, xmlsec.Transform.RSA_OAEP)
    xmlsec.template.encrypted_data_ensure_cipher_value(wrapped)
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, 256, xmlsec.KeyDataType.SESSION)
    wrapper = etree.Element(f"{{{NAMES['saml']}}}EncryptedAssertion", nsmap={None: NAMES["saml"]})
    assertion.addprevious(wrapper)
    wrapper.append(context.encrypt_xml(data, assertion))
    return encode(root)


Shape = Callable[[Answer], str]


def _microsoft(said: Answer, *, attributes: dict[str, list[str]], name_id_format: str, consent: str = "") -> str:
    statement = "".join(
        f'<Attribute Name="{name}">{"".join(f"<AttributeValue>{v}</AttributeValue>" for v in values)}</Attribute>'
        for name, values in attributes.items()
    )
    return (
        f'<samlp:Response ID="{said.response_id}" Version="2.0" IssueInstant="{_ticks(said.at)}"'
        f' Destination="{said.acs}"{consent} InResponseTo="{said.in_response_to}" xmlns:samlp="{NAMES["samlp"]}">'
        f'<Issuer xmlns="{NAMES["saml"]}">{said.issuer}</Issuer>'
        f'<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/></samlp:Status>'
        f'<Assertion ID="{said.assertion_id}" IssueInstant="{_ticks(said.at)}" Version="2.0" xmlns="{NAMES["saml"]}">'
        f"<Issuer>{said.issuer}</Issuer>"
        f'<Subject><NameID Format="{name_id_format}">{said.name_id}</NameID>'
        '<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<SubjectConfirmationData InResponseTo="{said.in_response_to}" NotOnOrAfter="{_ticks(said.at + HOUR)}"'
        f' Recipient="{said.acs}"/></SubjectConfirmation></Subject>'
        f'<Conditions NotBefore="{_ticks(said.at - FIVE_MINUTES)}" NotOnOrAfter="{_ticks(said.at + HOUR)}">'
        f"<AudienceRestriction><Audience>{said.audience}</Audience></AudienceRestriction></Conditions>"
        f"<AttributeStatement>{statement}</AttributeStatement>"
        f'<AuthnStatement AuthnInstant="{_ticks(said.at - FIVE_MINUTES)}" SessionIndex="{said.session_index}">'
        "<AuthnContext><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</AuthnContextClassRef>"
        "</AuthnContext></AuthnStatement></Assertion></samlp:Response>"
    )


def _open_saml(said: Answer, groups: str, *, issuer_format: str, declaration: bool) -> str:
    def value(text: str) -> str:
        return (
            '<saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema"'
            f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">{text}</saml2:AttributeValue>'
        )

    head = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>' if declaration else ""
    return head + (
        f'<saml2p:Response xmlns:saml2p="{NAMES["samlp"]}" Destination="{said.acs}" ID="{said.response_id}"'
        f' InResponseTo="{said.in_response_to}" IssueInstant="{instant(said.at)}" Version="2.0">'
        f'<saml2:Issuer xmlns:saml2="{NAMES["saml"]}"{issuer_format}>{said.issuer}</saml2:Issuer>'
        f'<saml2p:Status><saml2p:StatusCode Value="{SUCCESS}"/></saml2p:Status>'
        f'<saml2:Assertion xmlns:saml2="{NAMES["saml"]}" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
        f' ID="{said.assertion_id}" IssueInstant="{instant(said.at)}" Version="2.0">'
        f"<saml2:Issuer{issuer_format}>{said.issuer}</saml2:Issuer>"
        '<saml2:Subject><saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">'
        f"{said.name_id}</saml2:NameID>"
        '<saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<saml2:SubjectConfirmationData InResponseTo="{said.in_response_to}"'
        f' NotOnOrAfter="{instant(said.at + FIVE_MINUTES)}" Recipient="{said.acs}"/></saml2:SubjectConfirmation>'
        "</saml2:Subject>"
        f'<saml2:Conditions NotBefore="{instant(said.at - FIVE_MINUTES)}"'
        f' NotOnOrAfter="{instant(said.at + FIVE_MINUTES)}"><saml2:AudienceRestriction>'
        f"<saml2:Audience>{said.audience}</saml2:Audience></saml2:AudienceRestriction></saml2:Conditions>"
        f"<saml2:AttributeStatement><saml2:Attribute {groups}>{value('Staff')}{value('Timesheets')}</saml2:Attribute>"
        "</saml2:AttributeStatement>"
        f'<saml2:AuthnStatement AuthnInstant="{instant(said.at)}" SessionIndex="{said.session_index}">'
        "<saml2:AuthnContext><saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"
        "</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement></saml2:Assertion></saml2p:Response>"
    )


HOUR, FIVE_MINUTES = timedelta(hours=1), timedelta(minutes=5)


def _ticks(at: datetime) -> str:
    """As .NET writes a time: seven digits of a second."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


PEERS: dict[str, tuple[Shape, dict[str, Any]]] = {
    "Entra": (entra, {"assertion": True, "response": False, "prefix": None}),
    "Entra, Sign SAML response": (entra, {"assertion": False, "response": True, "prefix": None}),
    "Entra, Sign SAML response and assertion": (entra, {"assertion": True, "response": True, "prefix": None}),
    "ADFS": (adfs, {"assertion": True, "response": False}),
    "ADFS, MessageAndAssertion": (adfs, {"assertion": True, "response": True}),
    "ADFS, MessageOnly": (adfs, {"assertion": False, "response": True}),
    "Google": (google, {"assertion": True, "response": False}),
    "Google, Signed response": (google, {"assertion": False, "response": True}),
    "OneLogin, Assertion": (okta, {"assertion": True, "response": False}),
    "Okta": (okta, {"assertion": True, "response": True, "inclusive": "xs"}),
}
