"""Which keys of an upstream count, and when they are asked for."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, document_cache, keys
from idp.connections.oidc.keys import signing_keys
from tests.protocol.connections_oidc.conftest import connect
from tests.support.upstreams.scripted_oidc import ec_key, rsa_key

JWKS = "/jwks"


def kids(found):
    return [key.as_dict(private=False)["n"] for key in found]


def modulus(name):
    return rsa_key(name).as_dict(private=False)["n"]


def test_the_key_with_the_kid_of_the_token_is_found(provider, connection):
    provider.keys = [rsa_key("one"), rsa_key("two")]
    assert kids(signing_keys(connection, "two", "RS256")) == [modulus("two")]


def test_without_a_kid_every_key_that_fits_the_algorithm_is_tried(provider, connection):
    provider.keys = [rsa_key("one"), ec_key("e"), rsa_key("two")]
    assert kids(signing_keys(connection, None, "RS256")) == [modulus("one"), modulus("two")]
    assert len(signing_keys(connection, None, "ES256")) == 1
    assert signing_keys(connection, None, "ES384") == []


def test_keys_are_asked_for_once(provider, connection):
    for _ in range(5):
        signing_keys(connection, "one", "RS256")
    assert provider.hits[JWKS] == 1


def test_a_new_key_is_found_as_soon_as_a_token_names_it(provider, connection):
    signing_keys(connection, "one", "RS256")
    provider.keys = [rsa_key("two")]
    assert kids(signing_keys(connection, "two", "RS256")) == [modulus("two")]
    assert signing_keys(connection, "one", "RS256") == []


def test_made_up_key_ids_cause_one_request_in_ten_seconds(provider, connection):
    signing_keys(connection, "one", "RS256")
    for number in range(20):
        assert signing_keys(connection, f"made-up-{number}", "RS256") == []
    assert provider.hits[JWKS] == 2


def test_keys_that_change_right_after_somebody_made_one_up_are_found_ten_seconds_later(
    provider, connection, monkeypatch
):
    signing_keys(connection, "made-up", "RS256")
    provider.keys = [rsa_key("two")]
    assert signing_keys(connection, "two", "RS256") == []
    later = time.monotonic() + 10.5
    monkeypatch.setattr(document_cache, "time", SimpleNamespace(monotonic=lambda: later))
    assert kids(signing_keys(connection, "two", "RS256")) == [modulus("two")]


def test_after_the_cool_down_a_new_key_is_looked_for_again(provider, connection, monkeypatch):
    signing_keys(connection, "made-up", "RS256")
    monkeypatch.setattr(document_cache, "COOL_DOWN", 0.0)
    provider.keys = [rsa_key("two")]
    assert signing_keys(connection, "two", "RS256")


def test_the_server_says_how_long_its_keys_stay_within_our_bounds(provider, connection, monkeypatch):
    provider.response_headers[JWKS] = {"Cache-Control": "public, max-age=0, must-revalidate"}
    monkeypatch.setattr(document_cache, "FRESH", (0.0, 600.0, 3600.0))
    signing_keys(connection, "one", "RS256")
    signing_keys(connection, "one", "RS256")
    assert provider.hits[JWKS] == 2


def test_cached_keys_serve_while_their_server_is_down_but_not_for_ever(provider, connection, monkeypatch):
    """F-U01: until the time to live is over; then there is an error, never an answer without a key."""
    monkeypatch.setattr(document_cache, "FRESH", (0.0, 0.0, 0.0))
    monkeypatch.setattr(document_cache, "AFTER_FAILURE", 0.0)
    assert signing_keys(connection, "one", "RS256")
    provider.stop()
    assert signing_keys(connection, "one", "RS256")
    monkeypatch.setattr(document_cache, "STALE", 0.0)
    with pytest.raises(UpstreamFault, match="could not be reached"):
        signing_keys(connection, "one", "RS256")


def test_a_failing_server_is_left_alone_for_a_moment(provider, connection):
    provider.statuses[JWKS] = 500
    for _ in range(5):
        with pytest.raises(UpstreamFault, match=r"The key set at .* answered HTTP 500"):
            signing_keys(connection, "one", "RS256")
    assert provider.hits[JWKS] == 1


def test_many_who_need_the_same_keys_ask_once(provider, connection):
    provider.delays[JWKS] = 0.3
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(signing_keys(connection, "one", "RS256"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in found] == [1] * 8
    assert provider.hits[JWKS] == 1


def test_a_server_that_hangs_costs_its_callers_one_deadline(provider, connection):
    provider.delays[JWKS] = 3
    began = time.monotonic()
    threads = [threading.Thread(target=_fails, args=(connection,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 2.0


def _fails(connection):
    with pytest.raises(UpstreamFault):
        signing_keys(connection, "one", "RS256", deadline=keys.Deadline(0.5))


@pytest.mark.parametrize(
    "member",
    [
        {"use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {"kty": "RSA", "n": 7},
        {"n": "AQAB"},
        {"kty": ["RSA"]},
        {"kty": "PQ"},
    ],
)
def test_what_is_no_public_key_for_signatures_is_passed_over(member):
    assert keys.read({**rsa_key("one").as_dict(private=False), **member}) is None


def test_short_keys_and_huge_ones_are_no_keys(monkeypatch):
    value = rsa_key("one").as_dict(private=False)
    assert keys.read(value) is not None
    monkeypatch.setattr(keys, "RSA_BITS", range(3072, 4097))
    assert keys.read(value) is None


def test_a_private_key_in_a_key_set_is_read_as_the_public_key_that_it_should_be():
    found = keys.read(rsa_key("one").as_dict(private=True))
    assert found
    assert not found.key.is_private


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [], "keys": []}', b"\xff"]
)
def test_a_key_set_that_cannot_be_read_is_a_fault_with_a_sentence(provider, connection, body):
    provider.bodies[JWKS] = body
    with pytest.raises(UpstreamFault, match="The key set at http://localhost"):
        signing_keys(connection, "one", "RS256")


def test_an_endless_key_set_is_not_read_to_its_end(provider, connection):
    provider.bodies[JWKS] = b" " * 600_000
    with pytest.raises(UpstreamFault, match="more than 512 kB"):
        signing_keys(connection, "one", "RS256")


def test_two_connections_to_one_upstream_share_its_keys(provider, connection):
    signing_keys(connection, "one", "RS256")
    signing_keys(connect(provider, "okta"), "one", "RS256")
    assert provider.hits[JWKS] == 1
    assert provider.hits[discovery.issuers.WELL_KNOWN] == 1
