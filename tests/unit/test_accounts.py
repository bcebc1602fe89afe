"""Acts on people and connections, and the signals that tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.dispatch import Signal
from django.utils import timezone
from django.utils.module_loading import import_string

from idp import signals
from idp.models import Identity, User
from idp.people import accounts
from idp.settings import PASSWORD_HASHERS
from idp.tenants import configuration
from tests.support.factories import make_connection, make_user
from tests.support.hashers import QuickArgon2Hasher

pytestmark = pytest.mark.django_db


@contextmanager
def heard(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    calls: list[dict[str, Any]] = []

    def receiver(sender: Any, **kwargs: Any) -> None:
        calls.append(kwargs)

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)


def test_blocking_is_told_once_with_the_actor() -> None:
    user, now = make_user(), timezone.now()
    with heard(signals.user_blocked) as calls:
        assert accounts.block_user(user, actor="admin:a", at=now)
        assert not accounts.block_user(user, actor="admin:a", at=now)
    assert [(c["user"], c["actor"], c["at"]) for c in calls] == [(user, "admin:a", now)]
    assert not User.objects.get().is_active


def test_unblocking_opens_the_account_again() -> None:
    user = make_user(is_active=False)
    assert accounts.unblock_user(user, actor="admin:boss", at=timezone.now())
    assert User.objects.get().is_active


def test_a_receiver_that_fails_rolls_the_block_back() -> None:
    user = make_user()

    def fail(**kwargs: Any) -> None:
        raise RuntimeError("the door is shut")

    signals.user_blocked.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            accounts.block_user(user, actor="system", at=timezone.now())
    finally:
        signals.user_blocked.disconnect(fail)
    assert User.objects.get().is_active


def test_deleting_is_told_while_the_person_is_still_there() -> None:
    user = make_user()
    seen: list[bool] = []

    def look(user: User, **kwargs: Any) -> None:
        seen.append(User.objects.filter(pk=user.pk).exists())

    signals.user_deleted.connect(look)
    try:
        accounts.delete_user(user, actor="admin:a", at=timezone.now())
    finally:
        signals.user_deleted.disconnect(look)
    assert seen == [True]
    assert not User.objects.exists()


def test_a_new_address_renames_the_database_login() -> None:
    user = make_user("mary@fabrikamcorp.com")
    with heard(signals.email_changed) as calls:
        assert accounts.change_email(user, "Mary.J@x.example", verified=False, actor="admin:a", at=timezone.now())
        assert not accounts.change_email(user, "Mary.J@x.example", verified=False, actor="a", at=timezone.now())
    assert len(calls) == 1
    assert Identity.objects.get().login == "mary.j@x.example"
    assert not User.objects.get().email_verified


def test_a_new_address_takes_the_old_mailbox_away_also_from_people_who_sign_in_by_a_user_name() -> None:
    user = make_user("old@fabrikamcorp.com")
    Identity.objects.filter(user=user).update(login="mary")
    accounts.change_email(user, "new@fabrikamcorp.com", verified=True, actor="user", at=timezone.now())
    identity = Identity.objects.get()
    assert (identity.login, identity.email) == ("mary", "new@fabrikamcorp.com")


def test_an_address_of_somebody_else_is_refused_and_changes_nothing() -> None:
    make_user("bob@fabrikamcorp.com")
    user = make_user("mary@fabrikamcorp.com")
    with heard(signals.email_changed) as calls, pytest.raises(accounts.EmailTaken):
        accounts.change_email(user, "bob@fabrikamcorp.com", verified=True, actor="admin:a", at=timezone.now())
    assert calls == []
    assert User.objects.get(pk=user.pk).email == "mary@fabrikamcorp.com"


def test_the_kelvin_sign_is_not_the_letter_k() -> None:
    assert accounts.ascii_lower("\u212aARL") == "\u212aarl"


def test_an_administrators_new_password_names_the_administrator() -> None:
    user = make_user()
    with heard(signals.password_changed) as calls:
        accounts.set_password(user, "another good pass phrase", actor="admin:a")
    assert [c["actor"] for c in calls] == ["admin:a"]
    assert User.objects.get().check_password("another good pass phrase")


def test_disabling_a_connection_is_told_once_and_is_seen_by_every_process() -> None:
    connection, now = make_connection(), timezone.now()
    before = configuration.current().version
    with heard(signals.connection_disabled) as calls:
        assert accounts.disable_connection(connection, actor="admin:a", at=now)
        assert not accounts.disable_connection(connection, actor="admin:a", at=now)
    assert [c["connection"] for c in calls] == [connection]
    assert configuration.current().version > before


def test_passwords_of_the_product_are_hashed_at_owasps_minimum() -> None:
    """The tests' own settings have a quicker one."""
    hasher = import_string(PASSWORD_HASHERS[0])()
    assert hasher.must_update(make_password("a password", hasher=QuickArgon2Hasher()))
    params = hasher.decode(hasher.encode("a password", "salt-of-some-length"))
    assert (params["variety"], params["memory_cost"], params["time_cost"], params["parallelism"]) == (
        "argon2id",
        19 * 1024,
        2,
        1,
    )
