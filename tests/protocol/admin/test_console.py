"""The console: tasks instead of tables, one search, lists by time, charts, and what a role does not see."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import TenantSettings, User
from logout_app.admin import trends
from logout_app.models import LogoutDelivery, LogoutEvent
from tests.protocol.admin.conftest import clerk_with
from tests.protocol.admin.scene import came_of, end, scene
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MACHINERY = ("idp_limiterslot", "sessions_app_flowstate", "logout_app_deliverytally", "logout_app_logouttransaction")


def tasks_of(client: Client) -> list[str]:
    response = client.get(reverse("admin:index"))
    return [task.name for task in response.context["tasks"]]


def start(client: Client, **query: str) -> str:
    return client.get(reverse("admin:index"), query).content.decode()


def find(client: Client, typed: str) -> str:
    return client.get(reverse("admin:find"), {"q": typed}, follow=True).content.decode()


# --- navigation ------------------------------------------------------------------------------------------------------
def test_the_navigation_names_tasks_and_a_superuser_finds_the_machinery_under_internals(admin: Client) -> None:
    wanted = "Overview People Applications Connections Sessions Sign-outs Audit Settings Internals"
    assert tasks_of(admin) == wanted.split()
    internals = admin.get(reverse("admin:index")).context["tasks"][-1]
    urls = {place.url for place in internals.places}
    assert {reverse(f"admin:{table}_changelist") for table in MACHINERY} <= urls


def test_the_page_that_one_is_on_is_marked_in_the_navigation(admin: Client) -> None:
    page = admin.get(reverse("admin:sessions_app_refreshtokenfamily_changelist"))
    assert page.context["task"].name == "Sessions"
    assert [place.name for place in page.context["task"].places if place.here] == ["refresh tokens"]


def test_a_clerk_sees_only_the_tasks_that_a_permission_leads_to(db: None) -> None:
    assert tasks_of(clerk_with("view_user", "view_ssosession")) == ["Overview", "People", "Sessions"]


def test_tables_of_the_machinery_are_refused_to_everybody_but_superusers(db: None) -> None:
    clerk = clerk_with(*Permission.objects.filter(codename__startswith="view_").values_list("codename", flat=True))
    assert "Internals" not in tasks_of(clerk)
    for table in MACHINERY:
        assert clerk.get(reverse(f"admin:{table}_changelist")).status_code == 403, table


# --- search ----------------------------------------------------------------------------------------------------------
def test_one_search_finds_people_applications_connections_sids_and_ids(admin: Client) -> None:
    mary, application, okta = make_user(), make_application("Timesheet SaaS"), make_connection("okta-main", "okta")
    session = make_session(mary, application)
    pages = {
        "mary@fabrikamcorp.com": reverse("admin:idp_user_change", args=(mary.pk,)),
        mary.user_id: reverse("admin:idp_user_change", args=(mary.pk,)),
        "timesheet": reverse("admin:idp_application_change", args=(application.pk,)),
        application.client_id: reverse("admin:idp_application_change", args=(application.pk,)),
        "okta-main": reverse("admin:idp_connection_change", args=(okta.pk,)),
        session.sid: reverse("admin:sessions_app_ssosession_change", args=(session.pk,)),
    }
    for typed, page in pages.items():
        response = admin.get(reverse("admin:find"), {"q": f" {typed} "})
        assert response.status_code == 302, typed
        assert response["Location"] == page, typed


def test_what_nobody_is_called_leads_to_the_audit_trail_which_knows_addresses_and_the_deleted(admin: Client) -> None:
    text = find(admin, "203.0.113.7")
    assert "Nothing is called <strong>203.0.113.7</strong>" in text
    assert f"{reverse('admin:sessions_app_sessionevent_changelist')}?q=203.0.113.7" in text


def test_the_search_shows_nobody_what_they_may_not_look_at(db: None) -> None:
    make_user()
    clerk = clerk_with("view_application")
    assert "mary@fabrikamcorp.com</a>" not in find(clerk, "mary")


@pytest.mark.parametrize("typed", ["", "#", "9" * 40, "#9223372036854775808", "²", "x" * 5000, "' OR 1=1", "%"])
def test_no_search_is_an_error(admin: Client, typed: str) -> None:
    assert admin.get(reverse("admin:find"), {"q": typed}).status_code in (200, 302)


def test_a_search_that_is_no_text_is_a_bad_request(admin: Client) -> None:
    assert admin.get(reverse("admin:find"), {"q": "a\0b"}).status_code == 400


# --- lists -----------------------------------------------------------------------------------------------------------
def test_lists_filter_by_time_and_say_the_zone(admin: Client) -> None:
    found = scene()
    old = end(found.ended)
    LogoutEvent.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=3))
    url = reverse("admin:logout_app_logoutevent_changelist")
    stays = {"within": "week"}, {"from": "2020-01-01T00:00"}, {"until": "2100-01-01T00:00", "initiator": "rp-logout"}
    goes = {"within": "day"}, {"until": "2020-01-01T00:00"}, {"from": "2100-01-01T00:00"}
    for query in stays:
        assert admin.get(url, query).context["cl"].result_count == 1, query
    for query in goes:
        assert admin.get(url, query).context["cl"].result_count == 0, query
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", admin.get(url).content.decode())


def test_a_time_that_is_none_is_refused_by_the_list(admin: Client) -> None:
    url = reverse("admin:logout_app_logoutdelivery_changelist")
    for typed in ("yesterday", "2026-99-99T00:00", "0000-00-00T00:00", "9999-12-31T23:59:59+99:99"):
        assert admin.get(url, {"from": typed}).status_code == 302, typed


def test_every_cell_says_its_column_for_screens_on_which_rows_are_cards(admin: Client, boss: User) -> None:
    page = admin.get(reverse("admin:idp_user_changelist")).content.decode()
    assert 'data-label="Signs in by"' in page
    assert 'data-label="Person"' in page


# --- overview --------------------------------------------------------------------------------------------------------
def test_the_overview_draws_sign_outs_and_time_to_signed_out_and_has_both_as_tables(admin: Client) -> None:
    found = scene()
    end(found.ended)
    came_of(found.debugger, "delivered", status=204, after=2.5)
    for within, parts in (("day", 24), ("week", 28), ("month", 30), ("nonsense", 24)):
        assert admin.get(reverse("admin:index"), {"within": within}).status_code == 200
        ended, took = trends.charts(trends.window(within), timezone.now())
        assert len(ended.rows) == len(took.rows) == parts
        assert sum(int(value) for _, value in ended.rows) == 1
        assert took.rows[-1][1:] == ("2.5 s", "2.5 s")
        assert len(ended.bars) == 1
    page = start(admin)
    assert "1 session ended in 24 hours." in page
    assert "style=" not in page


def test_the_overview_says_of_each_application_whether_it_hears(admin: Client) -> None:
    found = scene()
    end(found.ended)
    came_of(found.debugger, "delivered", status=204)
    came_of(found.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    LogoutDelivery.objects.filter(application=found.timesheet).update(
        attempts=2, last_status=500, created_at=timezone.now() - timedelta(minutes=20)
    )
    page = start(admin)
    assert "Failing for 20\xa0minutes" in page
    assert "Did not answer" in page
    assert "Cannot be told: it has no logout URL" in page
    assert "Told 0\xa0minutes ago" in page


def test_a_new_installation_is_led_to_its_first_confirmed_sign_out_and_then_left_alone(admin: Client) -> None:
    assert "First steps" in start(admin)
    found = scene()
    end(found.ended)
    came_of(found.debugger, "delivered", status=204)
    assert "Give it your name" in start(admin)
    admin.get(reverse("admin:idp_tenantsettings_changelist"), follow=True)  # makes the row
    TenantSettings.objects.update(friendly_name="Fabrikam")
    assert "First steps" not in start(admin)
