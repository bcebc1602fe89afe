"""Authentication requests: what they say and how they travel."""

from __future__ import annotations

import base64
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.connections.contract import Departure, SignInRequest, UpstreamFault
from idp.connections.saml.flow import SamlProtocol
from idp.saml.own_key import own_key
from tests.protocol.connections_saml.conftest import ACS, Way
from tests.protocol.connections_saml.requests import check_query, request_of
from tests.support.upstreams.scripted_saml import NAMES, SIGN_ON

POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def _depart(way: Way, wishes: SignInRequest | None = None) -> Departure:
    return SamlProtocol().depart(way.connection, wishes or SignInRequest(), state="the-state", callback=ACS, at=way.at)


@pytest.mark.spec(
    "SAML 2.0", "bindings 3.4.4", "SP8 A request by redirect is deflated, encoded and followed by RelayState"
)
def test_a_request_by_redirect(way: Way) -> None:
    departure = _depart(way)
    parameters = parse_qs(urlsplit(departure.url).query)
    root = request_of(parameters["SAMLRequest"][0])
    assert departure.url.startswith(f"{SIGN_ON}?SAMLRequest=")
    assert departure.fields == ()
    assert parameters["RelayState"] == ["the-state"]
    assert "Signature" not in parameters
    assert root.get("ID") == departure.flow_data["request_id"]
    assert root.get("Destination") == SIGN_ON
    assert root.get("AssertionConsumerServiceURL") == ACS
    assert root.get("ProtocolBinding") == POST
    assert root.get("ForceAuthn") is None
    assert datetime.fromisoformat(root.get("IssueInstant")) == way.at.replace(microsecond=0)
    assert root.findtext("saml:Issuer", namespaces=NAMES) == "http://localhost:8000/samlp/Acme/metadata"


@pytest.mark.spec("SAML 2.0", "bindings 3.4.4.1", "SP5 The signature is over the query as it travels")
def test_a_signed_request_by_redirect(way: Way) -> None:
    way.configure(signSAMLRequest=True)
    url = _depart(way).url
    certificate = own_key(way.at).certificate_pem
    check_query(url, certificate)
    with pytest.raises(InvalidSignature):
        check_query(url.replace("the-state", "another"), certificate)


def test_an_identity_provider_that_wants_signed_requests_gets_them(way: Way) -> None:
    wanting = way.idp.metadata().replace("<md:IDPSSODescriptor", '<md:IDPSSODescriptor WantAuthnRequestsSigned="true"')
    way.configure(metadataXml=wanting)
    check_query(_depart(way).url, own_key(way.at).certificate_pem)


@pytest.mark.spec("SAML 2.0", "bindings 3.5.4", "SP6 A request by form is encoded, its signature inside of it")
def test_a_request_by_form(way: Way) -> None:
    way.configure(protocolBinding=POST)
    departure = _depart(way)
    fields = dict(departure.fields)
    assert departure.url == SIGN_ON
    assert fields["RelayState"] == "the-state"
    assert etree.fromstring(base64.b64decode(fields["SAMLRequest"])).get("ID") == departure.flow_data["request_id"]
    way.configure(signSAMLRequest=True)
    signed = base64.b64decode(dict(_depart(way).fields)["SAMLRequest"])
    xpath = "/samlp:AuthnRequest/ds:Signature"
    assert OneLogin_Saml2_Utils.validate_sign(signed, cert=own_key(way.at).certificate_pem, xpath=xpath)


def test_a_forced_sign_in_is_asked_for(way: Way) -> None:
    root = request_of(parse_qs(urlsplit(_depart(way, SignInRequest(force=True)).url).query)["SAMLRequest"][0])
    assert root.get("ForceAuthn") == "true"


def test_every_request_has_an_id_of_its_own(way: Way) -> None:
    assert _depart(way).flow_data["request_id"] != _depart(way).flow_data["request_id"]


def test_an_endpoint_with_a_query_keeps_it(way: Way) -> None:
    way.configure(metadataXml=way.idp.metadata(sign_on="https://idp.example/sso?idpid=C0&x='"))
    departure = _depart(way)
    assert departure.url.startswith("https://idp.example/sso?idpid=C0&x='&SAMLRequest=")
    root = request_of(parse_qs(urlsplit(departure.url).query)["SAMLRequest"][0])
    assert root.get("Destination") == "https://idp.example/sso?idpid=C0&x='"


def test_an_explicit_endpoint_wins_over_metadata(way: Way) -> None:
    way.configure(signInEndpoint="https://other.example/sso")
    assert _depart(way).url.startswith("https://other.example/sso?")


def test_a_connection_without_configuration_is_a_fault(way: Way) -> None:
    way.connection.options = {}
    with pytest.raises(UpstreamFault, match="not configured"):
        _depart(way)
