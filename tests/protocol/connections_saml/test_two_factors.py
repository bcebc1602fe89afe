"""How a SAML identity provider is asked for two factors, and which of its words count as two (SAML core section 3.3.2.2.1)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from idp.connections.contract import SignInRequest, UpstreamUnmet
from idp.connections.saml.flow import SamlProtocol
from idp.connections.saml.options import read
from idp.protocol.assurance import MICROSOFT_MFA, REFEDS_MFA
from tests.protocol.connections_saml.conftest import ACS, Way
from tests.protocol.connections_saml.requests import request_of
from tests.support.upstreams.scripted_saml import NAMES, decode

STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"


def requested(way: Way, *, two_factors: bool = True) -> etree._Element:
    """Our request, which is valid by the schema."""
    wishes = SignInRequest(two_factors=two_factors, acr_values="2")
    departure = SamlProtocol().depart(way.connection, wishes, state="s", callback=ACS, at=way.at)
    if departure.fields:
        root = decode(dict(departure.fields)["SAMLRequest"])
    else:
        root = request_of(parse_qs(urlsplit(departure.url).query)["SAMLRequest"][0])
    assert not isinstance(OneLogin_Saml2_XML.validate_xml(root, "saml-schema-protocol-2.0.xsd"), str)
    return root


def contexts(way: Way, **how: bool) -> list[str]:
    found = requested(way, **how).findall("samlp:RequestedAuthnContext/saml:AuthnContextClassRef", NAMES)
    return [str(element.text) for element in found]


@pytest.mark.spec("SAML 2.0", "core 3.3.2.2.1", "SP9 One of the classes is reached, or there is no assertion")
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("binding", ["HTTP-Redirect", "HTTP-POST"])
def test_an_identity_provider_is_asked_for_one_of_its_classes(way: Way, signed: bool, binding: str) -> None:
    way.configure(
        trust_upstream_mfa=True,
        signSAMLRequest=signed,
        protocolBinding=f"urn:oasis:names:tc:SAML:2.0:bindings:{binding}",
    )
    assert contexts(way) == [REFEDS_MFA, MICROSOFT_MFA]
    assert requested(way).find("samlp:RequestedAuthnContext", NAMES).get("Comparison") == "exact"
    way.configure(mfa_acr_values=["urn:example:gold"])
    assert contexts(way) == ["urn:example:gold"]
    assert contexts(way, two_factors=False) == []


def test_one_that_is_not_trusted_is_not_asked(way: Way) -> None:
    assert contexts(way) == []


def test_adfs_is_asked_in_microsofts_words() -> None:
    assert read("adfs", {"adfs_server": "adfs.example", "protocol": "samlp"}).mfa_contexts == (MICROSOFT_MFA,)


@pytest.mark.parametrize(
    ("context", "several"), [("urn:example:gold", True), (REFEDS_MFA, True), (PASSWORD, False), ("", False)]
)
def test_what_it_was_asked_for_counts_when_it_comes_back(way: Way, context: str, several: bool) -> None:
    way.configure(trust_upstream_mfa=True, mfa_acr_values=["urn:example:gold"])
    assert way.arrive(way.idp.answer(way.says(context=context))).has_proved_several is several


def test_one_that_knows_none_of_the_classes_cannot(way: Way) -> None:
    inner = f'<samlp:StatusCode Value="{STATUS}NoAuthnContext"/>'
    said = way.says(status=f'<samlp:StatusCode Value="{STATUS}Responder">{inner}</samlp:StatusCode>')
    with pytest.raises(UpstreamUnmet) as caught:
        way.arrive(way.idp.answer(said))
    assert caught.value.error == "unmet_authentication_requirements"
