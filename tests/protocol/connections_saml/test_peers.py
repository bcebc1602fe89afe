"""What well-known identity providers send, in their own shapes, signs people in with what a connection has by default."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from lxml import etree
from pytest_django import DjangoAssertNumQueries
from structlog.testing import capture_logs

from idp.connections.saml import idp_metadata, options, signatures
from idp.connections.saml.checks import check
from idp.models import Connection
from idp.saml.own_key import own_key
from idp.saml.signed import Signed
from tests.protocol.connections_saml.conftest import Way
from tests.support.upstreams import saml_peers
from tests.support.upstreams.saml_peers import PEERS
from tests.support.upstreams.scripted_saml import ENTITY_ID, NAMES, Key, sign

pytestmark = pytest.mark.once
MARY = "mary@fabrikamcorp.com"


@pytest.mark.parametrize("peer", PEERS)
def test_a_well_known_identity_provider_signs_people_in(way: Way, peer: str) -> None:
    """Without a word of the administrator about signatures."""
    shape, signs = PEERS[peer]
    account = way.arrive(saml_peers.signed(shape(way.says(name_id=MARY)), way.idp.key, **signs))
    assert (account.sub, account.email) == (MARY, MARY)
    assert len(account.profile["groups"]) == 2


def test_an_assertion_that_adfs_encrypted_is_opened(way: Way) -> None:
    """Its response is not signed: nothing but the decrypted assertion is."""
    written = saml_peers.adfs(way.says(name_id=MARY))
    encrypted = saml_peers.encrypted_by_adfs(written, way.idp.key, own_key(way.at).certificate_pem)
    assert way.arrive(encrypted).sub == MARY


def test_what_shibboleth_signs_and_encrypts_is_opened(way: Way) -> None:
    """Its defaults: the response signed, the assertion in it encrypted and not signed (KantaraInitiative/SAMLprofiles issue 33)."""
    answer = way.idp.encrypted(way.says(name_id=MARY), own_key(way.at).certificate_pem, sign_assertion=False)
    assert way.arrive(answer).sub == MARY


@pytest.mark.parametrize(
    ("peer", "came"), [("Entra", "assertion"), ("Google, Signed response", "response"), ("Okta", "both")]
)
def test_the_log_and_the_test_of_the_connection_say_what_came_signed(way: Way, peer: str, came: str) -> None:
    before = " ".join(finding.text for finding in check(way.connection))
    assert "Nobody has signed in yet, so it is not known what the provider signs" in before
    shape, signs = PEERS[peer]
    with capture_logs() as logs:
        way.arrive(saml_peers.signed(shape(way.says(name_id=MARY)), way.idp.key, **signs))
    assert {"event": "sign_in.saml_signed", "log_level": "info", "connection": "Acme", "signed": came} in logs
    fresh = Connection.objects.get(pk=way.connection.pk)
    assert fresh.last_signed == came
    words = {"assertion": "the assertion only", "response": "the response only", "both": "both"}[came]
    assert f"last time somebody signed in, signed was: {words}" in " ".join(finding.text for finding in check(fresh))


def test_what_came_signed_is_written_only_when_it_changes(
    way: Way, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for came, statements in ((Signed.ASSERTION, 1), (Signed.ASSERTION, 0), (Signed.BOTH, 1)):
        with django_assert_num_queries(statements):
            signatures.note(way.connection, came)


def _text(written: str, key: Key, *, before: bytes = b"") -> str:
    root = etree.fromstring(written.encode())
    sign(root.find("saml:Assertion", NAMES), key)
    return base64.b64encode(before + etree.tostring(root)).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: xml,
        lambda xml: xml.replace('SessionIndex="index-1"', 'SessionNotOnOrAfter="9999-12-31T23:59:59.9999999Z"'),
        lambda xml: re.sub(r'AuthnInstant="[^"]*"', 'AuthnInstant="0001-01-01T00:00:00Z"', xml),
        lambda xml: re.sub(r'NotOnOrAfter="[^"]*"', 'NotOnOrAfter="9999-12-31T23:59:59Z"', xml),
        lambda xml: xml.replace(
            "<saml:Audience>", "<saml:Audience>https://other.example</saml:Audience><saml:Audience>"
        ),
    ],
    ids=["a byte order mark", "no end and no index", "the least date of .NET", "the greatest", "two audiences"],
)
def test_what_identity_providers_by_dotnet_write_is_read(way: Way, change: Callable[[str], str]) -> None:
    """`XmlWriter` begins with a byte order mark; `DateTime.MinValue` and `MaxValue` stand for times that nobody set."""
    written = change(way.says(name_id=MARY).response())
    assert way.arrive(_text(written, way.idp.key, before=b"\xef\xbb\xbf")).sub == MARY


def test_metadata_with_a_byte_order_mark_are_read_by_url_and_pasted(way: Way) -> None:
    """As Entra and ADFS publish theirs (MicrosoftDocs/azure-docs issue 65434, cloudfoundry/uaa issue 3994)."""
    document = way.idp.metadata()
    assert idp_metadata.read(b"\xef\xbb\xbf" + document.encode()).entity_id == ENTITY_ID
    way.configure(metadataXml="\ufeff" + document)
    assert options.problems("samlp", way.connection.options) == []
    assert way.arrive(_text(way.says(name_id=MARY).response(), way.idp.key)).sub == MARY


def test_a_time_in_another_way_than_in_utc_is_a_sentence(way: Way) -> None:
    """SAML core section 1.3.3: in UTC, without a time zone."""
    for zone in ("+00:00", "+02:00", ""):
        written = re.sub(r'(NotBefore="[^"]*)Z"', rf'\1{zone}"', way.says(name_id=MARY).response())
        assert "time" in way.refused(_text(written, way.idp.key))
