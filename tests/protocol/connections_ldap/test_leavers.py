"""Who was disabled or removed in the directory is signed out here soon, without anybody asking."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from idp.connections import registry
from logout_app.ending import deprovisioned
from logout_app.models import LogoutEvent
from logout_app.tasks import end_sessions_of_leavers
from sessions_app.models import RefreshTokenFamily
from tests.protocol.connections_ldap.conftest import change
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.upstreams import samba, slapd


def signed_in(connection, login, password):
    now = timezone.now()
    identity = registry.PASSWORD_PROTOCOLS["ad"].verify(connection, login, password, now)
    return make_session(identity.user, make_application(login), identity=identity, connection=connection)


def is_alive(session):
    session.refresh_from_db()
    return session.ended_at is None


@pytest.mark.once
def test_sessions_of_a_disabled_account_end_and_others_go_on(fabrikam, domain):
    mary, dora = (signed_in(fabrikam, name, samba.PASSWORD) for name in ("mary", "dora"))
    database = make_session(make_user("pat@fabrikamcorp.com", make_connection("Database")))
    end_sessions_of_leavers()
    assert is_alive(dora)

    domain.tool("user", "disable", "dora")
    try:
        end_sessions_of_leavers()
    finally:
        domain.tool("user", "enable", "dora")

    assert not is_alive(dora)
    assert is_alive(mary)
    assert is_alive(database)
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor, event.sub) == ("account-deactivated", "system", dora.user.user_id)


@pytest.mark.once
def test_sessions_of_a_removed_account_end(fabrikam, domain):
    session = signed_in(fabrikam, "leaver", samba.PASSWORD)
    domain.tool("user", "delete", "leaver")
    assert deprovisioned.end_all(timezone.now()) == 1
    assert not is_alive(session)


@pytest.mark.once
def test_sessions_of_somebody_who_left_the_group_of_the_filter_end(fabrikam, domain):
    session = signed_in(fabrikam, "mary", samba.PASSWORD)
    change(
        fabrikam,
        user_filter=f"(&(sAMAccountName={{login}})(memberOf=CN=Domain Admins,CN=Users,{samba.SUFFIX}))",
    )
    assert deprovisioned.end_all(timezone.now()) == 1
    assert not is_alive(session)


@pytest.mark.once
def test_a_lock_after_wrong_passwords_ends_nothing(fabrikam, domain):
    """Else anybody could sign anybody out by guessing."""
    session = signed_in(fabrikam, "john", samba.PASSWORD)
    for _ in range(3):
        registry.PASSWORD_PROTOCOLS["ad"].verify(fabrikam, "john", "wrong", timezone.now())
    assert deprovisioned.end_all(timezone.now()) == 0
    assert is_alive(session)
    domain.tool("user", "unlock", "john")


def test_offline_tokens_of_leavers_die_though_their_session_ended_before(plain, openldap):
    session = signed_in(plain, "bob", slapd.PASSWORD)
    now = timezone.now()
    family = RefreshTokenFamily.objects.create(
        user=session.user,
        session=session,
        application=make_application("bob offline"),
        offline=True,
        auth_time=now,
    )
    ended = {"ended_at": now - timedelta(minutes=1), "end_initiator": "rp-logout", "end_actor": "user"}
    type(session).objects.filter(pk=session.pk).update(**ended)
    openldap.change(f"dn: uid=bob,ou=people,{slapd.SUFFIX}\nchangetype: modify\nadd: pwdAccountLockedTime\n"
                    "pwdAccountLockedTime: 000001010000Z\n")  # fmt: skip
    try:
        assert deprovisioned.end_all(timezone.now()) == 1
    finally:
        openldap.change(f"dn: uid=bob,ou=people,{slapd.SUFFIX}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
    family.refresh_from_db()
    assert family.revoked_at is not None
    assert deprovisioned.end_all(timezone.now()) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"servers": ["ldaps://127.0.0.1:1"]},
        {"base_dn": f"ou=nowhere,{slapd.SUFFIX}"},
        {"user_filter": "(employeeNumber={login})"},
        {"bind_dn": f"cn=nobody,{slapd.SUFFIX}"},
    ],
)
def test_a_directory_that_cannot_tell_ends_nothing(plain, options, caplog):
    session = signed_in(plain, "mary", slapd.PASSWORD)
    change(plain, **options)
    assert deprovisioned.end_all(timezone.now()) == 0
    assert is_alive(session)
    assert "leavers.unknown" in caplog.text
