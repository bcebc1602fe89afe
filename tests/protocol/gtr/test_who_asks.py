"""Who is believed: signatures, keys, claims, and nothing that a token says about itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import statistics
import time
from collections import defaultdict

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client
from django.utils import timezone
from joserfc.jwk import ECKey, RSAKey

from idp.connections.oidc import document_cache
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.models import Connection
from idp.people.accounts import disable_connection
from logout_app.models import RevocationRequest
from logout_app.protocol.gtr import TYP
from tests.protocol.gtr.support import DRAFT, Okta, assert_refused, lives
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_oidc import ABSENT, CLIENT, encode, rsa_key, unsigned

pytestmark = pytest.mark.django_db
RSA_PUBLIC = rsa_key("another").as_dict(private=False)


@pytest.mark.spec(DRAFT, "Revocation Response", "401 and WWW-Authenticate for what proves nothing")
@pytest.mark.parametrize("authorization", ["", "Basic dTpw", "Bearer", "Bearer a b", "Bearer opaque-token"])
def test_without_a_token_nothing_happens(okta, session, authorization):
    assert_refused(okta.post(okta.subject_of("00uann"), Authorization=authorization))
    assert lives(session)


def test_a_token_in_the_query_or_the_body_is_not_read(okta, session):
    token, body = okta.token(), okta.subject_of("00uann")
    raw = json.dumps({**body, "access_token": token})
    url = f"{okta.path}?access_token={token}"
    assert_refused(Client().post(url, raw, content_type="application/json"))
    assert lives(session)


@pytest.mark.parametrize("shape", ["SPKI PEM", "PKCS#1 PEM", "DER", "modulus", "empty", "client secret"])
def test_a_mac_is_never_a_signature(okta, session, shape):
    public = okta.key.public_key
    secret = {
        "SPKI PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "PKCS#1 PEM": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": public.public_numbers().n.to_bytes(256, "big"),
        "empty": b"",
        "client secret": b"the-client-secret-of-upstream",
    }[shape]
    secret_option = {
        "client_secret": seal("the-client-secret-of-upstream", secret_context("acme-okta", "client_secret"))
    }
    Connection.objects.update(sealed_options=secret_option)
    header, payload = (
        encode(json.dumps({"alg": "HS256", "typ": TYP}).encode()),
        encode(json.dumps(okta.claims()).encode()),
    )
    mac = encode(hmac.digest(secret, f"{header}.{payload}".encode(), hashlib.sha256))
    assert_refused(okta.post(okta.subject_of("00uann"), f"{header}.{payload}.{mac}"))
    assert lives(session)


def test_unsigned_tokens_prove_nothing(okta, session):
    for token in (unsigned(okta.claims(), typ=TYP), unsigned(okta.claims(), typ=TYP) + "c2ln"):
        assert_refused(okta.post(okta.subject_of("00uann"), token))
    assert lives(session)


def test_a_key_that_the_token_brings_along_is_never_read(okta, session):
    """Neither `jwk` nor `jku`; nobody is asked for keys but the connection's own server."""
    attacker = RSAKey.generate_key(2048)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.3)
        jku = f"http://127.0.0.1:{canary.getsockname()[1]}/jwks"
        for header in ({"jwk": attacker.as_dict(private=False)}, {"jku": jku}, {"x5u": jku}):
            assert_refused(okta.post(okta.subject_of("00uann"), okta.token(key=attacker, header=header)))
        with pytest.raises(TimeoutError):
            canary.accept()
    assert lives(session)


def test_a_broken_signature_proves_nothing(okta, session):
    token = okta.token()
    broken = token[:-8] + ("A" * 8 if token[-8:] != "A" * 8 else "B" * 8)
    assert_refused(okta.post(okta.subject_of("00uann"), broken))
    assert lives(session)


def test_an_upstream_logout_token_or_id_token_is_no_revocation_request(okta, session):
    """The same key signs them, the type tells them apart."""
    events = {"http://schemas.openid.net/event/backchannel-logout": {}}
    for header in ({"typ": "logout+jwt"}, {"typ": "JWT"}, {"typ": ABSENT}):
        token = okta.token(header=header, events=events, sid="s")
        assert_refused(okta.post(okta.subject_of("00uann"), token))
    assert lives(session)


