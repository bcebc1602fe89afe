"""Logout messages of the scripted SAML identity provider, by redirect and by form."""

from __future__ import annotations

import base64
import re
import secrets
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from tests.support.upstreams.scripted_saml import ENTITY_ID, NAMES, SUCCESS, Key, encode, instant, sign

DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"


@dataclass(frozen=True)
class Leaving:
    """A LogoutRequest, or with `in_response_to` a LogoutResponse."""

    destination: str
    at: datetime
    name_id: str = "mary"
    indexes: tuple[str, ...] = ("index-1",)
    issuer: str = ENTITY_ID
    in_response_to: str = ""
    status: str = f'<samlp:StatusCode Value="{SUCCESS}"/>'
    not_on_or_after: datetime | None = None
    id: str = field(default_factory=lambda: f"_l{secrets.token_hex(16)}")

    @property
    def parameter(self) -> str:
        return "SAMLResponse" if self.in_response_to else "SAMLRequest"

    def xml(self) -> str:
        name = "LogoutResponse" if self.in_response_to else "LogoutRequest"
        more = f" InResponseTo={quoteattr(self.in_response_to)}" if self.in_response_to else ""
        if self.not_on_or_after:
            more += f" NotOnOrAfter={quoteattr(instant(self.not_on_or_after))}"
        inside = f"<samlp:Status>{self.status}</samlp:Status>" if self.in_response_to else self._whom()
        return (
            f'<samlp:{name} xmlns:samlp="{NAMES["samlp"]}" xmlns:saml="{NAMES["saml"]}" ID={quoteattr(self.id)}'
            f' Version="2.0" IssueInstant={quoteattr(instant(self.at))} Destination={quoteattr(self.destination)}{more}>'
            f"<saml:Issuer>{escape(self.issuer)}</saml:Issuer>{inside}</samlp:{name}>"
        )

    def _whom(self) -> str:
        indexes = "".join(f"<samlp:SessionIndex>{escape(index)}</samlp:SessionIndex>" for index in self.indexes)
        return f"<saml:NameID>{escape(self.name_id)}</saml:NameID>{indexes}"


def by_redirect(
    said: Leaving,
    key: Key | None,
    *,
    relay_state: str = "",
    algorithm: str = RSA_SHA256,
    lower_case: bool = False,
    sign_empty_state: bool = False,
    safe: str = "",
) -> str:
    """The query; without a key it is not signed. `lower_case`: escapes as .NET writes them (%2f). `safe`: what is not escaped."""

    def quoted(value: str | bytes) -> str:
        text = quote(value, safe=safe)
        return re.sub("%..", lambda escape: escape[0].lower(), text) if lower_case else text

    deflated = zlib.compress(said.xml().encode())[2:-4]
    query = f"{said.parameter}={quoted(base64.b64encode(deflated))}"
    if relay_state or sign_empty_state:
        query += f"&RelayState={quoted(relay_state)}"
    if key is None:
        return query
    query += f"&SigAlg={quoted(algorithm)}"
    return f"{query}&Signature={quoted(base64.b64encode(_signature(key, query, algorithm)))}"


def by_form(said: Leaving, key: Key | None, *, relay_state: str = "", algorithm: Any = None) -> str:
    """The body; without a key it is not signed."""
    root = etree.fromstring(said.xml())
    if key is not None:
        sign(root, key, algorithm=algorithm or xmlsec.Transform.RSA_SHA256)
    form = {said.parameter: encode(root), **({"RelayState": relay_state} if relay_state else {})}
    return urlencode(form)


def _signature(key: Key, query: str, algorithm: str) -> bytes:
    loaded = serialization.load_pem_private_key(key.private.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    digest = hashes.SHA1() if algorithm == RSA_SHA1 else hashes.SHA256()
    return loaded.sign(query.encode(), padding.PKCS1v15(), digest)
