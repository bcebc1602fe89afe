"""From an account upstream to a person of ours."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from idp.connections.contract import Account, UpstreamFault
from idp.models import Identity, User
from idp.people import accounts, identities
from sessions_app.models import SSOSession
from tests.support.factories import make_connection, make_user
from tests.support.sign_in import session_of
from tests.support.upstream import come_back, depart, sign_in

pytestmark = pytest.mark.django_db


def receive(sub: str = "00u1", **fields) -> Identity:
    return identities.receive(make_connection("Acme", "oidc"), Account(sub=sub, **fields), at=timezone.now())


def test_a_person_is_made_when_first_seen_and_refreshed_each_time():
    profile = {"name": "Mary", "picture": "https://acme.example/m.png", "groups": ["a"], "phone_number": 7}
    first = receive(email="Mary@Acme.example", email_verified=True, profile=profile)
    user = User.objects.get()
    assert (user.user_id, user.email, user.email_verified) == ("oidc|Acme|00u1", "Mary@Acme.example", True)
    assert (user.name, user.picture, user.phone_number) == ("Mary", "https://acme.example/m.png", "")
    assert not user.has_usable_password()
    assert (first.email, first.login, first.profile) == ("mary@acme.example", None, profile)

    again = receive(email="mary.smith@acme.example", profile={"name": "Mary Smith", "picture": "javascript:x"})
    user.refresh_from_db()
    assert again.pk == first.pk
    assert (user.name, user.picture, user.email, user.email_verified) == (
        "Mary Smith",
        "",
        "mary.smith@acme.example",
        False,
    )


def test_nobody_is_linked_by_an_address():
    mary = make_user("mary@acme.example")
    people = {receive(sub, email="mary@acme.example", email_verified=True).user for sub in ("00u1", "00u2")}
    assert len(people) == 2
    assert mary not in people


def test_subs_that_differ_in_case_are_different_people():
    assert receive("abc").user != receive("ABC").user


@pytest.mark.parametrize("sub", ["", "x" * 250, "a\0b", "a\nb", "\ud800"])
def test_a_sub_that_cannot_be_kept_is_a_fault(sub):
    with pytest.raises(UpstreamFault):
        receive(sub)
    assert not User.objects.exists()


def test_what_a_database_cannot_keep_is_left_out():
    """An upstream's JSON may hold NUL and lone surrogates, which PostgreSQL refuses."""
    profile = {"name": "M\0ary\ud800", "given_name": "x" * 5000, "deep": {"a\0": ["b\udfff", 1, None]}}
    identity = receive(email="a\0@acme.example", profile=profile)
    user = User.objects.get()
    assert (user.name, user.email) == ("Mary", "")
    assert user.given_name == "x" * User._meta.get_field("given_name").max_length
    identity.refresh_from_db()
    assert identity.profile["deep"] == {"a": ["b", 1, None]}
    receive(email="a\0@acme.example", profile=profile)


def test_a_linked_account_leaves_its_persons_own_profile_alone():
    mary = make_user()
    accounts.link_identity(receive(email="m@acme.example"), mary, actor="admin:a", at=timezone.now())
    identity = receive(email="other@acme.example", profile={"name": "Somebody"})
    mary.refresh_from_db()
    assert identity.user == mary
    assert (mary.email, mary.name) == ("mary@fabrikamcorp.com", "Mary")
    assert identity.email == "other@acme.example"


def test_a_linked_account_signs_in_its_new_person_and_its_old_sessions_are_over(acme):
    mary, client = make_user(), Client()
    sign_in(client)
    before = session_of(client)
    accounts.link_identity(before.identity, mary, actor="admin:a", at=timezone.now())
    before.refresh_from_db()
    assert before.ended_at
    sign_in(client)
    after = session_of(client)
    assert (after.user, after.identity.pk) == (mary, before.identity_id)


def test_an_account_of_a_blocked_person_is_not_linked():
    mary, identity, now = make_user(), receive(), timezone.now()
    accounts.block_user(identity.user, actor="admin:a", at=now)
    with pytest.raises(accounts.CannotLink):
        accounts.link_identity(identity, mary, actor="admin:a", at=now)
    identity.refresh_from_db()
    assert identity.user != mary


@pytest.mark.parametrize("sid", ["x" * 256, "a\0b"])
def test_a_session_id_that_cannot_be_kept_lets_nobody_in(acme, sid):
    acme.account = Account(sub="00u1", upstream_sid=sid)
    client = Client()
    assert sign_in(client).status_code == 400
    assert session_of(client) is None


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

    def test_first_sign_ins_at_once_make_one_person(self):
        connection = make_connection("Acme", "oidc")
        account = Account(sub="00u1", email="mary@acme.example")
        found = self.at_once(lambda _: identities.receive(connection, account, at=timezone.now()).pk)
        assert len(set(found)) == 1
        assert (User.objects.count(), Identity.objects.count()) == (1, 1)

    def test_one_answer_that_comes_several_times_signs_in_once(self, acme):
        client = Client()
        state = depart(client)

        def arrive(_: int) -> int:
            browser = Client()
            browser.cookies.update(client.cookies)
            return come_back(browser, state).status_code

        assert sorted(self.at_once(arrive)) == [302, *[400] * 5]
        assert SSOSession.objects.count() == 1