@pytest.mark.parametrize(
    "header",
    [{"crit": ["zz"], "zz": 1}, {"crit": ["b64"], "b64": False}, {"zip": "DEF"}],
)
def test_extensions_of_the_signature_are_refused(okta, session, header):
    payload = json.dumps(okta.claims()).encode()
    head = encode(json.dumps({"alg": "RS256", "typ": TYP, **header}).encode())
    signature = encode(
        okta.key.private_key.sign(f"{head}.{encode(payload)}".encode(), *_rs256()),
    )
    for body in (encode(payload), ""):
        assert_refused(okta.post(okta.subject_of("00uann"), f"{head}.{body}.{signature}"))
    assert lives(session)


def _rs256():
    return padding.PKCS1v15(), hashes.SHA256()


def test_encrypted_tokens_are_refused(okta, session):
    assert_refused(okta.post(okta.subject_of("00uann"), "a.b.c.d.e"))
    assert lives(session)


@pytest.mark.spec(DRAFT, "Okta's profile", "without a kid every key of the connection is tried")
def test_without_a_kid_every_key_is_tried_and_with_one_that_key(okta, provider, session):
    provider.keys = [rsa_key("old"), rsa_key("one")]
    assert okta.revoke("00uann").status_code == 204
    assert okta.post(okta.subject_of("00uann"), okta.token(header={"kid": "one"})).status_code == 204
    assert_refused(okta.post(okta.subject_of("00uann"), okta.token(header={"kid": "old"})))


@pytest.mark.parametrize("kid", ["k1' UNION SELECT 'AAAA'--", "../one", "one\u0000", "x" * 300])
def test_a_kid_is_a_name_and_nothing_else(okta, session, kid):
    assert_refused(okta.post(okta.subject_of("00uann"), okta.token(header={"kid": kid})))
    assert lives(session)


def test_made_up_kids_do_not_make_us_ask_for_keys_again_and_again(okta, provider, ann):
    assert okta.revoke("00uann").status_code == 204
    before = provider.hits["/jwks"]
    for _ in range(99):
        token = okta.token(header={"kid": secrets.token_hex(8)})
        assert_refused(okta.post(okta.subject_of("00uann"), token))
    assert provider.hits["/jwks"] - before <= 1


def test_a_new_key_is_fetched_when_the_old_ones_do_not_fit(okta, provider, ann):
    """Okta names no key: the signature that fits none of those that we know is the only sign that there is a new one."""
    assert okta.revoke("00uann").status_code == 204
    provider.keys = [rsa_key("two")]
    assert okta.post(okta.subject_of("00uann"), okta.token(key=rsa_key("two"))).status_code == 204
    assert_refused(okta.post(okta.subject_of("00uann"), okta.token(key=rsa_key("one"))))


def test_a_key_that_was_withdrawn_is_refused_when_its_time_to_live_is_over(okta, provider, ann, monkeypatch):
    assert okta.revoke("00uann").status_code == 204
    provider.keys = [rsa_key("two")]
    later = time.monotonic() + 601
    monkeypatch.setattr(document_cache.time, "monotonic", lambda: later)
    assert_refused(okta.revoke("00uann"))


def test_while_the_key_server_is_away_the_known_keys_serve_and_without_them_it_is_503(okta, provider, session):
    """F-U01: never 204 without a key."""
    provider.statuses["/jwks"] = 500
    response = okta.revoke("00uann")
    assert_refused(response, 503)
    assert response.headers["Retry-After"]
    assert lives(session)
    assert RevocationRequest.objects.get().status == 503


@pytest.mark.parametrize(
    "answer",
    [
        "redirect",
        "too long",
        "drip",
        "two hundred keys",
        "oct",
        "enc",
        "short RSA",
        "wrong curve",
        "no keys",
        "not JSON",
    ],
)
def test_a_key_server_that_answers_nonsense_makes_nobody_believed(okta, provider, session, answer):
    public = okta.key.as_dict(private=False)
    weak = RSAKey.import_key(rsa.generate_private_key(65537, 1024))
    odd = ECKey.generate_key("secp256k1")
    bodies = {
        "too long": b'{"keys":[],"x":"' + b"x" * 10_000_000 + b'"}',
        "two hundred keys": {"keys": [RSA_PUBLIC] * 199 + [public]},
        "oct": {"keys": [{"kty": "oct", "k": encode(b"k" * 32)}]},
        "enc": {"keys": [{**public, "use": "enc"}]},
        "short RSA": {"keys": [weak.as_dict(private=False)]},
        "wrong curve": {"keys": [odd.as_dict(private=False)]},
        "no keys": {"keys": []},
        "not JSON": b"<html>",
    }
    if answer == "redirect":
        provider.statuses["/jwks"] = 302
        provider.response_headers["/jwks"] = {"Location": f"{provider.issuer}/other"}
    elif answer == "drip":
        provider.delays["/jwks"] = 8
    else:
        body = bodies[answer]
        provider.bodies["/jwks"] = body if isinstance(body, bytes) else json.dumps(body).encode()
    began = time.monotonic()
    response = okta.post(okta.subject_of("00uann"), okta.token(key=weak if answer == "short RSA" else None))
    assert response.status_code in (401, 503), response.content
    assert time.monotonic() - began < 6
    assert lives(session)


