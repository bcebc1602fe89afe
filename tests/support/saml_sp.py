"""A service provider of python3-saml, which people run in production, driven as a view would: what it writes and what it believes."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from django.conf import settings
from django.test import Client
from django.utils import timezone
from lxml import etree
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser

from idp.models import Application
from tests.support.factories import make_application
from tests.support.upstreams.scripted_saml import NAMES, Key, decode, encode, instant, sign, the_key

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


@dataclass
class ServiceProvider:
    """At https://{name}.example; `key` signs what it says."""

    name: str = "wiki"
    key: Key = field(default_factory=lambda: the_key("sp.example"))
    signs: bool = True
    soap: str = ""
    changes: dict[str, Any] = field(default_factory=dict)  # of its own settings

    @property
    def entity_id(self) -> str:
        return f"https://{self.name}.example/saml/metadata"

    @property
    def acs(self) -> str:
        return f"https://{self.name}.example/saml/acs"

    @property
    def slo(self) -> str:
        return f"https://{self.name}.example/saml/slo"

    def register(self, **saml: Any) -> Application:
        """At us, as an administrator would."""
        logout = {"url": self.slo, **({"soap": self.soap} if self.soap else {})}
        given = {"audience": self.entity_id, "signingCert": self.key.certificate, "logout": logout, **saml}
        return make_application(
            self.name.title(),
            client_id=f"{self.name}-client",
            redirect_uris=self.acs,
            grant_types=[],
            saml={name: value for name, value in given.items() if value is not None},
        )

    def knows(self, application: Application) -> None:
        """It reads our metadata."""
        document = Client().get(f"/samlp/metadata/{application.client_id}").content
        self.idp = OneLogin_Saml2_IdPMetadataParser.parse(document)["idp"]

    def auth(self, path: str = "/saml/acs", query: str = "", **posted: str) -> OneLogin_Saml2_Auth:
        request = {
            "https": "on",
            "http_host": f"{self.name}.example",
            "script_name": path,
            "get_data": dict(parse_qsl(query)),
            "post_data": posted,
            "query_string": query,
        }
        settings = {
            "strict": True,
            "sp": {
                "entityId": self.entity_id,
                "assertionConsumerService": {"url": self.acs},
                "singleLogoutService": {"url": self.slo, "binding": REDIRECT},
                "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
                "x509cert": self.key.certificate,
                "privateKey": self.key.private,
                **self.changes.get("sp", {}),
            },
            "idp": self.idp,
            "security": {
                "authnRequestsSigned": self.signs,
                "logoutRequestSigned": True,
                "logoutResponseSigned": True,
                "wantAssertionsSigned": True,
                "requestedAuthnContext": False,
                "rejectDeprecatedAlgorithm": True,
                **self.changes.get("security", {}),
            },
        }
        return OneLogin_Saml2_Auth(request, old_settings=settings)

    def says(self, application: Application, **changes: Any) -> Request:
        """An honest request, but for `changes`."""
        honest = Request(f"{settings.ISSUER}samlp/{application.client_id}", self.entity_id, timezone.now())
        return replace(honest, **changes)

    def asks(self, relay_state: str = "/wiki/Home", **how: Any) -> str:
        """The address that it redirects to, as a path of ours."""
        auth = self.auth()
        url = auth.login(return_to=relay_state, **how)
        self.request_id = auth.get_last_request_id()
        return path_of(url)

    def takes(self, response: Any) -> OneLogin_Saml2_Auth:
        """Somebody's browser posts what our page holds; everything that python3-saml checks must be right."""
        form = Form.of(response)
        assert form.action == self.acs
        auth = self.auth(**form.fields)
        auth.process_response(request_id=self.request_id)
        assert auth.get_errors() == [], auth.get_last_error_reason()
        assert auth.is_authenticated()
        return auth


@dataclass(frozen=True)
class Request:
    """An AuthnRequest of ours, spelt out: `replace()` it to say something else."""

    destination: str
    issuer: str
    at: datetime
    id: str = field(default_factory=lambda: f"_{secrets.token_hex(16)}")
    more: str = ""  # attributes
    inside: str = ""  # elements

    def xml(self) -> str:
        return (
            f'<samlp:AuthnRequest xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID="{self.id}" Version="2.0"'
            f' IssueInstant="{instant(self.at)}" Destination="{self.destination}" {self.more}>'
            f"<saml:Issuer>{self.issuer}</saml:Issuer>{self.inside}</samlp:AuthnRequest>"
        )

    def form(self, key: Key | None, **how: Any) -> dict[str, str]:
        """By HTTP-POST."""
        root = etree.fromstring(self.xml())
        if key:
            sign(root, key, **how)
        return {"SAMLRequest": encode(root)}

    def query(self, key: Key | None, relay_state: str = "", *, document: bytes = b"") -> str:
        """By HTTP-Redirect."""
        return redirect_query("SAMLRequest", document or self.xml().encode(), key, relay_state)


def redirect_query(name: str, message: bytes, key: Key | None, relay_state: str = "") -> str:
    deflated = zlib.compress(message, 9)[2:-4]
    query = f"{name}={quote(base64.b64encode(deflated), safe='')}"
    if relay_state:
        query += f"&RelayState={quote(relay_state, safe='')}"
    if key:
        query += f"&SigAlg={quote(RSA_SHA256, safe='')}"
        signature = serialization.load_pem_private_key(key.private.encode(), None).sign(  # type: ignore[union-attr, call-arg]
            query.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        query += f"&Signature={quote(base64.b64encode(signature), safe='')}"
    return query


@dataclass(frozen=True)
class Form:
    """The form of a page that posts itself."""

    action: str
    fields: dict[str, str]

    @classmethod
    def of(cls, response: Any) -> Form:
        assert response.status_code == 200, (response.status_code, response.content.decode()[-2000:])
        page = response.content.decode()
        action = re.search(r'<form method="post" action="([^"]*)"', page)
        assert action, page
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
        return cls(unescape(action[1]), {unescape(name): unescape(value) for name, value in fields})


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def status_of(form: Form) -> list[str]:
    """The codes of a response, outermost first, without what all begin with."""
    found = decode(form.fields["SAMLResponse"]).iterfind(".//samlp:StatusCode", NAMES)
    return [code.get("Value").rpartition(":")[2] for code in found]
