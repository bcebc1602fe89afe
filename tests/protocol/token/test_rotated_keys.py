"""Clients whose keys are at a `jwks_uri`: when we ask again, how often, and what else is in such a set."""

import base64
import json
import time
from types import SimpleNamespace

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from idp.applications import client_keys
from idp.limits import limiter
from tests.protocol.token.support import Keys, assertion, by_assertion
from tests.support.factories import make_application

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_is_blocked(monkeypatch):
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())


def rotated(kid):
    return ECKey.generate_key("P-256", {"kid": kid})


def signed_by(key, **header):
    claims = json.loads(base64.urlsafe_b64decode(assertion(key).split(".")[1] + "=="))
    return jws.serialize_compact({"alg": "ES256", **header}, json.dumps(claims).encode(), key)


def publishes(*keys, **members):
    Keys.document = json.dumps({"keys": [key.as_dict(private=False) for key in keys], **members}).encode()


@pytest.fixture
def clock(monkeypatch):
    """What the keys' cache takes for the time; the requests go on in real time."""
    passed = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(client_keys, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed.seconds))
    return passed


@pytest.mark.spec("OpenID Connect Core 1.0", "10.1.1", "An unfamiliar kid makes the keys be fetched anew")
@pytest.mark.parametrize("header", [{"kid": "k2"}, {"kid": "k1"}, {}], ids=["another", "the same", "none"])
def test_a_client_that_rotates_its_keys_is_known_by_the_new_one_at_once(key, key_server, session, header):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    assert by_assertion(keyed, session, assertion(key)).status_code == 200
    fresh = rotated(header.get("kid", "k2"))
    publishes(fresh)
    assert by_assertion(keyed, session, signed_by(fresh, **header)).status_code == 200
    assert Keys.asked == 2


def test_made_up_keys_make_us_ask_a_client_once_in_ten_seconds_and_cost_it_nothing(key, key_server, session, clock):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    for _ in range(3):
        for number in range(4):
            forged = signed_by(rotated("x"), kid=f"made-up-{number}")
            assert by_assertion(keyed, session, forged).status_code == 401
        assert by_assertion(keyed, session, assertion(key)).status_code == 200
        clock.seconds += 10
    assert Keys.asked == 1 + 3


def test_keys_that_are_fresh_are_kept_while_a_new_answer_cannot_be_read(key, key_server, session, clock):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    assert by_assertion(keyed, session, assertion(key)).status_code == 200
    Keys.document = b"<html>"
    clock.seconds += 10
    assert by_assertion(keyed, session, signed_by(rotated("k2"), kid="k2")).status_code == 401
    assert by_assertion(keyed, session, assertion(key)).status_code == 200
    clock.seconds += 300
    assert by_assertion(keyed, session, assertion(key)).status_code == 401


@pytest.mark.spec("RFC 7517", "5", "Keys of kinds that are not understood are ignored")
def test_keys_that_a_client_publishes_for_others_are_no_obstacle(key, key_server, session):
    keyed = make_application("Keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{key_server}/jwks")
    strange = [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, {"kty": "EC", "crv": "P-9", "x": "AA", "y": "AA"}, 7]
    for_encryption = {**rotated("e").as_dict(private=False), "use": "enc"}
    Keys.document = json.dumps({"keys": [*strange, for_encryption, key.as_dict(private=False)]}).encode()
    assert by_assertion(keyed, session, assertion(key)).status_code == 200
