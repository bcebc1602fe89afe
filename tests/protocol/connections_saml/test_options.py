"""What an administrator may say about a SAML identity provider, and what a metadata document must be like."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any
from xml.sax.saxutils import escape

import pytest
from django.utils import timezone

from idp.connections.contract import SignInRequest, UpstreamFault
from idp.connections.saml import idp_metadata, options
from idp.connections.saml.certificates import signing_certificates, signing_keys
from idp.connections.saml.flow import SamlProtocol
from idp.connections.saml.idp_metadata import BadMetadata
from tests.protocol.connections_saml.conftest import ACS, Way
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_saml import ScriptedIdp, key_descriptor, make_key, metadata, the_key

MANUAL = {"signInEndpoint": "https://idp.example/sso", "signingCert": the_key().certificate}


@pytest.mark.once
@pytest.mark.parametrize(
    "certificate",
    [
        the_key().certificate,
        the_key().body,
        the_key().certificate + the_key("next.idp.example").certificate,
        [the_key().certificate, the_key("next.idp.example").body],
        b64encode(the_key().certificate.encode()).decode(),
    ],
    ids=["PEM", "Base64", "two in one text", "a list", "PEM in Base64, as Auth0 keeps it"],
)
def test_certificates_may_be_written_in_many_ways(certificate: Any) -> None:
    given = {"signInEndpoint": "https://idp.example/sso", "signingCert": certificate}
    assert options.problems("samlp", given) == []
    read = options.read("samlp", given)
    assert read.signing_certificates[0].subject == "CN=idp.example"


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"signInEndpoint": ""}, "metadataUrl"),
        ({"signingCert": ""}, "signingCert"),
        ({"signingCert": "no certificate"}, "signingCert"),
        ({"signingCert": "TUlJQw=="}, "signingCert"),
        ({"signingCert": 7}, "signingCert"),
        ({"signInEndpoint": "http://idp.example/sso"}, "signInEndpoint"),
        ({"signInEndpoint": "javascript:alert(1)"}, "signInEndpoint"),
        ({"signOutEndpoint": "nowhere"}, "signOutEndpoint"),
        ({"metadataUrl": "http://10.0.0.1/metadata"}, "metadataUrl"),
        ({"metadataUrl": "file:///etc/passwd"}, "metadataUrl"),
        ({"metadataXml": "<html/>"}, "metadataXml"),
        ({"metadataXml": "not XML"}, "metadataXml"),
        ({"signatureAlgorithm": "rsa-sha1"}, "signatureAlgorithm"),
        ({"digestAlgorithm": "sha1"}, "digestAlgorithm"),
        ({"protocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"}, "protocolBinding"),
        ({"signSAMLRequest": "yes"}, "signSAMLRequest"),
        ({"fieldsMap": ["email"]}, "fieldsMap"),
        ({"fieldsMap": {"email": 7}}, "fieldsMap.email"),
        ({"idpinitiated": {"enabled": True}}, "idpinitiated.client_id"),
        ({"idpinitiated": "yes"}, "idpinitiated"),
        ({"entityId": "x" * 2000}, "entityId"),
    ],
)
def test_what_is_wrong_is_said_with_its_option(changes: dict[str, Any], option: str) -> None:
    problems = options.problems("samlp", {**MANUAL, **changes})
    assert len(problems) == 1
    assert problems[0].startswith(f"{option}: ")


@pytest.mark.once
def test_a_weak_key_is_refused() -> None:
    problems = options.problems("samlp", {**MANUAL, "signingCert": make_key(bits=1024).certificate})
    assert problems == ["signingCert: has an RSA key of 1024 bits; 2048 is the least."]


@pytest.mark.once
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (metadata(""), "no certificate"),
        (metadata(key_descriptor(the_key().body, "encryption")), "no certificate"),
        (metadata(key_descriptor("TUlJQw==")), "not an X.509 certificate"),
        (metadata(key_descriptor(the_key().body), sign_on="").replace('Location=""', ""), "no sign-in endpoint"),
        (metadata(key_descriptor(the_key().body), entity_id=""), "no usable entityID"),
        (metadata(key_descriptor(the_key().body)).replace("IDPSSODescriptor", "SPSSODescriptor"), "identity provider"),
        (
            f'<x xmlns="urn:x">{metadata(key_descriptor(the_key().body))}{metadata(key_descriptor(the_key().body))}</x>',
            "describes 2 entities",
        ),
        ("<x/>", "describes 0 entities"),
        (f"<!DOCTYPE x []>{metadata(key_descriptor(the_key().body))}", "document type"),
        ("<x", "not well-formed"),
        ("x" * 1_000_001, "longer than"),
    ],
)
@pytest.mark.spec("SAML 2.0", "metadata 2.4", "SP4 Metadata of which nothing could be checked are refused")
def test_metadata_without_a_usable_key_are_refused(document: str, reason: str) -> None:
    """Signature checking cannot be imported away."""
    with pytest.raises(BadMetadata, match=reason):
        idp_metadata.read(document.encode())


@pytest.mark.once
def test_a_key_without_use_serves_signing() -> None:
    """SAML metadata section 2.4.1.1."""
    document = metadata(key_descriptor(the_key().body) + key_descriptor(the_key("sealing").body, "encryption"))
    assert [c.subject for c in idp_metadata.read(document.encode()).certificates] == ["CN=idp.example"]


@pytest.mark.once
def test_comments_in_metadata_do_no_harm() -> None:
    document = metadata(key_descriptor(the_key().body)).replace("<md:IDPSSO", "<!-- ours --><md:IDPSSO", 1)
    assert idp_metadata.read(document.encode()).entity_id == "https://idp.example/metadata"


def test_metadata_that_ran_out_are_not_used(way: Way) -> None:
    way.configure(metadataXml=way.idp.metadata(valid_until="2020-01-01T00:00:00Z"))
    assert options.problems("samlp", way.connection.options) == [
        "metadataXml: the document was valid until 01 January 2020 only."
    ]
    assert "was valid until" in way.refused(way.idp.answer(way.says()))
    with pytest.raises(UpstreamFault):
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)


def test_metadata_of_somebody_else_are_not_used(way: Way) -> None:
    way.configure(idpEntityId="https://other.example/metadata")
    assert "idpEntityId" in way.refused(way.idp.answer(way.says()))


def test_revocation_requests_are_checked_with_the_keys_that_are_valid_now(way: Way) -> None:
    """Neither a certificate that was taken away nor one that ran out."""
    old = make_key("old.idp.example", not_after=timezone.now() - timedelta(hours=1))
    way.configure(metadataXml=way.idp.metadata(keys=[way.idp.key.body, old.body]))
    assert [c.subject for c in signing_certificates(way.connection, way.at)] == ["CN=idp.example", "CN=old.idp.example"]
    assert len(signing_keys(way.connection, way.at)) == 1
    way.configure(metadataXml=ScriptedIdp(the_key("next.idp.example")).metadata())
    assert [c.subject for c in signing_certificates(way.connection, way.at)] == ["CN=next.idp.example"]


class TestAdfs:
    def _options(self, **more: Any) -> dict[str, Any]:
        return {"protocol": "samlp", "fedMetadataXml": ScriptedIdp().metadata(), **more}

    @pytest.mark.once
    def test_thumbprints_alone_check_nothing(self) -> None:
        """The certificate would have to come from the message."""
        given = {"protocol": "samlp", "signInEndpoint": "https://fs.example/adfs/ls/", "thumbprints": ["AB" * 20]}
        assert options.problems("adfs", given)[0].startswith("adfs_server: ")

    @pytest.mark.once
    @pytest.mark.parametrize("server", ["fs.example", "https://fs.example", "https://fs.example/"])
    def test_a_server_publishes_its_metadata_at_a_known_place(self, server: str) -> None:
        found = options.read("adfs", {"protocol": "samlp", "adfs_server": server})
        assert found.metadata_url == "https://fs.example/FederationMetadata/2007-06/FederationMetadata.xml"

    def test_thumbprints_choose_among_certificates(self, way: Way) -> None:
        mine = signing_certificates(way.connection, way.at)[0].thumbprint
        way.connection = make_connection("Fabrikam", "adfs", options=self._options(thumbprints=[mine.lower()]))
        assert len(signing_keys(way.connection, way.at)) == 1
        way.configure(thumbprints=["AB" * 20])
        with pytest.raises(UpstreamFault, match="thumbprints"):
            signing_keys(way.connection, way.at)


@pytest.mark.once
@pytest.mark.parametrize(
    "endpoint",
    [
        "javascript:alert(1)",
        "javascript://x javascript: ;script-src-elem 'unsafe-inline'/%0Aalert(1)",
        "https://idp.example;script-src-elem *",
        "http://idp.example/sso",
        "/sso",
    ],
)
def test_metadata_lead_browsers_to_web_addresses_only(endpoint: str) -> None:
    """An endpoint becomes the action of a form on a page of ours, and a source in that page's policy."""
    good = metadata(key_descriptor(the_key().body))
    with pytest.raises(BadMetadata, match="no sign-in endpoint by https"):
        idp_metadata.read(good.replace("https://idp.example/sso", escape(endpoint)).encode())
    assert idp_metadata.read(good.encode()).logout != {}
    assert idp_metadata.read(good.replace("https://idp.example/slo", escape(endpoint)).encode()).logout == {}
