"""Claims and headers of every shape, signed by the transmitter itself: taken or refused, never a fault of ours."""

from __future__ import annotations

import json
import random
import time

import pytest

from logout_app.models import LogoutEvent
from tests.protocol.gtr.support import lives
from tests.protocol.scim.test_malformed import WRONG, mutations
from tests.support.upstreams.scripted_oidc import encode, sign
from tests.support.upstreams.scripted_transmitter import CAEP, RISC
from tests.support.upstreams.scripted_transmitter import SSF as STREAM

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_transmitter_signs_is_answered_as_rfc_8935_has_it(pusher, transmitter, session, seed):
    chance = random.Random(seed)
    subject = {"format": "complex", "user": transmitter.subject("nobody"), "session": {"format": "opaque", "id": "x"}}
    aliases = {"format": "aliases", "identifiers": [{"format": "email", "email": "nobody@acme.example"}]}
    for number in range(150):
        uri = chance.choice([f"{CAEP}session-revoked", f"{CAEP}token-claims-change", f"{RISC}account-disabled"])
        event = {"event_timestamp": int(time.time()), "claims": {"groups": ["a"]}, "reason_admin": {"en": "x"}}
        claims = {
            "iss": transmitter.issuer,
            "aud": [transmitter.audience],
            "jti": f"{seed}-{number}",
            "iat": int(time.time()),
            "txn": "1",
            "sub_id": chance.choice([subject, aliases, transmitter.subject("nobody")]),
            "events": {chance.choice([uri, f"{STREAM}verification", f"{STREAM}stream-updated"]): event},
        }
        said = json.dumps(mutations(claims, chance) if number % 5 else claims).encode()
        answer = pusher.push(sign(said, transmitter.keys[0], typ="secevent+jwt"))
        assert answer.status_code in (202, 400), answer.content
        if answer.status_code == 400:
            assert set(answer.json()) == {"err", "description"}
    assert lives(session)
    assert not LogoutEvent.objects.exists()


@pytest.mark.parametrize("name", ["typ", "alg", "kid", "crit", "jwk", "x5c"])
def test_a_header_of_any_shape_ends_nothing(pusher, transmitter, session, name):
    _, payload, signature = transmitter.token(f"{CAEP}session-revoked", sub_id=transmitter.subject("ann")).split(".")
    for wrong in WRONG:
        header = {"alg": "RS256", "typ": "secevent+jwt", "kid": "transmitter", name: wrong}
        answer = pusher.push(f"{encode(json.dumps(header).encode())}.{payload}.{signature}")
        assert answer.status_code == 400, (wrong, answer.content)
    assert lives(session)
