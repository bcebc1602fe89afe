"""What a DPoP proof must be (RFC 9449 section 4.3), as pure rules and one signature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from idp.protocol.jwt_profile import Mismatch
from sessions_app.oauth import proof_keys
from sessions_app.protocol import dpop
from tests.support.dpop import Prover, encode, new_key, signed

RFC = "RFC 9449"
URL = "https://id.example/oauth/token"
PROVER = Prover()


def read(encoded: str, *, access_token: str = "", at: datetime | None = None) -> dpop.DPoPProof:
    said = dpop.read(encoded)
    jkt = proof_keys.verified(said, encoded)
    return dpop.check(said, jkt, method="POST", url=URL, at=at or datetime.now(UTC), access_token=access_token)


@pytest.mark.spec(RFC, "4.3", "A proof is checked: type, algorithm, key, signature, method, address, time")
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
def test_a_proof_names_the_key_that_signed_it(algorithm: str) -> None:
    prover = Prover(algorithm)
    assert read(prover.proof("POST", URL)).jkt == prover.jkt


@pytest.mark.parametrize(
    "url", [f"{URL}?a=b#c", "HTTPS://ID.EXAMPLE/oauth/token", "https://id.example:443/oauth/token"]
)
def test_query_fragment_case_and_the_usual_port_do_not_count(url: str) -> None:
    assert read(PROVER.proof("POST", url))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"htm": "GET"}, "htm"),
        ({"htm": "post"}, "htm"),
        ({"htm": None}, "htm"),
        ({"htu": "https://id.example/oauth/par"}, "htu"),
        ({"htu": "https://id.example:8443/oauth/token"}, "htu"),
        ({"htu": "http://id.example/oauth/token"}, "htu"),
        ({"htu": "https://id.example.evil/oauth/token"}, "htu"),
        ({"htu": "https://[::1/oauth/token"}, "htu"),
        ({"htu": None}, "htu"),
        ({"htu": ["x"]}, "htu"),
        ({"jti": None}, "jti"),
        ({"jti": 1}, "jti"),
        ({"jti": "x" * 300}, "jti"),
        ({"iat": None}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": True}, "iat"),
        ({"nonce": 7}, "nonce"),
    ],
    ids=str,
)
def test_a_wrong_claim_is_named(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(Mismatch, match=says):
        read(PROVER.proof("POST", URL, **claims))


@pytest.mark.parametrize(("seconds", "is_good"), [(-290, True), (290, True), (-310, False), (310, False)])
def test_a_proof_is_good_for_five_minutes_on_either_side(seconds: int, is_good: bool) -> None:
    at = datetime.now(UTC)
    encoded = PROVER.proof("POST", URL, iat=int(at.timestamp()) + seconds)
    if is_good:
        assert read(encoded, at=at).good_until > at
        return
    with pytest.raises(Mismatch, match="clock"):
        read(encoded, at=at)


@pytest.mark.spec(RFC, "4.3", "With an access token the proof must hold its hash")
def test_the_hash_of_the_access_token_must_be_that_of_this_one() -> None:
    assert read(PROVER.proof("POST", URL, access_token="mine"), access_token="mine")
    for wrong in (PROVER.proof("POST", URL), PROVER.proof("POST", URL, access_token="another")):
        with pytest.raises(Mismatch, match="ath"):
            read(wrong, access_token="mine")


PRIVATE = dict(PROVER.key.as_dict(private=True))
HEADERS: list[dict[str, Any]] = [
    {"typ": "jwt"},
    {"typ": None},
    {"alg": "none"},
    {"alg": "HS256"},
    {"alg": "RS256"},
    {"alg": None},
    {"jwk": None},
    {"jwk": "a key"},
    {"jwk": PRIVATE},
    {"jwk": dict(OctKey.generate_key(256).as_dict(private=True))},
    {"jwk": dict(ECKey.generate_key("P-384").as_dict(private=False))},
    {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
    {"jwk": {"kty": "EC", "crv": "P-256"}},
    {"jwk": dict(new_key("PS256").as_dict(private=False))},
    {"jwk": dict(new_key().as_dict(private=False))},
    {"jwk": {**PROVER.key.as_dict(private=False), "key_ops": ["sign"]}},
    {"jwk": {**PROVER.key.as_dict(private=False), "kid": 5}},
    {"crit": ["exp"]},
]


@pytest.mark.parametrize("header", HEADERS, ids=map(str, range(len(HEADERS))))
def test_a_header_that_proves_nothing_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Mismatch):
        read(PROVER.proof("POST", URL, header=header))


def test_a_symmetric_signature_by_the_public_key_is_refused() -> None:
    """The old confusion of algorithms: alg and key have to fit."""
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(RSAKey.generate_key(2048).as_dict(private=False))}
    with pytest.raises(Mismatch, match="not for ES256"):
        read(signed(head, {"jti": "1", "htm": "POST", "htu": URL, "iat": 1}, PROVER.key, "ES256"))


def test_an_altered_proof_is_refused() -> None:
    head, claims, signature = PROVER.proof("POST", URL).split(".")
    for wrong in (
        f"{head}.{claims}.{encode(b'x' * 64)}",
        f"{head}.{claims}.",
        f"{head}.{claims}.{signature[:-4]}",
        f"{head}.{claims}",
        f"{head}.{claims}.{signature},{head}.{claims}.{signature}",
        "",
        "x" * 9000,
    ):
        with pytest.raises(Mismatch):
            read(wrong)


def test_the_window_is_what_a_proof_is_remembered_for() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    assert read(PROVER.proof("POST", URL, iat=int(now.timestamp())), at=now).good_until == now + timedelta(minutes=5)
