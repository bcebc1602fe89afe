"""Metadata that an identity provider publishes: changed keys, a publisher that is down or slow, a test of the connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from idp.connections.contract import SignInRequest, UpstreamFault
from idp.connections.saml import checks, metadata_cache
from idp.connections.saml.certificates import signing_keys
from idp.connections.saml.flow import SamlProtocol
from idp.crypto.sealing import seal
from idp.outbound import web
from tests.protocol.connections_saml.conftest import ACS, Way
from tests.support.upstreams.published import Published
from tests.support.upstreams.scripted_saml import ScriptedIdp, make_key, the_key

pytestmark = pytest.mark.once


@pytest.fixture
def published(way: Way, settings: Any) -> Iterator[Published]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with Published(way.idp.metadata()) as page:
        way.connection.options = {"metadataUrl": page.url}
        way.connection.save()
        yield page


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that are added to the process's clock."""
    ahead = [0.0]
    real = time.monotonic
    monkeypatch.setattr(metadata_cache, "monotonic", lambda: real() + ahead[0])
    return ahead


def test_metadata_are_fetched_once_for_many_sign_ins(way: Way, published: Published) -> None:
    for _ in range(3):
        assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert published.asked == 1


def test_a_new_key_is_learnt_from_its_first_signature(way: Way, published: Published, clock: list[float]) -> None:
    """Rollover: nobody has to be told, and the old key stops counting."""
    successor = ScriptedIdp(the_key("next.idp.example"))
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    published.document = successor.metadata()
    assert "none of the identity provider's certificates" in way.refused(successor.answer(way.says()))
    clock[0] += metadata_cache.COOL_DOWN + 1
    assert way.arrive(successor.answer(way.says())).sub == "mary"
    assert "none of the identity provider's certificates" in way.refused(way.idp.answer(way.says()))
    assert signing_keys(way.connection, way.at) == signing_keys(way.connection, way.at, suspect=True)


def test_foreign_signatures_do_not_make_us_hammer_the_publisher(
    way: Way, published: Published, clock: list[float]
) -> None:
    way.arrive(way.idp.answer(way.says()))
    clock[0] += metadata_cache.COOL_DOWN + 1
    attacker = ScriptedIdp(the_key("attacker.example"))
    for _ in range(5):
        way.refused(attacker.answer(way.says()))
    assert published.asked == 2


def test_a_publisher_that_is_away_does_not_stop_sign_ins(way: Way, published: Published, clock: list[float]) -> None:
    way.arrive(way.idp.answer(way.says()))
    published.status = 503
    clock[0] += metadata_cache.FRESH + 1
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert published.asked == 2


def test_metadata_without_keys_do_not_take_the_place_of_good_ones(
    way: Way, published: Published, clock: list[float]
) -> None:
    """What is imported later can lower nothing either."""
    way.arrive(way.idp.answer(way.says()))
    published.document = way.idp.metadata(keys=[])
    clock[0] += metadata_cache.FRESH + 1
    assert "not signed" in way.refused(way.idp.answer(way.says(), sign_assertion=False, sign_response=False))
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"


def test_a_publisher_that_never_answered_is_a_clear_fault(way: Way, published: Published, clock: list[float]) -> None:
    published.status = 404
    with pytest.raises(UpstreamFault, match="the server answered 404") as raised:
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)
    assert raised.value.status == 502
    published.status = 200
    with pytest.raises(UpstreamFault):
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)
    clock[0] += metadata_cache.RETRY + 1
    assert SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at).url


def test_a_slow_publisher_costs_five_seconds_at_most(
    way: Way, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.delay = 2.0
    real = web.session
    monkeypatch.setattr(web, "session", lambda **how: real(**{**how, "timeout": 0.3}))
    assert web.TIMEOUT <= 5
    began = time.monotonic()
    with pytest.raises(UpstreamFault, match="cannot be fetched"):
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)
    with pytest.raises(UpstreamFault, match="cannot be fetched"):
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)
    assert time.monotonic() - began < 1.5


def test_private_addresses_are_not_asked(way: Way, published: Published, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = []
    with pytest.raises(UpstreamFault):
        SamlProtocol().depart(way.connection, SignInRequest(), state="s", callback=ACS, at=way.at)
    assert published.asked == 0


def _levels(way: Way) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in checks.check(way.connection)]


def test_a_test_of_the_connection_says_what_is_good(way: Way, published: Published) -> None:
    found = _levels(way)
    assert {level for level, _ in found} == {"ok"}
    assert "The metadata describes the identity provider https://idp.example/metadata." in [text for _, text in found]


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [(10, "warning", "expires on"), (-1, "error", "nobody can sign in"), (60, "ok", "is valid until")],
)
def test_a_test_of_the_connection_warns_of_certificates(
    way: Way, published: Published, days: int, level: str, words: str
) -> None:
    old = make_key("old.idp.example", not_after=way.at + timedelta(days=days))
    published.document = way.idp.metadata(keys=[old.body])
    assert [(level, True)] == [(lv, words in text) for lv, text in _levels(way) if "old.idp.example" in text]


def test_an_expired_certificate_beside_a_good_one_is_a_warning_only(way: Way, published: Published) -> None:
    old = make_key("old.idp.example", not_after=way.at - timedelta(days=1))
    published.document = way.idp.metadata(keys=[old.body, way.idp.key.body])
    assert [lv for lv, text in _levels(way) if "old.idp.example" in text] == ["warning"]
    assert "error" not in {lv for lv, _ in _levels(way)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadataUrl": ""}, "give it, metadataXml"),
        ({"metadataUrl": "http://127.0.0.1:9/metadata"}, "cannot be fetched"),
        ({"metadataXml": "<x/>"}, "describes 0 entities"),
        ({"idpEntityId": "https://other.example/"}, "but idpEntityId is"),
    ],
)
def test_a_test_of_the_connection_says_what_is_wrong(
    way: Way, published: Published, options: dict[str, Any], words: str
) -> None:
    way.configure(**options)
    assert [(level, words in text) for level, text in _levels(way)] == [("error", True)]


def test_a_test_of_the_connection_tries_the_decryption_key(way: Way, published: Published) -> None:
    way.connection.sealed_options = {"decryptionKey": seal("nonsense", "connection:Acme:decryptionKey")}
    assert ("error", "The decryptionKey is not a private key in PEM without a password.") in _levels(way)


def test_a_missing_entity_id_is_a_warning(way: Way, published: Published) -> None:
    way.connection.options = {"signInEndpoint": "https://idp.example/sso", "signingCert": way.idp.key.certificate}
    assert [level for level, text in _levels(way) if "idpEntityId" in text] == ["warning"]
