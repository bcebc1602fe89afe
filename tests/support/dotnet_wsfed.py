"""A client of WS-Federation as ASP.NET Core has it: what it sends, and what it checks of the answer.

Written from WsFederationHandler of Microsoft.AspNetCore.Authentication.WsFederation (dotnet/aspnetcore), and of
azure-activedirectory-identitymodel-extensions-for-dotnet: WsFederationMetadataSerializer (ReadEntityDescriptor),
WsFederationMessage (GetTokenUsingXmlReader), SamlSerializer (ReadAssertion), SamlSecurityTokenHandler and Saml2SecurityTokenHandler
(ValidateToken).
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import xmlsec as library
from lxml import etree

xmlsec: Any = library
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
FED = "http://docs.oasis-open.org/wsfed/federation/200706"
WSA = "http://www.w3.org/2005/08/addressing"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
TRUST = "http://schemas.xmlsoap.org/ws/2005/02/trust"
SAML1, SAML2 = "urn:oasis:names:tc:SAML:1.0:assertion", "urn:oasis:names:tc:SAML:2.0:assertion"
SKEW = timedelta(minutes=5)  # TokenValidationParameters.DefaultClockSkew
NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
AUTHENTICATION_METHOD = "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationmethod"


@dataclass
class DotNetClient:
    """`wtrealm` and `wreply` are its options; `issuer`, `keys` and `endpoint` what it read in our metadata."""

    wtrealm: str
    wreply: str
    issuer: str = ""
    endpoint: str = ""
    keys: list[bytes] = field(default_factory=list)
    state: str = ""

    def reads(self, metadata: bytes) -> None:
        root = _parsed(metadata)
        assert root.tag == f"{{{MD}}}EntityDescriptor"
        self.issuer = root.get("entityID")
        for role in root.findall(f"{{{MD}}}RoleDescriptor"):
            prefix, _, kind = role.get(f"{{{XSI}}}type").partition(":")
            if (role.nsmap[prefix], kind) != (FED, "SecurityTokenServiceType"):
                continue
            self.keys = [_der(node.text) for node in role.iterfind(f"{{{MD}}}KeyDescriptor//{{{DS}}}X509Certificate")]
            # PassiveRequestorEndpoint / EndpointReference / Address, each the first of its parent
            address = role.find(f"{{{FED}}}PassiveRequestorEndpoint")[0][0]
            assert address.tag == f"{{{WSA}}}Address"
            self.endpoint = address.text.strip(" \n")

    def challenge(self, **more: str) -> str:
        """HandleChallengeAsync: the state is escaped before it is put into the address, where it is escaped again."""
        self.state = quote(f"CfDJ8 {secrets.token_urlsafe(600)}=", safe="")
        sent = {"wtrealm": self.wtrealm, "wa": "wsignin1.0", "wreply": self.wreply, "wctx": self.state, **more}
        return f"{self.endpoint}?{urlencode(sent, quote_via=quote)}"

    def sign_out(self, wreply: str = "") -> str:
        """SignOutAsync."""
        sent = {"wtrealm": self.wtrealm, "wa": "wsignout1.0", "wreply": wreply or self.wreply}
        return f"{self.endpoint}?{urlencode(sent, quote_via=quote)}"

    def takes(self, form: dict[str, str], at: datetime) -> dict[str, list[str]]:
        """HandleRemoteAuthenticateAsync: the claims of the principal. Fails as it would throw."""
        assert form["wa"] == "wsignin1.0"
        assert form.get("wctx") == self.state, "Unsolicited logins are not allowed."
        token = _token(form["wresult"])
        is_saml1 = token.tag == f"{{{SAML1}}}Assertion"
        self._check_signature(token, "AssertionID" if is_saml1 else "ID")
        return self._saml1(token, at) if is_saml1 else self._saml2(token, at)

    def _check_signature(self, token: Any, id_name: str) -> None:
        [signature] = token.findall(f"{{{DS}}}Signature")
        [reference] = signature.iter(f"{{{DS}}}Reference")
        assert reference.get("URI") == f"#{token.get(id_name)}"
        xmlsec.tree.add_ids(token, [id_name])
        for key in self.keys:
            context = xmlsec.SignatureContext()
            context.key = xmlsec.Key.from_memory(key, xmlsec.KeyFormat.CERT_DER)
            try:
                context.verify(signature)
            except xmlsec.Error:
                continue
            return
        raise AssertionError("SecurityTokenSignatureKeyNotFoundException")

    def _saml1(self, token: Any, at: datetime) -> dict[str, list[str]]:
        assert (token.get("MajorVersion"), token.get("MinorVersion")) == ("1", "1")
        assert token.get("AssertionID")[0] == "_"
        assert token.get("Issuer") == self.issuer
        conditions = token[0]
        assert conditions.tag == f"{{{SAML1}}}Conditions"
        _check_lifetime(conditions, at)
        audiences = [node.text for node in conditions.iterfind(f"{{{SAML1}}}AudienceRestrictionCondition/*")]
        assert self.wtrealm in audiences
        statements = [node for node in token[1:] if node.tag != f"{{{DS}}}Signature"]
        assert statements
        claims: dict[str, list[str]] = {}
        for statement in statements:
            subject = statement.find(f"{{{SAML1}}}Subject")  # ProcessSubject
            claims[NAME_IDENTIFIER] = [subject.findtext(f"{{{SAML1}}}NameIdentifier")]
            if statement.tag == f"{{{SAML1}}}AuthenticationStatement":
                claims[AUTHENTICATION_METHOD] = [statement.get("AuthenticationMethod")]
            for attribute in statement.iterfind(f"{{{SAML1}}}Attribute"):
                assert attribute.get("AttributeName")
                assert attribute.get("AttributeNamespace")
                name = f"{attribute.get('AttributeNamespace')}/{attribute.get('AttributeName')}"
                claims[name] = [value.text for value in attribute.iterfind(f"{{{SAML1}}}AttributeValue")]
        return claims

    def _saml2(self, token: Any, at: datetime) -> dict[str, list[str]]:
        assert token.get("Version") == "2.0"
        assert token.findtext(f"{{{SAML2}}}Issuer") == self.issuer
        conditions = token.find(f"{{{SAML2}}}Conditions")
        _check_lifetime(conditions, at)
        assert self.wtrealm in [node.text for node in conditions.iterfind(f"{{{SAML2}}}AudienceRestriction/*")]
        name_id = token.findtext(f"{{{SAML2}}}Subject/{{{SAML2}}}NameID")
        claims: dict[str, list[str]] = {NAME_IDENTIFIER: [name_id]}
        for attribute in token.iterfind(f"{{{SAML2}}}AttributeStatement/{{{SAML2}}}Attribute"):
            claims[attribute.get("Name")] = [value.text for value in attribute]
        return claims


def _check_lifetime(conditions: Any, at: datetime) -> None:
    begins, ends = (datetime.fromisoformat(conditions.get(name)) for name in ("NotBefore", "NotOnOrAfter"))
    assert begins - SKEW <= at.astimezone(UTC) < ends + SKEW


def _token(wresult: str) -> Any:
    root = _parsed(wresult.encode())
    assert root.tag == f"{{{TRUST}}}RequestSecurityTokenResponse"
    [requested] = root.findall(f"{{{TRUST}}}RequestedSecurityToken")
    # It is written apart from what is around it before it is read.
    return _parsed(etree.tostring(requested[0], with_tail=False))


def _parsed(document: bytes) -> Any:
    return etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def _der(text: str) -> bytes:

    return base64.b64decode(text)
