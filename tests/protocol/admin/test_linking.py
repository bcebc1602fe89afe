"""Linking an account to another person: said before it is done, ended where it must end, and undone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.connections.contract import Account
from idp.models import Connection, Identity, User
from idp.people import accounts, identities
from logout_app.models import LogoutEvent
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
ACCOUNT = Account(sub="00u1", email="mary@fabrikamcorp.com", email_verified=True, profile={"name": "Mary at Acme"})


@pytest.fixture
def acme() -> Connection:
    return make_connection("acme", "okta")


@pytest.fixture
def account(acme: Connection) -> Identity:
    return identities.receive(acme, ACCOUNT, at=timezone.now())


def act_url(identity: Identity, act: str) -> str:
    return reverse("admin:idp_identity_act", args=(identity.pk, act))


def link(client: Client, identity: Identity, person: str) -> Any:
    return client.post(act_url(identity, "link"), {"person": person})


def owner(identity: Identity) -> User:
    return Identity.objects.select_related("user").get(pk=identity.pk).user


def test_an_account_with_the_same_address_is_somebody_else_until_it_is_linked(admin: Client, account: Identity) -> None:
    mary = make_user()
    assert owner(account) != mary
    assert owner(account).user_id == "okta|acme|00u1"
    assert link(admin, account, mary.user_id).status_code == 302
    assert owner(account) == mary
    assert owner(identities.receive(account.connection, ACCOUNT, at=timezone.now())) == mary


def test_the_page_says_what_happens_before_it_does(admin: Client, account: Identity) -> None:
    page = admin.get(act_url(account, "link")).content.decode()
    assert "signs in mary@fabrikamcorp.com (okta|acme|00u1) now" in page
    assert "has no other way to sign in: the person stays" in page
    assert owner(account).user_id == "okta|acme|00u1"


def test_what_began_through_the_account_ends_and_nothing_else(admin: Client, account: Identity) -> None:
    mary, app, former = make_user(), make_application(), owner(account)
    theirs = make_session(former, app, identity=account, connection=account.connection)
    hers = make_session(mary, app)
    families = [
        RefreshTokenFamily.objects.create(
            user=user, application=app, session=session, offline=True, auth_time=timezone.now()
        )
        for user, session in ((former, theirs), (mary, hers))
    ]
    link(admin, account, mary.user_id)
    assert SSOSession.objects.get(pk=theirs.pk).end_initiator == "session-revoked"
    assert SSOSession.objects.get(pk=hers.pk).ended_at is None
    revoked = [RefreshTokenFamily.objects.get(pk=family.pk).revoked_at is not None for family in families]
    assert revoked == [True, False]
    assert LogoutEvent.objects.get().sub == "okta|acme|00u1"


def test_unlinking_gives_the_account_back_to_the_person_that_it_had(admin: Client, account: Identity) -> None:
    mary, former = make_user(), owner(account)
    link(admin, account, mary.user_id)
    session = make_session(mary, identity=account, connection=account.connection)
    page = admin.get(act_url(account, "unlink")).content.decode()
    assert "signs in mary@fabrikamcorp.com (okta|acme|00u1) again" in page
    assert admin.post(act_url(account, "unlink")).status_code == 302
    assert owner(account) == former
    assert SSOSession.objects.get(pk=session.pk).ended_at is not None


def test_unlinking_makes_a_person_where_the_former_one_is_gone(account: Identity) -> None:
    mary = make_user()
    now, former = timezone.now(), owner(account)
    accounts.link_identity(account, mary, actor="admin:x", at=now)
    former.delete()
    account.refresh_from_db()
    assert accounts.unlink_identity(account, actor="admin:x", at=now)
    assert owner(account).user_id == "okta|acme|00u1"
    assert not owner(account).has_usable_password()


def test_an_account_whose_new_person_is_deleted_finds_its_former_one(account: Identity) -> None:
    mary, now, former = make_user(), timezone.now(), owner(account)
    accounts.link_identity(account, mary, actor="admin:x", at=now)
    accounts.delete_user(mary, actor="admin:x", at=now)
    assert identities.receive(account.connection, ACCOUNT, at=now).user == former


def test_a_second_link_to_the_same_person_does_nothing(account: Identity) -> None:
    mary, now = make_user(), timezone.now()
    assert accounts.link_identity(account, mary, actor="admin:x", at=now)
    make_session(mary, identity=account, connection=account.connection)
    assert not accounts.link_identity(account, mary, actor="admin:x", at=now)
    assert not SSOSession.objects.filter(user=mary).exclude(ended_at=None).exists()
    assert not accounts.unlink_identity(mary.identities.get(connection__name="FabrikamAD"), actor="admin:x", at=now)


def test_an_account_of_a_database_cannot_be_linked(admin: Client) -> None:
    mary, bob = make_user(), make_user("bob@fabrikamcorp.com")
    identity = bob.identities.get()
    link(admin, identity, mary.user_id)
    assert owner(identity) == bob
    with pytest.raises(accounts.CannotLink):
        accounts.link_identity(identity, mary, actor="admin:x", at=timezone.now())


@pytest.mark.parametrize("person", ["", "nobody@fabrikamcorp.com", "okta|acme|00u1", "a\0b", "twin@fabrikamcorp.com"])
def test_the_person_must_be_one_and_another(admin: Client, account: Identity, person: str) -> None:
    make_user("twin@fabrikamcorp.com")
    make_user("Twin@fabrikamcorp.com", make_connection("other"))
    response = link(admin, account, person)
    assert response.status_code == 200
    assert response.context["form"].errors["person"]
    assert owner(account).user_id == "okta|acme|00u1"


def test_an_address_that_one_person_has_will_do(admin: Client, account: Identity) -> None:
    bob = make_user("bob@fabrikamcorp.com")
    link(admin, account, "Bob@fabrikamcorp.com")
    assert owner(account) == bob


@pytest.mark.parametrize("direction", ["to", "from"])
def test_only_a_superuser_changes_how_people_with_powers_sign_in(boss: User, account: Identity, direction: str) -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    for codename in ("change_user", "view_identity", "view_user"):
        clerk.user_permissions.add(Permission.objects.get(codename=codename))
    client, mary = browser(make_session(clerk)), make_user()
    if direction == "from":
        User.objects.filter(pk=account.user_id).update(is_staff=True)
    assert link(client, account, boss.user_id if direction == "to" else mary.user_id).status_code == 403
    assert owner(account).user_id == "okta|acme|00u1"


def test_linking_asks_for_a_fresh_proof_and_leaves_a_trace(
    tired_admin: Client, admin: Client, account: Identity
) -> None:
    mary = make_user()
    assert "reauthenticate" in link(tired_admin, account, mary.user_id)["Location"]
    assert owner(account) != mary
    link(admin, account, mary.user_id)
    assert LogEntry.objects.get().get_change_message() == "Link to another person"


def test_a_persons_page_lists_how_they_sign_in(admin: Client, account: Identity) -> None:
    mary = make_user()
    link(admin, account, mary.user_id)
    page = admin.get(reverse("admin:idp_user_change", args=(mary.pk,))).content.decode()
    assert "Signs in as" in page
    assert "00u1" in page
    assert reverse("admin:idp_identity_change", args=(account.pk,)) in page
    assert (
        "Unlink from this person"
        in admin.get(reverse("admin:idp_identity_change", args=(account.pk,))).content.decode()
    )
