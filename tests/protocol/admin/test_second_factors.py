"""Somebody lost their phone and the recovery codes: an administrator takes the second factors away."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from idp.models import User
from logout_app.models import LogoutDelivery
from sessions_app.models import SessionEvent, SSOSession
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
KINDS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN, Authenticator.Type.RECOVERY_CODES)


def with_factors(user: User) -> User:
    Authenticator.objects.bulk_create([Authenticator(user=user, type=kind, data={}) for kind in KINDS])
    return user


def url(user: User) -> str:
    return reverse("admin:idp_user_act", args=(user.pk, "reset-factors"))


def test_the_page_says_what_will_happen_and_changes_nothing(admin: Client) -> None:
    mary = with_factors(make_user())
    assert url(mary) in admin.get(reverse("admin:idp_user_change", args=(mary.pk,))).content.decode()
    page = admin.get(url(mary)).content.decode()
    assert "loses 2 second factors (TOTP Authenticator, WebAuthn)" in page
    assert "Every session of theirs ends" in page
    assert Authenticator.objects.count() == 3


def test_their_factors_go_their_sessions_end_and_it_is_audited(admin: Client, boss: User) -> None:
    mary = with_factors(make_user())
    app = make_application(backchannel_logout_uri="https://rp.example/out", backchannel_logout_initiators_mode="all")
    session = make_session(mary, app)
    page = admin.post(url(mary), follow=True).content.decode()
    assert "has no second factor any more" in page
    assert not Authenticator.objects.filter(user=mary).exists()
    session.refresh_from_db()
    assert session.end_initiator == "mfa-phone-unenrolled"
    assert LogoutDelivery.objects.get().session == session
    event = SessionEvent.objects.get(type="second_factors_reset")
    assert (event.sub, event.actor) == (mary.user_id, f"admin:{boss.user_id}")
    assert sorted(event.data["factors"]) == ["totp", "webauthn"]
    assert LogEntry.objects.get().get_change_message() == "Reset second factors"
    assert make_session(mary).ended_at is None
    assert SSOSession.objects.get(user=boss).ended_at is None


def test_without_factors_there_is_nothing_to_remove(admin: Client) -> None:
    mary = make_user()
    assert url(mary) not in admin.get(reverse("admin:idp_user_change", args=(mary.pk,))).content.decode()
    assert "nothing left to do" in admin.post(url(mary), follow=True).content.decode()


def test_it_takes_a_fresh_proof(tired_admin: Client) -> None:
    mary = with_factors(make_user())
    assert "/account/reauthenticate/" in tired_admin.post(url(mary))["Location"]
    assert Authenticator.objects.count() == 3


@pytest.mark.parametrize("powers", [{"is_superuser": True}, {"is_staff": True}])
def test_only_a_superuser_removes_those_of_people_with_powers(
    boss: User, admin: Client, powers: dict[str, bool]
) -> None:
    helper = make_user("help@fabrikamcorp.com", is_staff=True)
    helper.user_permissions.set(Permission.objects.filter(codename__in=("change_user", "view_user")))
    root = with_factors(make_user("root@fabrikamcorp.com", **powers))
    assert browser(make_session(helper)).post(url(root)).status_code == 403
    assert Authenticator.objects.filter(user=root).count() == 3
    assert browser(make_session(helper)).post(url(with_factors(make_user()))).status_code == 302
    assert admin.post(url(root)).status_code == 302
    assert not Authenticator.objects.filter(user=root).exists()
