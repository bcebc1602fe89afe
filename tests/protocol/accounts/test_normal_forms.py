"""One person has one name and one password, on whatever system they are typed; two people never have the same."""

from __future__ import annotations

import unicodedata
from unittest.mock import Mock

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from idp import signals
from idp.connections import database
from idp.limits import limiter
from idp.models import Identity, User
from idp.people import accounts, passwords
from idp.people.search import people
from sessions_app.account import mail
from sessions_app.models import SessionEvent
from tests.support.factories import PASSWORD, browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db
NFC, NFD = "Ren\u00e9e", "Rene\u0301e"
PHRASE = "Schl\u00fcssel f\u00fcr alle T\u00fcren"
PHRASE_OF_A_MAC = unicodedata.normalize("NFD", PHRASE)


def named(username: str, **fields) -> User:
    connection = make_connection("Named", options={"requires_username": True})
    user = make_user(fields.pop("email", "mary@fabrikamcorp.com"), connection, **fields)
    Identity.objects.filter(user=user).update(login=username)
    return user


def signs_in(username: str, password: str = PASSWORD) -> User | None:
    client = csrf_client()
    sign_in_by_form(client, username, password)
    session = session_of(client)
    return session.user if session else None


# --- names ---------------------------------------------------------------------------------------------------------------
def test_the_kelvin_sign_signs_nobody_in():
    mary = named("karl")
    assert signs_in("\u212aarl") is None
    assert signs_in("KARL") == mary


def test_the_kelvin_sign_has_a_budget_of_its_own_and_uses_up_nobodys(monkeypatch):
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 2, 900))
    mary = named("karl")
    for _ in range(3):
        sign_in_by_form(Client(), "\u212aarl", "guess")
    assert signs_in("karl") == mary


@pytest.mark.spec("RFC 8265", "3.3.2", "User names are compared in lower case and in NFC")
@pytest.mark.parametrize("typed", [NFC, NFD, NFC.upper(), NFD.upper(), f" {NFD} "])
def test_a_name_signs_in_in_every_form(typed):
    mary = named("ren\u00e9e")
    assert signs_in(typed) == mary


def test_every_form_of_a_name_shares_one_budget(monkeypatch):
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 3, 900))
    named("ren\u00e9e")
    answers = [sign_in_by_form(Client(), typed, "guess").status_code for typed in (NFC, NFD, NFC.upper(), NFD.upper())]
    assert answers == [200, 200, 200, 429]
    assert {event.sub for event in SessionEvent.objects.filter(type="sign_in_failed")} == {User.objects.get().user_id}


def test_a_name_in_ascii_costs_one_statement_and_another_form_two(django_assert_num_queries):
    connection = named("ren\u00e9e").identities.get().connection
    for typed, statements in (("mary", 1), ("ren\u00e9e", 1), (NFD, 2)):
        with django_assert_num_queries(statements):
            database.by_login(connection, typed)


def test_two_people_whose_names_differ_in_their_form_only_keep_their_own():
    composed, decomposed = named("ren\u00e9e"), named("rene\u0301e", email="other@fabrikamcorp.com")
    assert signs_in("ren\u00e9e") == composed
    assert signs_in("rene\u0301e") == decomposed
    assert signs_in("REN\u00c9E") == composed


def test_the_admin_keeps_names_in_their_form_and_refuses_the_same_one_and_look_alikes():
    connection = make_connection("Named", options={"requires_username": True})
    admin = browser(make_session(User.objects.create_superuser(email="boss@fabrikamcorp.com")))
    data = {"connection": connection.pk, "password": "fuchsia otter volcano", "name": ""}

    def add(username: str, email: str) -> str:
        return admin.post("/admin/idp/user/add/", {**data, "username": username, "email": email}).content.decode()

    assert add(NFD.upper(), "renee@fabrikamcorp.com") == ""
    assert Identity.objects.get(connection=connection).login == "ren\u00e9e"
    assert "Somebody signs in with this user name already" in add(NFC, "two@fabrikamcorp.com")
    assert "type it plainly" in add("\u212aarl", "three@fabrikamcorp.com")


def test_a_tenant_file_finds_people_in_every_form_and_prunes_none_of_them(tmp_path):
    mary = named("ren\u00e9e")
    file = tmp_path / "tenant.yaml"
    entry = "{connection: Named, email: mary@fabrikamcorp.com, username: %s}"
    file.write_text(f"users: [{entry % NFD.upper()}]", encoding="utf-8")
    call_command("apply", str(file), "--prune")
    assert Identity.objects.get().user == mary
    Identity.objects.update(login="rene\u0301e")  # as it stayed where somebody else had the other
    call_command("apply", str(file), "--prune")
    assert Identity.objects.get().user == mary


