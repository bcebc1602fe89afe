"""What an administrator may do, and what must stop them: no act by GET, none without a token, none without fresh proof."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import Application, Connection, User
from logout_app.delivery.receiver import of_application
from logout_app.models import DeliveryAttempt, LogoutDelivery, LogoutEvent
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
BACKCHANNEL = {"backchannel_logout_uri": "https://rp.example/out", "backchannel_logout_initiators_mode": "all"}


def act_url(model: str, pk: int, name: str) -> str:
    return reverse(f"admin:{model}_act", args=(pk, name))


def make_delivery(application: Application, state: str = "dead") -> LogoutDelivery:
    event = LogoutEvent.objects.create(initiator="rp-logout", actor="user")
    return LogoutDelivery.objects.create(
        event=event,
        application=application,
        receiver=of_application(application.pk),
        client_id=application.client_id,
        sub="auth0|x",
        channel="backchannel",
        state=state,
        finished_at=None if state == "pending" else timezone.now(),
    )


# --- ending sessions ---------------------------------------------------------------------------------------------------
def test_end_this_session_asks_and_then_ends_it_and_plans_who_is_told(admin: Client, boss: User) -> None:
    session = make_session(make_user(), make_application(**BACKCHANNEL))
    url = act_url("sessions_app_ssosession", session.pk, "end")
    question = admin.get(url)
    assert "JWT Debugger" in question.content.decode()
    assert SSOSession.objects.get(pk=session.pk).ended_at is None
    assert admin.post(url).status_code == 302
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("session-revoked", f"admin:{boss.user_id}")
    assert LogoutDelivery.objects.get().session == session
    assert LogEntry.objects.get().get_change_message() == "End this session"


def test_the_sessions_page_tells_its_story(admin: Client) -> None:
    session = make_session(make_user(), make_application(**BACKCHANNEL))
    admin.post(act_url("sessions_app_ssosession", session.pk, "end"))
    delivery = LogoutDelivery.objects.get()
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=timezone.now(),
        duration_ms=12,
        status=503,
        outcome="retry",
        reason="busy",
    )
    page = admin.get(reverse("admin:sessions_app_ssosession_change", args=(session.pk,))).content.decode()
    story = [
        "Signed in through FabrikamAD (password)",
        "Joined JWT Debugger",
        "Ended by the administrator boss@fabrikamcorp.com",
        "JWT Debugger: Waiting",
        "HTTP 503, 12 ms: busy",
    ]
    places = [page.find(line) for line in story]
    assert -1 not in places
    assert places == sorted(places)


def test_ending_twice_says_that_there_was_nothing_to_do(admin: Client) -> None:
    session = make_session(make_user())
    url = act_url("sessions_app_ssosession", session.pk, "end")
    admin.post(url)
    assert "nothing left to do" in admin.post(url, follow=True).content.decode()
    assert LogoutEvent.objects.count() == 1


def test_sign_out_everywhere_ends_all_sessions_and_offline_tokens(admin: Client) -> None:
    mary, app = make_user(), make_application(**BACKCHANNEL)
    sessions = [make_session(mary, app), make_session(mary)]
    family = RefreshTokenFamily.objects.create(user=mary, application=app, offline=True, auth_time=timezone.now())
    assert admin.post(act_url("idp_user", mary.pk, "sign-out")).status_code == 302
    assert not SSOSession.objects.filter(pk__in=[s.pk for s in sessions], ended_at=None).exists()
    family.refresh_from_db()
    assert family.revoked_at is not None
    assert User.objects.get(pk=mary.pk).is_active


# --- people ------------------------------------------------------------------------------------------------------------
def test_blocking_signs_out_and_unblocking_lets_in_again(admin: Client) -> None:
    mary = make_user()
    session = make_session(mary)
    admin.post(act_url("idp_user", mary.pk, "block"))
    assert not User.objects.get(pk=mary.pk).is_active
    session.refresh_from_db()
    assert session.end_initiator == "account-deactivated"
    admin.post(act_url("idp_user", mary.pk, "unblock"))
    assert User.objects.get(pk=mary.pk).is_active


@pytest.mark.parametrize("bulk", [False, True])
def test_deleting_people_goes_through_the_door(admin: Client, bulk: bool) -> None:
    mary, app = make_user(), make_application(**BACKCHANNEL)
    make_session(mary, app)
    if bulk:
        data = {"action": "delete_selected", "_selected_action": [mary.pk], "post": "yes"}
        response = admin.post(reverse("admin:idp_user_changelist"), data)
    else:
        page = admin.get(reverse("admin:idp_user_delete", args=(mary.pk,))).content.decode()
        assert "every session ends" in page
        response = admin.post(reverse("admin:idp_user_delete", args=(mary.pk,)), {"post": "yes"})
    assert response.status_code == 302
    assert not User.objects.filter(pk=mary.pk).exists()
    assert LogoutEvent.objects.get().initiator == "account-deleted"
    assert LogoutDelivery.objects.get().sub == mary.user_id


def test_nobody_deletes_themselves(admin: Client, boss: User) -> None:
    assert admin.post(reverse("admin:idp_user_delete", args=(boss.pk,)), {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"}
    admin.post(reverse("admin:idp_user_changelist"), data)
    assert User.objects.filter(pk=boss.pk).exists()


def test_a_new_password_signs_in_and_stands_in_no_log(admin: Client) -> None:
    mary = make_user()
    url = act_url("idp_user", mary.pk, "password")
    assert "too short" in admin.post(url, {"password": "short"}).content.decode()
    assert admin.post(url, {"password": "another good pass phrase"}).status_code == 302
    assert User.objects.get(pk=mary.pk).check_password("another good pass phrase")
    assert all("another good" not in f"{e.change_message}{e.object_repr}" for e in LogEntry.objects.all())


def test_a_clerk_cannot_touch_people_with_powers(boss: User) -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "change_user", "delete_user")))
    client = browser(make_session(clerk))
    for name in ("block", "password", "sign-out"):
        assert client.post(act_url("idp_user", boss.pk, name), {"password": "xxxxxxxxxx1y"}).status_code == 403
    assert client.post(reverse("admin:idp_user_delete", args=(boss.pk,)), {"post": "yes"}).status_code == 403
    page = client.get(reverse("admin:idp_user_change", args=(make_user().pk,)))
    assert "is_superuser" not in page.context["adminform"].form.fields
    assert "is_staff" not in page.context["adminform"].form.fields


def test_a_clerk_who_may_only_look_may_not_act() -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "view_ssosession")))
    session = make_session(make_user())
    assert browser(make_session(clerk)).post(act_url("sessions_app_ssosession", session.pk, "end")).status_code == 403
    assert SSOSession.objects.get(pk=session.pk).ended_at is None


# --- deliveries --------------------------------------------------------------------------------------------------------
def test_one_delivery_is_redelivered(admin: Client) -> None:
    delivery = make_delivery(make_application())
    admin.post(act_url("logout_app_logoutdelivery", delivery.pk, "redeliver"))
    assert LogoutDelivery.objects.get().state == "pending"


def test_selected_deliveries_are_redelivered_and_delivered_ones_stay(admin: Client) -> None:
    app = make_application()
    dead, done = make_delivery(app), make_delivery(app, "delivered")
    data = {"action": "redeliver_selected", "_selected_action": [dead.pk, done.pk]}
    response = admin.post(reverse("admin:logout_app_logoutdelivery_changelist"), data, follow=True)
    assert "1 of 2 are sent again" in response.content.decode()
    assert LogoutDelivery.objects.get(pk=done.pk).state == "delivered"


def test_all_dead_of_an_application_are_redelivered_from_its_banner(admin: Client) -> None:
    app, other = make_application(), make_application("Timesheet SaaS")
    make_delivery(app), make_delivery(app), make_delivery(other)
    page = admin.get(reverse("admin:idp_application_change", args=(app.pk,))).content.decode()
    assert "2 sign-outs never reached this application" in page
    admin.post(act_url("idp_application", app.pk, "redeliver"))
    assert LogoutDelivery.objects.filter(state="dead").get().application == other


def test_a_delivery_of_an_application_that_is_gone_is_not_offered_again(admin: Client) -> None:
    delivery = make_delivery(make_application())
    LogoutDelivery.objects.update(application=None)
    admin.post(act_url("logout_app_logoutdelivery", delivery.pk, "redeliver"))
    assert LogoutDelivery.objects.get().state == "dead"


# --- what stops an act ---------------------------------------------------------------------------------------------------
def test_an_action_by_get_is_refused(admin: Client) -> None:
    mary = make_user()
    session = make_session(mary)
    assert admin.get(reverse("admin:sessions_app_ssosession_changelist"), {"action": "end"}).status_code == 405
    data = {"action": "delete_selected", "_selected_action": mary.pk, "post": "yes"}
    assert admin.get(reverse("admin:idp_user_changelist"), data).status_code == 405
    admin.get(act_url("sessions_app_ssosession", session.pk, "end"), {"post": "yes"})
    assert SSOSession.objects.get(pk=session.pk).ended_at is None
    assert User.objects.filter(pk=mary.pk).exists()


def test_an_act_without_a_csrf_token_is_refused(csrf_admin: Client) -> None:
    session = make_session(make_user())
    assert csrf_admin.post(act_url("sessions_app_ssosession", session.pk, "end")).status_code == 403
    assert SSOSession.objects.get(pk=session.pk).ended_at is None


def test_a_dangerous_act_asks_who_is_there_after_an_hour(tired_admin: Client) -> None:
    session = make_session(make_user())
    url = act_url("sessions_app_ssosession", session.pk, "end")
    for response in (tired_admin.get(url), tired_admin.post(url)):
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("account_reauthenticate"))
        assert "next=%2Fadmin%2F" in response["Location"]
    assert SSOSession.objects.get(pk=session.pk).ended_at is None


def test_proving_who_is_there_leads_back_to_the_act(tired_admin: Client) -> None:
    session = make_session(make_user())
    url = act_url("sessions_app_ssosession", session.pk, "end")
    asked = tired_admin.get(url, follow=True)
    assert asked.status_code == 200
    back = tired_admin.post(asked.redirect_chain[-1][0], {"password": PASSWORD, "next": url})
    assert back.status_code == 302
    assert back["Location"] == url
    assert tired_admin.get(url).status_code == 200
    tired_admin.post(url)
    assert SSOSession.objects.get(pk=session.pk).ended_at is not None


def test_deleting_asks_who_is_there_after_an_hour(tired_admin: Client) -> None:
    app, mary = make_application(), make_user()
    assert tired_admin.post(reverse("admin:idp_application_delete", args=(app.pk,)), {"post": "yes"}).status_code == 302
    data = {"action": "delete_selected", "_selected_action": [mary.pk], "post": "yes"}
    tired_admin.post(reverse("admin:idp_user_changelist"), data)
    assert Application.objects.filter(pk=app.pk).exists()
    assert User.objects.filter(pk=mary.pk).exists()


def test_redelivering_is_not_dangerous(tired_admin: Client) -> None:
    delivery = make_delivery(make_application())
    tired_admin.post(act_url("logout_app_logoutdelivery", delivery.pk, "redeliver"))
    assert LogoutDelivery.objects.get().state == "pending"


def test_unknown_acts_and_objects_are_not_found(admin: Client) -> None:
    session = make_session(make_user())
    assert admin.post(act_url("sessions_app_ssosession", session.pk, "explode")).status_code == 404
    assert admin.post(act_url("sessions_app_ssosession", 999999, "end")).status_code == 404


# --- keys, connections -----------------------------------------------------------------------------------------------------
def test_disabling_a_connection_ends_its_sessions(admin: Client) -> None:
    session = make_session(make_user())
    connection = make_connection()
    admin.post(act_url("idp_connection", connection.pk, "disable"))
    assert not Connection.objects.get(pk=connection.pk).enabled
    session.refresh_from_db()
    assert session.ended_at is not None