def test_a_token_for_another_application_of_the_same_issuer_is_forbidden(okta, session):
    other = make_connection("acme-other", "okta", options={**okta.connection.options, "client_id": "another-client"})
    posing = Okta(okta.issuer, CLIENT, other, okta.key)  # signed and addressed well, about the first one's client_id
    assert_refused(posing.revoke("00uann"), 403)
    assert lives(session)


@pytest.mark.spec(DRAFT, "Okta's profile", "aud is this connection's URL without query, whatever query the call has")
def test_the_audience_is_this_endpoint_whatever_the_query(okta, ann, session):
    other = make_connection("acme-other", "okta", options=okta.connection.options)
    other_endpoint = Okta(okta.issuer, CLIENT, other, okta.key).endpoint
    for aud in (f"{okta.endpoint}?x=1", f"{okta.endpoint}/", other_endpoint, ["https://evil.example", okta.endpoint]):
        assert_refused(okta.revoke("00uann", aud=aud))
    assert lives(session)
    assert okta.post(okta.subject_of("00uann"), path=f"{okta.path}?x=1").status_code == 204
    assert okta.revoke("00uann", aud=[okta.endpoint]).status_code == 204


def test_a_connection_that_was_disabled_is_not_believed_from_then_on(okta, session):
    token = okta.token()
    disable_connection(okta.connection, actor="admin:1", at=timezone.now())
    assert_refused(okta.post(okta.subject_of("00uann"), token))


def test_unknown_connection_connection_without_revocation_and_bad_token_answer_alike(okta, ann, provider, monkeypatch):
    """CPU time, which a busy machine does not change, and nobody upstream is asked, which would take time too."""
    make_connection("plain-saml", "samlp")
    make_connection("FabrikamAD")
    monkeypatch.setattr(
        document_cache, "COOL_DOWN", 3600.0
    )  # seconds; a bad signature makes us ask for new keys no sooner
    bad = okta.token(key=rsa_key("attacker"))
    names = ("nobody", "plain-saml", "FabrikamAD", "acme-okta")
    answers, times = set(), defaultdict(list)

    def ask(name):
        began = time.thread_time()
        response = okta.post(okta.subject_of("00uann"), bad, path=f"/oauth/global-token-revocation/connection/{name}")
        answers.add((response.status_code, response.content, response.headers["WWW-Authenticate"]))
        return time.thread_time() - began

    for name in names:
        ask(name)  # whatever is loaded once is loaded
    asked = dict(provider.hits)
    for _ in range(15):
        for name in names:
            times[name].append(ask(name))
    medians = [statistics.median(took) for took in times.values()]
    assert len(answers) == 1
    assert max(medians) < 3 * min(medians)
    assert provider.hits == asked


@pytest.mark.parametrize("path", ["..%2facme-okta", "acme-okta;x=1", "acme-okta%00", "acme-okta/", "acme-okta%0a", ""])
def test_an_address_that_is_not_exactly_a_connection_s_is_not_found(okta, session, path):
    url = f"/oauth/global-token-revocation/connection/{path}"
    assert okta.post(okta.subject_of("00uann"), path=url).status_code == 404
    assert lives(session)


def test_names_of_connections_are_case_sensitive(okta, session):
    """It is an unknown connection, and answers as one."""
    url = "/oauth/global-token-revocation/connection/Acme-Okta"
    assert_refused(okta.post(okta.subject_of("00uann"), path=url))
    assert lives(session)


def test_who_cannot_sign_hears_the_same_whatever_the_token_says_about_our_name(okta, session):
    """403 would tell strangers that connection and issuer are right, and is not counted as a failure."""
    forged = okta.token(key=rsa_key("stranger"), sub="another-client")
    assert_refused(okta.post(okta.subject_of("00uann"), forged))
    assert lives(session)
