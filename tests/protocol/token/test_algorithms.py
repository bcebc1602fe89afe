"""What tokens are signed and encrypted by: per application and API, with keys that rotate like the others."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from joserfc import jwe, jws
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from idp.crypto import keys, rotation
from idp.models import Application, ResourceServer, SigningKey
from idp.protocol.clients import SIGNING_ALGORITHMS
from sessions_app.models import AuthorizationCode, SSOSession
from tests.support.factories import browser, make_application
from tests.support.oauth import answer_of, authorize, code_for, exchange, header_of, refresh, tokens_for

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")]
CORE = "OpenID Connect Core 1.0"


def claims_of(raw: str) -> dict[str, Any]:
    import json

    return json.loads(
        jws.deserialize_compact(raw, KeySet.import_key_set(keys.published()), list(SIGNING_ALGORITHMS)).payload
    )


@pytest.mark.spec(CORE, "3.1.3.6", "at_hash is half of the hash of the signature's algorithm")
@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_an_id_token_is_signed_as_its_application_wants(session: SSOSession, algorithm: str) -> None:
    app = make_application(id_token_signed_response_alg=algorithm)
    body = tokens_for(session, app)
    assert header_of(body["id_token"])["alg"] == algorithm
    digest = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(body["access_token"].encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    assert claims_of(body["id_token"])["at_hash"] == half
    assert "code" in answer_of(authorize(session, app, id_token_hint=body["id_token"], prompt="none"))


@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_an_access_token_is_signed_as_its_api_wants(app: Application, session: SSOSession, algorithm: str) -> None:
    ResourceServer.objects.create(
        identifier="https://api.example/", token_dialect="rfc9068_profile", signing_alg=algorithm
    )
    body = tokens_for(session, app, audience="https://api.example/")
    assert header_of(body["access_token"])["alg"] == algorithm
    answer = Client().get("/userinfo", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert answer.status_code == 200


def test_every_algorithm_has_a_key_and_all_rotate() -> None:
    keys.ensure()
    assert {row.algorithm for row in SigningKey.objects.filter(status="active")} == set(SIGNING_ALGORITHMS)
    rotation.rotate(timezone.now(), force=True)
    assert {row.algorithm for row in SigningKey.objects.filter(status="next")} == set(SIGNING_ALGORITHMS)
    kinds = {key["alg"]: key["kty"] for key in keys.published()["keys"]}
    assert kinds == {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}


# --- encryption --------------------------------------------------------------------------------------------------------
ENCRYPTION = [
    ("RSA-OAEP-256", RSAKey.generate_key(2048)),
    ("ECDH-ES", ECKey.generate_key("P-256")),
    ("ECDH-ES", OKPKey.generate_key("X25519")),
]


def public(key: Key, **more: str) -> dict[str, Any]:
    return {"keys": [{**key.as_dict(private=False), **more}]}


@pytest.mark.spec(CORE, "16.14", "An ID token is signed, then encrypted")
@pytest.mark.parametrize(("algorithm", "key"), ENCRYPTION, ids=["RSA", "P-256", "X25519"])
def test_an_encrypted_id_token_holds_the_signed_one(session: SSOSession, algorithm: str, key: Key) -> None:
    jwks = public(key, kid="enc-1", use="enc")
    app = make_application(id_token_encrypted_response_alg=algorithm, jwks=jwks)
    body = tokens_for(session, app)
    header = header_of(body["id_token"])
    assert (header["alg"], header["enc"], header["cty"]) == (algorithm, "A256GCM", "JWT")
    assert header["kid"] == "enc-1"
    inside = opened(body["id_token"], key)
    assert claims_of(inside)["sub"] == session.user.user_id
    again = refresh(app, body["refresh_token"]).json()["id_token"]
    assert claims_of(opened(again, key))["sub"] == session.user.user_id


def opened(token: str, key: Key) -> str:
    found = jwe.decrypt_compact(token, key, algorithms=["RSA-OAEP-256", "ECDH-ES", "A256GCM"])
    assert found.plaintext is not None
    return found.plaintext.decode()


@pytest.mark.spec(CORE, "3.1.2.1", "A hint is the signed token that was inside of the encrypted one")
def test_a_hint_is_the_token_that_was_inside(session: SSOSession) -> None:
    algorithm, key = ENCRYPTION[1]
    app = make_application(id_token_encrypted_response_alg=algorithm, jwks=public(key))
    token = tokens_for(session, app)["id_token"]
    assert answer_of(authorize(session, app, id_token_hint=token, prompt="none"))["error"] == "invalid_request"
    assert browser(session).get("/oidc/logout", {"id_token_hint": token}).status_code == 400
    assert "code" in answer_of(authorize(session, app, id_token_hint=opened(token, key), prompt="none"))
    out = {"id_token_hint": opened(token, key), "post_logout_redirect_uri": app.allowed_logout_urls[0]}
    browser(session).get("/oidc/logout", out)
    session.refresh_from_db()
    assert session.ended_at is not None


def test_without_a_key_that_fits_the_code_is_not_used_up(session: SSOSession) -> None:
    signing_only = public(ENCRYPTION[1][1], use="sig")
    app = make_application(id_token_encrypted_response_alg="ECDH-ES", jwks=signing_only)
    code = code_for(session, app)
    answer = exchange(app, code)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "no public key" in answer.json()["error_description"]
    assert AuthorizationCode.objects.get().used_at is None
    Application.objects.filter(pk=app.pk).update(jwks=public(ENCRYPTION[1][1]))
    app.refresh_from_db()
    app.save()
    assert exchange(app, code).status_code == 200
