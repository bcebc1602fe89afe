"""The other options of a database connection: user names, and what slows down guessing."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from idp.connections import database
from idp.limits import limiter
from idp.models import Identity, User
from tests.support.factories import PASSWORD, browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db


def named(email="mary@fabrikamcorp.com", username="mary", **options):
    connection = make_connection("Named", options={"requires_username": True, **options})
    user = make_user(email, connection)
    Identity.objects.filter(user=user).update(login=username)
    return user


# --- requires_username ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("login", ["mary", "MARY ", "mary@fabrikamcorp.com", "Mary@FabrikamCorp.com"])
def test_with_user_names_either_name_signs_in(login):
    mary = named()
    client = csrf_client()
    assert sign_in_by_form(client, login).status_code == 302
    assert session_of(client).user == mary


def test_of_two_accounts_with_one_address_the_address_means_neither():
    mary, other = named(), named(username="mary2")
    connection = mary.identities.get().connection
    verify = database.DatabaseProtocol().verify
    assert verify(connection, "mary@fabrikamcorp.com", PASSWORD, timezone.now()) is None
    assert verify(connection, "mary2", PASSWORD, timezone.now()).user == other


def test_without_the_option_a_user_name_that_nobody_gave_is_nobody():
    make_user()
    assert sign_in_by_form(csrf_client(), "mary").status_code == 200


def test_an_unknown_name_costs_the_same_statements(django_assert_num_queries):
    connection = named().identities.get().connection
    verify = database.DatabaseProtocol().verify
    for login in ("mary", "nobody", "mary@fabrikamcorp.com", "nobody@fabrikamcorp.com"):
        with django_assert_num_queries(1):
            verify(connection, login, "wrong", timezone.now())


def test_a_new_person_of_such_a_connection_needs_a_user_name():
    connection = make_connection("Named", options={"requires_username": True})
    admin = browser(make_session(User.objects.create_superuser(email="boss@fabrikamcorp.com")))
    data = {
        "connection": connection.pk,
        "email": "pat@fabrikamcorp.com",
        "password": "fuchsia otter volcano",
        "name": "",
    }
    for wrong in ("", "pat@fabrikamcorp.com"):
        page = admin.post("/admin/idp/user/add/", {**data, "username": wrong})
        assert "Give a user name without @" in page.content.decode()
    assert admin.post("/admin/idp/user/add/", {**data, "username": "Pat"}).status_code == 302
    identity = Identity.objects.get(connection=connection)
    assert (identity.login, identity.email) == ("pat", "pat@fabrikamcorp.com")


def test_a_tenant_file_says_which_person_has_no_user_name(tmp_path):
    file = tmp_path / "tenant.yaml"
    text = """
connections: [{name: Named, strategy: auth0, options: {requires_username: true}}]
users:
  - {connection: Named, email: mary@fabrikamcorp.com, username: mary, password: fuchsia otter volcano}
  - {connection: Named, email: john@fabrikamcorp.com, password: fuchsia otter volcano}
"""
    file.write_text(text)
    with pytest.raises(CommandError, match=r"users\[1\]\.username: is missing"):
        call_command("apply", str(file))
    file.write_text("\n".join(text.splitlines()[:-1]))
    call_command("apply", str(file))
    assert Identity.objects.get().login == "mary"


# --- brute_force_protection ----------------------------------------------------------------------------------------------
def guess(times):
    return [sign_in_by_form(Client(), password="wrong").status_code for _ in range(times)]


def test_guessing_one_account_is_stopped_unless_the_connection_says_otherwise(monkeypatch):
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 3, 900))
    connection = make_connection()
    make_user()
    assert guess(5) == [200] * 3 + [429] * 2
    connection.options = {"brute_force_protection": False}
    connection.save()
    assert guess(5) == [200] * 5


def test_networks_keep_their_budget_without_the_option(monkeypatch):
    monkeypatch.setattr(limiter, "ADDRESS", limiter.Limit("address", 3, 900))
    make_connection(options={"brute_force_protection": False})
    make_user()
    assert guess(4) == [200] * 3 + [429]


# --- disable_signup ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("disabled", [True, False])
def test_nobody_signs_up_by_themselves(disabled):
    """There is no page for it, whatever the option says."""
    make_connection(options={"disable_signup": disabled})
    assert Client().get("/account/signup/").status_code == 404
    assert "sign up" not in Client().get("/login").content.decode().lower()
