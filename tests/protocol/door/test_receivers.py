"""What happens to a person or a connection ends sessions through the door, in the same transaction."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from idp.models import TenantSettings, User
from idp.people import accounts
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutEvent
from sessions_app.models import RefreshTokenFamily
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def mary():
    return make_user()


@pytest.fixture
def session(mary):
    return make_session(mary, make_application())


@pytest.fixture
def family(mary, session):
    return RefreshTokenFamily.objects.create(
        user=mary, application=make_application("Native"), offline=True, auth_time=timezone.now()
    )


def ended(session):
    session.refresh_from_db()
    return session.end_initiator


def is_revoked(family):
    family.refresh_from_db()
    return family.revoked_at is not None


def test_blocking_a_person_ends_everything(mary, session, family):
    accounts.block_user(mary, actor="admin:1", at=timezone.now())
    assert ended(session) == "account-deactivated"
    assert is_revoked(family)
    assert LogoutEvent.objects.get().actor == "admin:1"


def test_a_new_password_ends_everything(mary, session, family):
    accounts.set_password(mary, "another long password", actor="user")
    assert ended(session) == "password-changed"
    assert is_revoked(family)


def test_who_sets_their_own_password_is_named_as_every_other_actor(mary, session):
    mary.set_password("another long password")
    mary.save()
    session.refresh_from_db()
    assert (LogoutEvent.objects.get().actor, session.end_actor) == ("user", "user")


def test_a_new_password_spares_the_session_in_which_it_was_set(mary, session, family):
    other = make_session(mary)
    mary.acting_session = session.pk
    accounts.set_password(mary, "another long password", actor="user")
    assert ended(session) == ""
    assert ended(other) == "password-changed"
    mary.refresh_from_db()
    session.refresh_from_db()
    assert session.is_alive(timezone.now())


def test_a_tenant_may_keep_sessions_over_a_new_password(mary, session, family):
    TenantSettings.objects.update_or_create(pk=1, defaults={"password_change_ends_other_sessions": False})
    tenant = TenantSettings.objects.get()
    tenant.save()
    accounts.set_password(mary, "another long password", actor="user")
    assert ended(session) == ""
    assert not is_revoked(family)


def test_saving_the_person_again_keeps_the_not_before_mark(mary, session):
    accounts.block_user(mary, actor="system", at=timezone.now())
    mary.name = "Mary Smith"
    mary.save()
    mary.refresh_from_db()
    assert mary.revoked_before is not None


def test_a_form_that_was_opened_before_a_block_does_not_undo_it(mary, session):
    """allauth's password forms and the admin save whole rows that they read before the hashing, or a coffee, ago."""
    stale = User.objects.get(pk=mary.pk)
    accounts.block_user(mary, actor="system", at=timezone.now())
    stale.set_password("another long password")
    stale.name = "Mary Smith"
    stale.save()
    mary.refresh_from_db()
    assert (mary.is_active, mary.name) == (False, "Mary Smith")
    assert mary.revoked_before is not None
    assert mary.check_password("another long password")


def test_a_form_that_was_opened_before_a_new_password_does_not_bring_the_old_one_back(mary):
    stale = User.objects.get(pk=mary.pk)
    accounts.set_password(mary, "another long password", actor="user")
    stale.name = "Mary Smith"
    stale.save()
    assert User.objects.get().check_password("another long password")
    stale.set_unusable_password()
    stale.save()
    assert not User.objects.get().has_usable_password()


def test_a_new_address_ends_sessions_and_keeps_offline_tokens(mary, session, family):
    accounts.change_email(mary, "mary.smith@fabrikamcorp.com", verified=True, actor="user", at=timezone.now())
    assert ended(session) == "email-identifier-changed"
    assert not is_revoked(family)


def test_deleting_a_person_tells_applications_before_the_rows_are_gone(mary):
    application = make_application(
        "Listener", backchannel_logout_uri="https://a.example/bc", backchannel_logout_initiators_mode="all"
    )
    session = make_session(mary, application)
    sub, sid = mary.user_id, session.sid
    accounts.delete_user(mary, actor="admin:1", at=timezone.now())
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.sub, event.user) == ("account-deleted", sub, None)
    assert list(event.deliveries.values_list("sub", "sid", "client_id")) == [(sub, sid, "listener")]


