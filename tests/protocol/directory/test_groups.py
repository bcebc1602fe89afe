"""Groups: from a connection at each sign-in, from an administrator, each replacing what it said itself."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.connections.contract import Account
from idp.directory import entitlements, memberships
from idp.directory.references import GroupKey, matching, read
from idp.directory.rules import LONGEST_GROUP
from idp.models import Group, Identity, Membership, Role, Source, User
from idp.people import accounts, identities
from sessions_app.models import SessionEvent
from tests.support.factories import make_application, make_connection, make_user

pytestmark = pytest.mark.django_db
STRANGE = [
    "Domain Admins",
    "CN=Staff\\, EU,OU=Groups,DC=x",
    "чужие",
    "a'b\"c",
    "😀",
    " spaces ",
    "{}[]*",
    "admins",
    "Admins",
]


def sign_in(groups: object = (), sub: str = "u1", name: str = "Acme") -> Identity:
    profile = {"name": "Mary"} | ({} if groups is None else {"groups": groups})
    return identities.receive(make_connection(name, "oidc"), Account(sub=sub, profile=profile), at=timezone.now())


def groups_of(user: User) -> list[str]:
    return entitlements.load(user.pk).group_names


def test_a_sign_in_replaces_the_groups_that_the_connection_gave():
    user = sign_in(["staff", "admins"]).user
    assert groups_of(user) == ["admins", "staff"]
    sign_in(["staff", "new"])
    assert groups_of(user) == ["new", "staff"]
    sign_in([])
    assert groups_of(user) == []
    assert {group.name for group in Group.objects.all()} == {"staff", "admins", "new"}


def test_a_connection_that_names_no_groups_any_more_has_taken_them_away():
    user = sign_in(["staff"]).user
    sign_in(None)
    assert groups_of(user) == []


@pytest.mark.parametrize("said", ["staff", {"staff": 1}, 7, [None, 7, {}]])
def test_what_is_no_list_of_names_is_nobodys_group(said):
    assert groups_of(sign_in(said).user) == []


def test_names_have_every_character_and_keep_their_case():
    user = sign_in(STRANGE).user
    assert sorted(groups_of(user)) == sorted(STRANGE)
    assert {"admins", "Admins"} <= set(groups_of(user))


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_GROUP + 1), "staff\0", "a\ud800"])
def test_a_name_that_cannot_be_kept_does_not_become_another_group(name):
    assert groups_of(sign_in(["staff-2", name]).user) == ["staff-2"]
    with pytest.raises(ValueError, match=r"."):
        memberships.replace_memberships(sign_in(), [name], Source.SCIM, at=timezone.now())


def test_a_name_is_unique_within_its_source_only():
    corp, acme = make_connection("Corp", "oidc"), make_connection("Acme", "oidc")
    for source in (corp, acme, None):
        memberships.group_of(source, "staff")
        memberships.group_of(source, "Staff")
    assert Group.objects.count() == 6
    for source in (corp, None):
        with pytest.raises(IntegrityError), transaction.atomic():
            Group.objects.create(connection=source, name="staff")


def test_two_thousand_groups_are_a_few_statements_and_none_when_they_come_again():
    many = [f"group-{number}" for number in range(2000)]
    identity = sign_in([])
    with CaptureQueriesContext(connection) as first:
        sign_in(many)
    assert len(first) < 60  # SQLite takes few rows at once
    with CaptureQueriesContext(connection) as again:
        sign_in(many)
    assert len(again) == 2  # the connection, which the test looks up, and the account
    assert len(groups_of(identity.user)) == 2000
    sign_in(many[:1])
    assert groups_of(identity.user) == many[:1]


def test_a_sign_in_without_groups_costs_nothing_more():
    sign_in(None)
    with CaptureQueriesContext(connection) as queries:
        sign_in(None)
    assert len(queries) == 2  # as above


def test_what_one_source_says_leaves_what_another_said():
    identity, now = sign_in(["staff"]), timezone.now()
    ours = memberships.group_of(None, "ours")
    memberships.replace_memberships(identity, ["staff", "scim"], Source.SCIM, at=now)
    assert memberships.add_person(ours, identity.user, actor="admin:a", at=now)
    assert not memberships.add_person(ours, identity.user, actor="admin:a", at=now)
    sign_in([])
    assert groups_of(identity.user) == ["ours", "scim", "staff"]
    memberships.replace_memberships(identity, [], Source.SCIM, at=now)
    assert groups_of(identity.user) == ["ours"]
    assert memberships.remove_person(ours, identity.user, actor="admin:a", at=now)
    assert groups_of(identity.user) == []


def test_provisioning_sets_the_members_of_a_group():
    one, two = sign_in([], "u1"), sign_in([], "u2")
    group = memberships.group_of(make_connection("Acme", "oidc"), "eng")
    memberships.set_members(group, [one, two], Source.SCIM, at=timezone.now())
    memberships.set_members(group, [two], Source.SCIM, at=timezone.now())
    assert (groups_of(one.user), groups_of(two.user)) == ([], ["eng"])


def test_an_account_takes_its_groups_along_when_it_is_linked():
    mary, identity = make_user(), sign_in(["staff"])
    former = identity.user
    accounts.link_identity(identity, mary, actor="admin:a", at=timezone.now())
    assert (groups_of(mary), groups_of(former)) == (["staff"], [])


def test_groups_of_a_connection_that_is_closed_do_not_count():
    identity = sign_in(["staff"])
    accounts.disable_connection(identity.connection, actor="admin:a", at=timezone.now())
    assert groups_of(identity.user) == []


def test_a_deleted_group_comes_again_with_the_next_sign_in():
    identity = sign_in(["staff"])
    memberships.delete_group(Group.objects.get(), actor="admin:a", at=timezone.now())
    assert groups_of(identity.user) == []
    assert groups_of(sign_in(["staff"]).user) == ["staff"]
    assert SessionEvent.objects.get(type="group_deleted").data == {"group": "staff", "people": 1}


def test_every_change_is_in_the_audit_trail_with_its_source():
    identity = sign_in(["a", "b"])
    sign_in(["b", "c"])
    lines = list(SessionEvent.objects.filter(type="groups_changed").order_by("pk"))
    assert [(line.actor, line.connection, line.sub) for line in lines] == [
        ("upstream:Acme", "Acme", identity.user.user_id)
    ] * 2
    assert lines[1].data == {
        "added": ["c"],
        "removed": ["a"],
        "count": {"added": 1, "removed": 1},
        "source": "upstream",
    }


def test_a_membership_is_of_an_account_or_of_a_person():
    identity, group = sign_in(), memberships.group_of(None, "ours")
    for of in ({}, {"identity": identity, "user": identity.user}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Membership.objects.create(group=group, source=Source.SCIM, **of)


def test_a_reference_with_its_source_means_that_source_only():
    held = [GroupKey("Acme", "staff"), GroupKey("", "ours")]
    assert matching(read(["staff"]), held) == held[:1]
    assert matching(read([{"connection": "Corp", "name": "staff"}]), held) == []
    assert matching(read([{"connection": "Acme", "name": "staff"}, {"connection": None, "name": "ours"}]), held) == held
    assert matching(read([{"connection": "Acme"}, 7, {"name": "staff"}]), held) == []
    assert matching(read("staff"), held) == []


def test_standard_claims_that_a_directory_knows_are_kept():
    account = Account(
        sub="u1",
        email="m@x.example",
        profile={"preferred_username": "mary", "locale": "de", "zoneinfo": 7, "address": {"country": "DE"}},
    )
    user = identities.receive(make_connection("Acme", "oidc"), account, at=timezone.now()).user
    user.refresh_from_db()
    assert user.claims == {"preferred_username": "mary", "locale": "de", "address": {"country": "DE"}}
    assert user.email_verified is False


def test_addresses_of_a_source_that_verifies_them_are_verified():
    trusted = make_connection("Trusted", "oidc", options={"email_is_verified": True})
    account = Account(sub="u1", email="m@x.example", email_verified=False)
    assert identities.receive(trusted, account, at=timezone.now()).user.email_verified is True


def test_who_names_a_group_with_its_source_follows_its_new_name():
    identity = sign_in(["staff"])
    group, role = (
        Group.objects.get(),
        Role.objects.create(name="r", groups=[{"connection": "Acme", "name": "staff"}, "staff"]),
    )
    app = make_application(access_groups=["staff", {"connection": "Acme", "name": "staff"}])
    memberships.rename_group(group, "team", actor="upstream:Acme", at=timezone.now())
    app.refresh_from_db()
    role.refresh_from_db()
    assert app.access_groups == ["staff", {"connection": "Acme", "name": "team"}]
    assert role.groups == [{"connection": "Acme", "name": "team"}, "staff"]
    assert groups_of(identity.user) == ["team"]
    memberships.group_of(identity.connection, "other")
    for wrong in ("other", ""):
        with pytest.raises(ValueError, match=r"."):
            memberships.rename_group(group, wrong, actor="upstream:Acme", at=timezone.now())


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def at_once(self, act, count: int = 6) -> list:
        barrier = threading.Barrier(count)

        def run(number: int):
            try:
                barrier.wait()
                return act(number)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(run, range(count)))

    def test_people_who_bring_the_same_new_groups_at_once_are_all_in_them(self):
        acme, names = make_connection("Acme", "oidc"), [f"group-{number}" for number in range(40)]

        def come(number: int) -> int:
            ordered = names if number % 2 else names[::-1]
            account = Account(sub=f"u{number}", profile={"groups": ordered})
            return identities.receive(acme, account, at=timezone.now()).user_id

        people = self.at_once(come)
        assert [sorted(entitlements.load(pk).group_names) for pk in people] == [sorted(names)] * 6
        assert Group.objects.count() == 40

    def test_one_account_that_comes_several_times_at_once_has_the_groups_of_one_of_them(self):
        acme = make_connection("Acme", "oidc")
        sign_in([])

        def come(number: int) -> int:
            account = Account(sub="u1", profile={"name": "Mary", "groups": [f"a{number}", f"b{number}"]})
            return identities.receive(acme, account, at=timezone.now()).user_id

        (pk,) = set(self.at_once(come))
        names = entitlements.load(pk).group_names
        assert len(names) == 2
        assert names[0][1:] == names[1][1:]