# --- addresses -----------------------------------------------------------------------------------------------------------
def test_an_address_names_the_account_of_which_it_is_verified():
    mary, impostor = named("mary"), named("mary2")
    connection, verify = mary.identities.get().connection, database.DatabaseProtocol().verify
    User.objects.filter(pk=impostor.pk).update(email_verified=False)
    assert verify(connection, "mary@fabrikamcorp.com", PASSWORD, timezone.now()).user == mary
    User.objects.update(email_verified=False)
    assert verify(connection, "mary@fabrikamcorp.com", PASSWORD, timezone.now()) is None


def test_a_link_to_a_new_password_reaches_an_address_in_every_form():
    mary = make_user()
    Identity.objects.update(email="m\u00fcller@fabrikamcorp.com")
    assert mail.people_with_address("Mu\u0308LLER@Fabrikamcorp.com") == [mary]


def test_a_new_address_takes_the_old_one_away_in_every_form():
    mary = make_user("m\u00dcller@fabrikamcorp.com")
    Identity.objects.update(login="m\u00fcller@fabrikamcorp.com", email="m\u00fcller@fabrikamcorp.com")
    accounts.change_email(mary, "Mary@fabrikamcorp.com", verified=True, actor="user", at=timezone.now())
    identity = Identity.objects.get()
    assert (identity.login, identity.email) == ("mary@fabrikamcorp.com", "mary@fabrikamcorp.com")


# --- passwords -------------------------------------------------------------------------------------------------------------
@pytest.mark.spec("NIST SP 800-63B-4", "3.1.1.2", "Passwords are normalised before they are hashed")
@pytest.mark.parametrize("kept", [PHRASE, PHRASE_OF_A_MAC])
@pytest.mark.parametrize("typed", [PHRASE, PHRASE_OF_A_MAC])
def test_a_password_signs_in_in_every_form_also_one_that_was_stored_before(kept, typed):
    mary = make_user()
    User.objects.update(password=make_password(kept))
    assert signs_in("mary@fabrikamcorp.com", typed) == mary
    mary.refresh_from_db()
    assert hashers.check_password(PHRASE, mary.password)


def test_a_hash_that_comes_into_its_form_ends_no_session_and_undoes_no_new_password():
    mary = make_user()
    User.objects.update(password=make_password(PHRASE_OF_A_MAC))
    heard = Mock()
    signals.password_changed.connect(heard)
    try:
        stale = User.objects.get()
        assert User.objects.get().check_password(PHRASE)
        User.objects.update(password=make_password("another one"))
        assert stale.check_password(PHRASE)  # was right when it was read
    finally:
        signals.password_changed.disconnect(heard)
    heard.assert_not_called()
    mary.refresh_from_db()
    assert mary.check_password("another one")


def test_every_way_to_set_a_password_keeps_its_form():
    mary = make_user()
    accounts.set_password(mary, PHRASE_OF_A_MAC, actor="user")
    assert hashers.check_password(PHRASE, User.objects.get().password)


@pytest.mark.parametrize(("typed", "most"), [("guess", 1), (PHRASE, 2), (PHRASE_OF_A_MAC, 2), ("g\u00a0uess", 2)])
@pytest.mark.parametrize("login", ["mary@fabrikamcorp.com", "nobody@fabrikamcorp.com"])
def test_a_wrong_password_costs_two_hashes_at_most_whoever_it_is_for(monkeypatch, login, typed, most):
    """As many for nobody."""
    make_user()
    hashed = []

    def check(password, *args):
        hashed.append(password)
        return False

    monkeypatch.setattr(passwords, "check_password", check)
    monkeypatch.setattr(database, "check_password", check)
    assert database.DatabaseProtocol().verify(make_connection(), login, typed, timezone.now()) is None
    assert len(hashed) == most


def test_a_password_is_measured_as_it_is_kept():
    admin = browser(make_session(User.objects.create_superuser(email="boss@fabrikamcorp.com")))
    data = {"connection": make_connection().pk, "email": "pat@fabrikamcorp.com", "name": "", "username": ""}
    page = admin.post("/admin/idp/user/add/", {**data, "password": "u\u0308" * 7})
    assert "too short" in page.content.decode()


# --- those who look for somebody ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", [NFC, NFD, NFC.upper(), NFD.upper()])
@pytest.mark.parametrize("kept", [NFC, NFD])
def test_an_administrator_finds_a_person_in_every_form(kept, typed):
    """`kept` is the name as its directory gave it."""
    address = f"{kept}@fabrikamcorp.com"
    mary = named("ren\u00e9e", email=address, name=f"{kept} Roux")
    admin = browser(make_session(User.objects.create_superuser(email="boss@fabrikamcorp.com")))
    for query in (typed, f"{typed}@fabrikamcorp.com"):
        for table in ("user", "identity"):
            page = admin.get(f"/admin/idp/{table}/", {"q": query}).content.decode()
            assert address in page, (table, query)
        trail = admin.get("/admin/sessions_app/sessionevent/", {"q": query})
        assert trail.status_code == 200
        assert mary.user_id in set(people(query).values_list("user_id", flat=True))
    assert list(accounts.with_address(f"{typed}@fabrikamcorp.com")) == [mary]
