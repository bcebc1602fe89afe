"""Who is found: people of this connection and nobody else."""

from __future__ import annotations

import pytest
from django.utils import timezone

from idp.models import Identity, SpentToken, User
from idp.people import accounts
from tests.protocol.gtr.support import DRAFT, assert_refused, lives, make_federated_user
from tests.support.factories import make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
GONE = {"error": "user_not_found", "error_description": "No user of this connection is named so."}


@pytest.fixture
def elsewhere():
    """Bob of another connection, with an address that Okta might name."""
    contoso = make_connection("contoso", "okta", options={"client_id": "x", "issuer": "https://contoso.example"})
    bob = make_federated_user(contoso, "00ubob", "bob@corp.example")
    return bob, make_session(bob, identity=bob.identities.get(), connection=contoso)


@pytest.mark.spec(DRAFT, "Security Considerations", "people of other connections do not exist here")
def test_a_person_of_another_connection_is_as_unknown_as_nobody(okta, elsewhere):
    bob, session = elsewhere
    mary = make_user()
    subjects = [
        {"format": "iss_sub", "iss": okta.issuer, "sub": "00unobody"},
        {"format": "iss_sub", "iss": okta.issuer, "sub": "00ubob"},
        {"format": "iss_sub", "iss": "https://contoso.example", "sub": "00ubob"},
        {"format": "iss_sub", "iss": "http://localhost:8000/", "sub": mary.user_id},
        {"format": "iss_sub", "iss": okta.issuer, "sub": mary.user_id},
        {"format": "email", "email": "bob@corp.example"},
        {"format": "email", "email": "mary@fabrikamcorp.com"},
        {"format": "opaque", "id": bob.user_id},
        {"format": "opaque", "id": str(bob.pk)},
    ]
    for subject in subjects:
        response = okta.post({"sub_id": subject})
        assert (response.status_code, response.json()) == (404, GONE)
    assert lives(session)
    assert not SpentToken.objects.filter(kind="gtr").exists()


@pytest.mark.parametrize("email", ["ann@acme.example", "Ann@acme.example", "ann@ACME.EXAMPLE"])
@pytest.mark.spec("RFC 9493", "3.2.2", "the case of an address does not matter")
def test_a_person_is_found_by_address_whatever_its_case(okta, session, email):
    assert okta.post({"sub_id": {"format": "email", "email": email}}).status_code == 204
    assert not lives(session)


@pytest.mark.parametrize(
    "email",
    [
        "\uff41nn@acme.example",
        "ann@acme.example.",
        " ann@acme.example",
        "ann@acme.exampIe",
        "ann@\uff41cme.example",
        "ann",
    ],
)
def test_an_address_that_only_looks_the_same_is_another(okta, session, email):
    assert okta.post({"sub_id": {"format": "email", "email": email}}).status_code == 404
    assert lives(session)


def test_an_address_with_a_dotless_i_is_another(okta, connection):
    session = make_session(make_federated_user(connection, "00ubill", "bill@acme.example"))
    for email in ("b\u0131ll@acme.example", "b\u0130ll@acme.example"):
        assert okta.post({"sub_id": {"format": "email", "email": email}}).status_code == 404
    assert lives(session)
    assert okta.post({"sub_id": {"format": "email", "email": "BILL@acme.example"}}).status_code == 204


def test_the_same_address_at_another_connection_is_another_account(okta, session, elsewhere):
    bob, other = elsewhere
    Identity.objects.filter(user=bob).update(email="ann@acme.example")
    assert okta.post({"sub_id": {"format": "email", "email": "ann@acme.example"}}).status_code == 204
    assert not lives(session)
    assert lives(other)


@pytest.mark.spec(DRAFT, "Revocation Response", "422 when nobody can be signed out")
def test_an_address_of_two_people_signs_out_neither(okta, session, connection):
    other = make_session(make_federated_user(connection, "00uann2", "ann@acme.example"))
    assert_refused(okta.post({"sub_id": {"format": "email", "email": "ann@acme.example"}}), 422)
    assert lives(session, other)