def test_closing_a_connection_ends_its_sessions_only(mary, session):
    other = make_connection("Other")
    paul = make_session(make_user("paul@other.example", other))
    accounts.disable_connection(session.connection, actor="admin:1", at=timezone.now())
    assert ended(session) == "session-revoked"
    assert ended(paul) == ""


def test_closing_a_connection_kills_the_offline_tokens_of_its_past_sessions_too(mary, session, family):
    """A person who signed out keeps offline access; whoever closes their connection takes it away."""
    other = make_connection("Other")
    paul = make_session(make_user("paul@other.example", other))
    kept = RefreshTokenFamily.objects.create(
        user=paul.user, application=make_application("Pauls"), session=paul, offline=True, auth_time=timezone.now()
    )
    past = RefreshTokenFamily.objects.create(
        user=mary, application=make_application("Past"), session=session, offline=True, auth_time=timezone.now()
    )
    end_sessions(
        Selection.session(session.pk),
        initiator=Initiator.RP_LOGOUT,
        actor="user",
        at=timezone.now(),
        offline_tokens=False,
    )
    accounts.disable_connection(session.connection, actor="admin:1", at=timezone.now())
    assert is_revoked(past)
    assert is_revoked(family)  # its session was purged
    assert not is_revoked(kept)


def test_a_person_who_changes_their_password_on_our_page_stays_signed_in_there_only(mary, session, family):
    """A new password ends the other sessions."""
    other = make_session(mary)
    new = "another long password of Mary"
    response = browser(session).post(
        "/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert response.status_code == 302
    assert ended(session) == ""
    assert ended(other) == "password-changed"
    assert is_revoked(family)


def test_a_password_that_is_reset_ends_everything(mary, session, family):
    """The reset page saves the person as any form does, in a browser that is signed in nowhere."""
    person = User.objects.get(pk=mary.pk)
    person.set_password("a completely new passphrase")
    person.save()
    assert ended(session) == "password-changed"
    assert is_revoked(family)


def test_a_second_factor_that_is_taken_away_ends_sessions_and_keeps_offline_tokens(mary, session, family):
    factor = Authenticator.objects.create(user=mary, type=Authenticator.Type.TOTP, data={})
    factor.delete()
    assert ended(session) == "mfa-phone-unenrolled"
    assert not is_revoked(family)


@pytest.mark.parametrize(
    "cause",
    ["password-changed", "email-identifier-changed", "mfa-phone-unenrolled", "account-deactivated", "account-deleted"],
)
def test_each_cause_reaches_the_applications_that_asked_for_it_under_its_own_name(mary, cause):
    selected = {"backchannel_logout_initiators_mode": "custom"}
    hears = make_application(
        "Hears", backchannel_logout_uri="https://hears.example/bc", backchannel_logout_initiators=[cause], **selected
    )
    deaf = make_application(
        "Deaf",
        backchannel_logout_uri="https://deaf.example/bc",
        backchannel_logout_initiators=["rp-logout"],
        **selected,
    )
    make_session(mary, hears, deaf)
    factor = Authenticator.objects.create(user=mary, type=Authenticator.Type.TOTP, data={})
    at = timezone.now()
    {
        "password-changed": lambda: accounts.set_password(mary, "another long password", actor="user"),
        "email-identifier-changed": lambda: accounts.change_email(
            mary, "m@fabrikamcorp.com", verified=True, actor="user", at=at
        ),
        "mfa-phone-unenrolled": factor.delete,
        "account-deactivated": lambda: accounts.block_user(mary, actor="admin:1", at=at),
        "account-deleted": lambda: accounts.delete_user(mary, actor="admin:1", at=at),
    }[cause]()
    event = LogoutEvent.objects.get()
    assert event.initiator == cause
    told = set(event.deliveries.values_list("client_id", "state", "last_reason"))
    assert told == {("hears", "pending", ""), ("deaf", "not_told", f"it does not listen to {cause}")}
