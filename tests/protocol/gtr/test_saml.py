"""Revocation requests in the name of a SAML connection: signed with the key of its assertions."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from django.utils import timezone
from joserfc.jwk import ECKey, RSAKey

from idp.models import Connection
from tests.protocol.gtr.support import DRAFT, Okta, assert_refused, lives, make_federated_user
from tests.support.factories import make_connection, make_session
from tests.support.upstreams.scripted_oidc import encode

pytestmark = pytest.mark.django_db
ISSUER = "http://www.okta.com/exk1acme"
APPLICATION = "0oa1acme"


def make_key(kind="RSA"):
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def certificate(key, *, days=(-1, 365)):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    now = timezone.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def jwk(key):
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return RSAKey.import_key(pem) if isinstance(key, rsa.RSAPrivateKey) else ECKey.import_key(pem)


@pytest.fixture
def key():
    return make_key()


@pytest.fixture
def connection(key):
    return make_connection("acme-saml", "samlp", options=options(certificate(key)))


def options(*certificates, **changes):
    return {
        "signInEndpoint": "https://acme.okta.example/sso",
        "signingCert": list(certificates) if len(certificates) > 1 else certificates[0],
        "global_token_revocation_jwt_iss": ISSUER,
        "global_token_revocation_jwt_sub": APPLICATION,
    } | changes


def reconfigure(connection, **changes):
    Connection.objects.filter(pk=connection.pk).update(options={**connection.options, **changes})


@pytest.fixture
def okta(connection, key):
    return Okta(ISSUER, APPLICATION, connection, jwk(key))


@pytest.fixture
def session(connection):
    return make_session(make_federated_user(connection, "ann@acme.example", "ann@acme.example"))


@pytest.mark.spec(DRAFT, "Okta's profile", "a SAML connection: assertion certificates, iss and sub of its options")
@pytest.mark.parametrize(
    "subject",
    [
        {"format": "iss_sub", "iss": ISSUER, "sub": "ann@acme.example"},
        {"format": "email", "email": "Ann@acme.example"},
    ],
)
def test_the_key_of_the_assertions_signs_for_revocations(okta, session, subject):
    assert okta.post({"sub_id": subject}).status_code == 204
    assert not lives(session)


def test_an_elliptic_curve_is_as_good(connection, session):
    key = make_key("EC")
    reconfigure(connection, signingCert=certificate(key))
    signer = Okta(ISSUER, APPLICATION, connection, jwk(key))
    assert signer.post(signer.subject_of("ann@acme.example"), signer.token()).status_code == 204


def test_without_issuer_and_subject_in_its_options_a_connection_takes_none(okta, connection, session):
    for name in ("iss", "sub"):
        reconfigure(connection, **{f"global_token_revocation_jwt_{name}": ""})
        assert_refused(okta.revoke("ann@acme.example"))
    assert lives(session)


def test_issuer_and_subject_are_compared_with_the_options(okta, session):
    assert_refused(okta.revoke("ann@acme.example", iss="https://acme.okta.example"))
    assert_refused(okta.revoke("ann@acme.example", sub="0oa2"), 403)
    assert lives(session)


def test_both_certificates_count_while_they_are_rolled_over_and_the_old_one_no_longer(okta, connection, key, session):
    new = make_key()
    successor = Okta(ISSUER, APPLICATION, connection, jwk(new))
    assert_refused(successor.revoke("ann@acme.example"))
    reconfigure(connection, signingCert=[certificate(key), certificate(new)])
    assert okta.revoke("ann@acme.example").status_code == 204
    assert successor.revoke("ann@acme.example").status_code == 204
    reconfigure(connection, signingCert=certificate(new))
    assert_refused(okta.revoke("ann@acme.example"))


def test_a_certificate_that_expired_signs_for_nothing(okta, connection, key, session):
    reconfigure(connection, signingCert=certificate(key, days=(-30, -1)))
    assert_refused(okta.revoke("ann@acme.example"))
    assert lives(session)


def test_a_key_that_only_the_message_brings_is_not_the_connections(okta, session):
    """Nor is a certificate in the header."""
    attacker = make_key()
    der = x509.load_pem_x509_certificate(certificate(attacker).encode()).public_bytes(serialization.Encoding.DER)
    token = okta.token(key=jwk(attacker), header={"x5c": [base64.b64encode(der).decode()]})
    assert_refused(okta.post(okta.subject_of("ann@acme.example"), token))
    assert lives(session)


def test_sha_1_is_no_algorithm(okta, session):
    _, payload, signature = okta.token().split(".")
    for algorithm in ("RS1", "none", "HS256"):
        header = encode(f'{{"alg":"{algorithm}","typ":"global-token-revocation+jwt"}}'.encode())
        assert_refused(okta.post(okta.subject_of("ann@acme.example"), f"{header}.{payload}.{signature}"))
    assert lives(session)