def test_a_person_is_found_by_our_own_user_id(okta, session):
    assert okta.post({"sub_id": {"format": "opaque", "id": "okta|acme-okta|00uann"}}).status_code == 204
    assert not lives(session)


def test_aliases_name_one_person_or_are_refused(okta, session, connection):
    ben = make_session(make_federated_user(connection, "00uben", "ben@acme.example"))
    one, email = okta.subject_of("00uann")["sub_id"], {"format": "email", "email": "ben@acme.example"}
    assert_refused(okta.post({"sub_id": {"format": "aliases", "identifiers": [one, email]}}), 400)
    assert lives(session, ben)
    unknown = {"format": "email", "email": "nobody@acme.example"}
    assert okta.post({"sub_id": {"format": "aliases", "identifiers": [unknown, one]}}).status_code == 204
    assert not lives(session)
    assert lives(ben)


# --- one form of an address, and whose it is -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "email", ["z\u00f6e@acme.example", "zo\u0308e@acme.example", "ZO\u0308E@Acme.example", "Z\u00d6E@acme.example"]
)
@pytest.mark.spec("RFC 9493", "3.2.2", "the case and the form of an address do not matter")
def test_a_person_is_found_by_address_in_every_form(okta, connection, email):
    session = make_session(make_federated_user(connection, "00uzoe", "Z\u00f6e@acme.example"))
    assert okta.post({"sub_id": {"format": "email", "email": email}}).status_code == 204
    assert not lives(session)


def test_an_address_with_the_kelvin_sign_is_another(okta, connection):
    session = make_session(make_federated_user(connection, "00ukarl", "karl@acme.example"))
    assert okta.post({"sub_id": {"format": "email", "email": "\u212aarl@acme.example"}}).status_code == 404
    assert lives(session)


def unverified(connection, sub, email):
    user = make_federated_user(connection, sub, email)
    User.objects.filter(pk=user.pk).update(email_verified=False)
    return make_session(user)


def test_an_address_that_somebody_else_only_claims_does_not_keep_its_owner_in(okta, session, connection):
    """GTR: what is unverified blocks no revocation of what is."""
    claims_it = unverified(connection, "00ueve", "Ann@acme.example")
    assert okta.post({"sub_id": {"format": "email", "email": "ann@acme.example"}}).status_code == 204
    assert not lives(session)
    assert lives(claims_it)


def test_an_address_that_two_people_only_claim_signs_out_neither(okta, connection):
    sessions = [unverified(connection, f"00u{n}", "eve@acme.example") for n in range(2)]
    assert_refused(okta.post({"sub_id": {"format": "email", "email": "eve@acme.example"}}), 422)
    assert lives(*sessions)


def test_a_linked_account_counts_as_verified_by_the_address_of_its_person(okta, connection):
    mary = make_user("mary@acme.example")
    user = make_federated_user(connection, "00umary", "mary@acme.example")
    accounts.link_identity(user.identities.get(), mary, actor="admin:a", at=timezone.now())
    through_it = make_session(mary, identity=mary.identities.get(connection=connection), connection=connection)
    claims_it = unverified(connection, "00ueve", "mary@acme.example")
    assert okta.post({"sub_id": {"format": "email", "email": "mary@acme.example"}}).status_code == 204
    assert not lives(through_it)
    assert lives(claims_it)


@pytest.mark.parametrize("kept", ["Ren\u00e9e@acme.example", "Rene\u0301e@acme.example", "REN\u00c9E@acme.example"])
def test_a_linked_account_counts_as_verified_in_whichever_form_its_person_s_address_is_kept(okta, connection, kept):
    mary = make_user(kept)
    user = make_federated_user(connection, "00umary", kept)
    accounts.link_identity(user.identities.get(), mary, actor="admin:a", at=timezone.now())
    through_it = make_session(mary, identity=mary.identities.get(connection=connection), connection=connection)
    claims_it = unverified(connection, "00ueve", "ren\u00e9e@acme.example")
    assert okta.post({"sub_id": {"format": "email", "email": "ren\u00e9e@acme.example"}}).status_code == 204
    assert not lives(through_it)
    assert lives(claims_it)
