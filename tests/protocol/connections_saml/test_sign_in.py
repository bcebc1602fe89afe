"""SAML responses of an honest identity provider: what an account is made of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from idp.connections.contract import UpstreamRefused
from idp.crypto.sealing import seal
from idp.models import SamlKey, SpentToken
from idp.saml import rotation
from idp.saml.own_key import own_key
from idp.saml.rotation import RotationStep
from tests.protocol.connections_saml.conftest import Way
from tests.support.upstreams.scripted_saml import PERSISTENT, ScriptedIdp, key_descriptor, make_key, metadata, the_key

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL_ADDRESS = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"


@pytest.mark.spec("SAML 2.0", "profiles 4.1.4.3", "SP7 A response that keeps every rule signs somebody in")
def test_a_signed_response_gives_the_account(way: Way) -> None:
    """The positive control of SAM."""
    account = way.arrive(way.idp.answer(way.says()))
    assert account.sub == "mary"
    assert account.email == "Mary@FabrikamCorp.com"
    assert not account.email_verified
    assert account.profile["name"] == "Mary"
    assert account.upstream_sid == "index-1"
    assert account.upstream == {"name_id": "mary", "name_id_format": PERSISTENT, "signs_out": True}


def test_times_of_the_session_upstream_are_kept(way: Way) -> None:
    then, until = way.at - timedelta(hours=1), way.at + timedelta(hours=8)
    account = way.arrive(way.idp.answer(way.says(auth_instant=then, session_until=until)))
    assert account.auth_time is not None
    assert account.expires_at is not None
    assert abs(account.auth_time - then) < timedelta(seconds=1)
    assert abs(account.expires_at - until) < timedelta(seconds=1)


METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"
MULTIPLE = "http://schemas.microsoft.com/claims/multipleauthn"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"


@pytest.mark.parametrize(
    ("said", "several"),
    [
        ({"context": "https://refeds.org/profile/mfa"}, True),
        ({"context": "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract"}, True),
        ({"attributes": {METHODS: [PASSWORD, MULTIPLE]}}, True),
        ({"attributes": {METHODS: PASSWORD}}, False),
        ({"attributes": {"methods": MULTIPLE}}, False),
        ({"context": "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"}, False),
        ({}, False),
    ],
)
def test_two_factors_upstream_count_where_the_connection_trusts_them(way: Way, said: dict, several: bool) -> None:
    assert way.arrive(way.idp.answer(way.says(**said))).has_proved_several is False
    way.configure(trust_upstream_mfa=True)
    assert way.arrive(way.idp.answer(way.says(**said))).has_proved_several is several


def test_every_certificate_of_the_identity_provider_counts(way: Way) -> None:
    """Two signing certificates at once are how identity providers change theirs."""
    other = ScriptedIdp(the_key("next.idp.example"))
    way.configure(metadataXml=way.idp.metadata(keys=[way.idp.key.body, other.key.body]))
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert way.arrive(other.answer(way.says())).sub == "mary"


def test_certificates_may_be_given_without_metadata(way: Way) -> None:
    way.connection.options = {
        "signInEndpoint": "https://idp.example/sso",
        "signingCert": [way.idp.key.certificate, the_key("next.idp.example").certificate],
        "idpEntityId": "https://idp.example/metadata",
    }
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert "Invalid issuer" in way.refused(way.idp.answer(way.says(issuer="https://evil.example/")))


def test_an_expired_certificate_says_so_to_the_administrator(way: Way) -> None:
    old = ScriptedIdp(make_key("old.idp.example", not_after=way.at - timedelta(hours=1)))
    way.configure(metadataXml=way.idp.metadata(keys=[way.idp.key.body, old.key.body]))
    assert "CN=old.idp.example, which expired on" in way.refused(old.answer(way.says()))


def test_an_encrypted_assertion_is_opened_with_our_own_key(way: Way) -> None:
    account = way.arrive(way.idp.encrypted(way.says(), own_key(way.at).certificate_pem))
    assert account.sub == "mary"
    assert SamlKey.objects.count() == 1


def test_during_a_rotation_what_is_encrypted_for_any_of_our_keys_is_opened(way: Way) -> None:
    old = own_key(way.at).certificate_pem
    rotation.rotate(RotationStep.PUBLISH, actor="system", at=way.at)
    rotation.rotate(RotationStep.ACTIVATE, actor="system", at=way.at, early=True)
    for certificate in (old, own_key(way.at).certificate_pem):
        assert way.arrive(way.idp.encrypted(way.says(), certificate)).sub == "mary"
    rotation.rotate(RotationStep.WITHDRAW, actor="system", at=way.at, early=True)
    assert "cannot be decrypted" in way.refused(way.idp.encrypted(way.says(), old))


def test_an_encrypted_assertion_is_opened_with_the_administrators_key(way: Way) -> None:
    key = the_key("decryption.example")
    both = key.private + key.certificate
    way.connection.sealed_options = {"decryptionKey": seal(both, "connection:Acme:decryptionKey")}
    assert way.arrive(way.idp.encrypted(way.says(), key.certificate)).sub == "mary"
    reason = way.refused(way.idp.encrypted(way.says(), own_key(way.at).certificate_pem))
    assert "cannot be decrypted" in reason


def test_a_key_that_cannot_decrypt_says_so_to_the_administrator(way: Way) -> None:
    way.connection.sealed_options = {"decryptionKey": seal("not a key", "connection:Acme:decryptionKey")}
    assert "decryptionKey" in way.refused(way.idp.encrypted(way.says(), own_key(way.at).certificate_pem))


def test_the_user_id_is_the_attribute_that_the_administrator_chose(way: Way) -> None:
    way.configure(user_id_attribute="objectGUID")
    assert way.arrive(way.idp.answer(way.says(attributes={"objectGUID": "guid-7"}))).sub == "guid-7"
    assert "0 values of the user id" in way.refused(way.idp.answer(way.says()))
    twice = way.says(attributes={"objectGUID": ["guid-7", "guid-8"]})
    assert "2 values of the user id" in way.refused(way.idp.answer(twice))


def test_a_transient_name_id_is_nobodys_id(way: Way) -> None:
    transient = {"name_id": "_e7c0", "name_id_format": TRANSIENT}
    assert "no lasting user id" in way.refused(way.idp.answer(way.says(**transient)))
    known = way.says(**transient, attributes={CLAIMS + "upn": "mary@fabrikamcorp.com"})
    account = way.arrive(way.idp.answer(known))
    assert account.sub == "mary@fabrikamcorp.com"
    assert account.upstream["name_id"] == "_e7c0"


def test_fields_are_mapped_as_the_administrator_says(way: Way) -> None:
    way.configure(fieldsMap={"email": ["Work mail", "mail"], "given_name": "first", "department": "ou"})
    attributes = {"Work mail": "m@acme.example", "mail": "x@acme.example", "first": "Mary", "ou": ["HR", "IT"]}
    account = way.arrive(way.idp.answer(way.says(attributes=attributes)))
    assert account.email == "m@acme.example"
    assert account.profile["given_name"] == "Mary"
    assert account.profile["department"] == ["HR", "IT"]


def test_claims_of_adfs_and_entra_are_known(way: Way) -> None:
    attributes = {
        CLAIMS + "emailaddress": "m@acme.example",
        CLAIMS + "givenname": "Mary",
        CLAIMS + "surname": "Major",
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups": ["Timesheets", "Staff"],
    }
    account = way.arrive(way.idp.answer(way.says(attributes=attributes)))
    assert account.profile["family_name"] == "Major"
    assert account.profile["groups"] == ["Timesheets", "Staff"]
    assert account.email == "m@acme.example"


def test_an_e_mail_address_as_name_id_is_the_address(way: Way) -> None:
    said = way.says(name_id="Mary@acme.example", name_id_format=EMAIL_ADDRESS, attributes={})
    account = way.arrive(way.idp.answer(said))
    assert account.email == account.sub == "Mary@acme.example"


@pytest.mark.parametrize(
    ("code", "sentence", "error"),
    [
        ("AuthnFailed", "it could not be confirmed who you are.", "access_denied"),
        ("RequestDenied", "this sign-in was not allowed.", "access_denied"),
        ("NoPassive", "you need to sign in there first.", "login_required"),
        ("urn:acme:odd", "you could not be signed in.", "access_denied"),
    ],
)
def test_a_refusal_becomes_a_sentence(way: Way, code: str, sentence: str, error: str) -> None:
    inner = code if code.startswith("urn:") else f"urn:oasis:names:tc:SAML:2.0:status:{code}"
    status = (
        '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder">'
        f'<samlp:StatusCode Value="{inner}"/></samlp:StatusCode>'
    )
    with pytest.raises(UpstreamRefused) as raised:
        way.arrive(way.idp.answer(way.says(status=status)))
    assert (raised.value.sentence, raised.value.error) == (sentence, error)


def test_words_of_a_refusal_are_shown_only_if_they_are_signed(way: Way) -> None:
    status = (
        '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/>'
        "<samlp:StatusMessage>User is not assigned to this application.</samlp:StatusMessage>"
    )
    with pytest.raises(UpstreamRefused) as signed:
        way.arrive(way.idp.answer(way.says(status=status)))
    assert signed.value.sentence == "User is not assigned to this application."
    with pytest.raises(UpstreamRefused) as unsigned:
        way.arrive(way.idp.answer(way.says(status=status), sign_response=False, sign_assertion=False))
    assert unsigned.value.sentence == "you could not be signed in."
    assert "not assigned" in unsigned.value.detail


def test_clocks_may_differ_by_a_minute(way: Way) -> None:
    ahead = way.at + timedelta(seconds=45)
    said = way.says(not_before=ahead, issued_at=ahead, auth_instant=ahead)
    account = way.arrive(way.idp.answer(said))
    assert account.auth_time == way.at


def test_what_was_used_is_remembered_for_as_long_as_it_would_count(way: Way) -> None:
    way.arrive(way.idp.answer(way.says()))
    mark = SpentToken.objects.get(kind="saml-assertion")
    assert mark.issuer == way.connection.public_id
    assert way.at + timedelta(minutes=5) < mark.expires_at < way.at + timedelta(minutes=7)


def test_a_key_without_use_in_the_metadata_signs_too(way: Way) -> None:
    """The harmless half."""
    way.configure(metadataXml=metadata(key_descriptor(way.idp.key.body)))
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert "not signed" in way.refused(way.idp.answer(way.says(), sign_assertion=False, sign_response=False))


@pytest.mark.parametrize(
    ("value", "verified", "denied"),
    [
        ("true", True, False),
        ("1", True, False),
        ("TRUE", True, False),
        ("false", False, True),
        ("no", False, True),
        (["true", "true"], False, True),
        (None, False, False),
    ],
)
def test_an_attribute_may_say_that_the_address_is_verified(
    way: Way, value: str | list[str] | None, verified: bool, denied: bool
) -> None:
    """Mapped by the administrator; no attribute of that name counts by itself. What is no clear yes is a no."""
    attributes = {"mail": "m@acme.example", "email_verified": "true"} | ({"mailChecked": value} if value else {})
    assert not way.arrive(way.idp.answer(way.says(attributes=attributes))).email_verified
    way.configure(fieldsMap={"email_verified": "mailChecked"})
    account = way.arrive(way.idp.answer(way.says(attributes=attributes)))
    assert (account.email_verified, account.email_denied) == (verified, denied)
    assert "email_verified" not in account.profile
