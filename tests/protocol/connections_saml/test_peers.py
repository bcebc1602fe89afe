"""What well-known identity providers send, in their own shapes, signs people in with what a connection has by default."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries
from structlog.testing import capture_logs

from idp.connections.saml import signatures
from idp.connections.saml.checks import check
from idp.models import Connection
from idp.saml.own_key import own_key
from idp.saml.signed import Signed
from tests.protocol.connections_saml.conftest import Way
from tests.support.upstreams import saml_peers
from tests.support.upstreams.saml_peers import PEERS

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
