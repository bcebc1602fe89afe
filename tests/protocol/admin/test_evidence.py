"""Evidence: who was told what, when, with which answer; and the alarm when an end is not complete after five minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from structlog.testing import capture_logs

from idp.models import User
from logout_app.delivery import metrics
from logout_app.evidence import report as reports
from logout_app.evidence.overdue import COMPLETE_WITHIN, incomplete
from logout_app.evidence.report import Asked, report
from logout_app.models import LogoutDelivery, LogoutEvent
from logout_app.tasks import watch_ends
from tests.protocol.admin.conftest import clerk_with
from tests.protocol.admin.scene import Scene, came_of, end, scene
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db
LATE = COMPLETE_WITHIN + timedelta(seconds=1)


@pytest.fixture
def happened(db: None) -> Scene:
    """Mary's end, of which each application made something else."""
    found = scene()
    end(found.ended)
    came_of(found.debugger, "delivered", status=204, after=1.5)
    came_of(found.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    return found


def lately(**more: Any) -> Asked:
    now = timezone.now()
    return Asked(now - timedelta(hours=1), now + timedelta(seconds=1), **more)


def json_of(client: Client, **query: str) -> dict[str, Any]:
    response = client.get(reverse("admin:evidence"), {**query, "format": "json"})
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


# --- the report ------------------------------------------------------------------------------------------------------
def test_a_report_has_every_row_with_its_answer_and_time_to_signed_out(happened: Scene) -> None:
    found = report(lately())
    assert {(row.receiver, row.delivery.state) for row in found.rows} == {
        ("JWT Debugger", "delivered"), ("SharePoint Intranet", "dead"),
        ("Timesheet SaaS", "pending"), ("Old Wiki", "not_told"),
    }  # fmt: skip
    assert [one.took.p50 for one in found.applications if one.took.count] == [pytest.approx(1.5, abs=0.1)]
    assert (found.took.count, found.complete) == (1, True)


def test_a_report_says_who_was_not_told_and_why(happened: Scene) -> None:
    assert report(lately()).reasons == [
        ("Old Wiki", "it has no logout URL", 1),
        ("SharePoint Intranet", "HTTP 503: busy", 1),
    ]


def test_a_report_of_a_person_has_no_row_of_anybody_else(happened: Scene) -> None:
    other = make_user("adele@fabrikamcorp.com")
    end(make_session(other, happened.debugger))
    assert {row.delivery.sub for row in report(lately(sub=happened.mary.user_id)).rows} == {happened.mary.user_id}
    assert len(report(lately(sub=other.user_id)).rows) == 1


def test_a_report_of_an_application_has_only_its_rows(happened: Scene) -> None:
    assert [row.receiver for row in report(lately(application=happened.wiki)).rows] == ["Old Wiki"]


def test_a_report_of_a_time_has_only_the_ends_in_it(happened: Scene) -> None:
    at = LogoutEvent.objects.get().at
    assert report(Asked(at - timedelta(hours=1), at)).rows == []
    assert len(report(Asked(at, at + timedelta(milliseconds=1))).rows) == 4


def test_evidence_of_somebody_who_was_deleted_is_kept(admin: Client, happened: Scene) -> None:
    sub = happened.mary.user_id
    happened.mary.delete()
    found = json_of(admin, person=sub)
    assert {row["client_id"] for row in found["deliveries"]} == {
        "jwt-debugger",
        "sharepoint-intranet",
        "timesheet-saas",
        "old-wiki",
    }
    assert {row["sub"] for row in found["deliveries"]} == {sub}


def test_a_report_that_does_not_have_all_says_so(happened: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST", 3)
    found = report(lately())
    assert (len(found.rows), found.complete) == (3, False)


def test_a_report_costs_the_same_however_many_rows_it_has(happened: Scene) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            report(lately(sub=happened.mary.user_id))
        return len(captured)

    once = statements()
    for _ in range(4):
        end(make_session(happened.mary, happened.debugger))
    assert statements() == once


# --- the page --------------------------------------------------------------------------------------------------------
def test_the_json_has_every_attempt_and_times_in_utc(admin: Client, happened: Scene) -> None:
    found = json_of(admin, person="mary@fabrikamcorp.com", application="jwt-debugger")
    (row,) = found["deliveries"]
    assert (row["state"], row["last_status"], row["initiator"], row["actor"]) == ("delivered", 204, "rp-logout", "user")
    assert row["seconds_to_signed_out"] == pytest.approx(1.5, abs=0.1)
    assert [attempt["status"] for attempt in row["attempts"]] == [204]
    assert row["ended_at"].endswith("Z")
    assert datetime.fromisoformat(row["ended_at"]) == LogoutEvent.objects.get().at
    assert found["seconds_to_signed_out"]["count"] == 1
    assert (found["complete"], found["client_id"], found["sub"]) == (True, "jwt-debugger", happened.mary.user_id)


def test_the_page_reports_the_last_day_when_nothing_is_asked(admin: Client, happened: Scene) -> None:
    page = admin.get(reverse("admin:evidence")).content.decode()
    for words in (
        "everybody in every application",
        "1 of 4 confirmed",
        "Old Wiki: it has no logout URL",
        "✕ No answer",
    ):
        assert words in page, words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"person": "nobody@elsewhere.example"}, "Nobody is called so."),
        ({"application": "no-such-client"}, "Select a valid choice"),
        ({"since": "yesterday"}, "Enter a valid date/time."),
        ({"since": "2026-03-02T00:00", "until": "2026-03-01T00:00"}, "It is before the beginning."),
        ({"since": "2001-01-01T00:00"}, "Of more than 92 days name a person."),
        ({"person": "a\0b"}, "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_reported_is_refused_in_words_on_the_page_and_as_json(
    admin: Client, query: dict[str, str], words: str
) -> None:
    page = admin.get(reverse("admin:evidence"), query)
    assert (page.status_code, words in page.content.decode()) == (400, True)
    answer = admin.get(reverse("admin:evidence"), {**query, "format": "json"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert words in str(answer.json()["fields"])


def test_namesakes_are_told_apart_by_their_user_ids(admin: Client, happened: Scene) -> None:
    other = make_user("mary@elsewhere.example", name="Mary")
    page = admin.get(reverse("admin:evidence"), {"person": "Mary"}).content.decode()
    assert "Several people are called so" in page
    assert other.user_id in page
    assert happened.mary.user_id in page


def test_evidence_is_refused_to_whoever_may_not_look_at_deliveries_and_people(db: None) -> None:
    for held in (("view_user",), ("view_logoutdelivery", "view_logoutevent")):
        User.objects.filter(email="clerk@elsewhere.example").delete()
        assert clerk_with(*held).get(reverse("admin:evidence")).status_code == 403


# --- the alarm -------------------------------------------------------------------------------------------------------
def test_an_end_is_incomplete_after_five_minutes_and_not_before(happened: Scene) -> None:
    created = LogoutDelivery.objects.get(application=happened.timesheet).created_at
    assert incomplete(created + COMPLETE_WITHIN - timedelta(seconds=1)).ends == 0
    found = incomplete(created + LATE)
    assert (found.ends, found.deliveries) == (1, 2)
    assert found.applications == ("SharePoint Intranet", "Timesheet SaaS")


def test_what_confirmed_or_could_not_be_told_raises_no_alarm(happened: Scene) -> None:
    LogoutDelivery.objects.filter(state__in=("pending", "dead")).delete()
    assert incomplete(timezone.now() + LATE).ends == 0


def test_what_gave_up_long_ago_is_an_alarm_no_more(happened: Scene) -> None:
    LogoutDelivery.objects.filter(state="pending").delete()
    assert incomplete(timezone.now() + timedelta(hours=1)).ends == 1
    assert incomplete(timezone.now() + timedelta(days=2)).ends == 0


def test_the_alarm_is_on_the_overview_in_the_metrics_and_in_the_log(admin: Client, happened: Scene) -> None:
    LogoutDelivery.objects.update(created_at=timezone.now() - LATE)
    page = admin.get(reverse("admin:index")).content.decode()
    assert (
        "1 end is not complete after five minutes: SharePoint Intranet and Timesheet SaaS have not confirmed." in page
    )
    assert "curfew_ends_incomplete 1.0" in metrics.render(timezone.now()).decode()
    with capture_logs() as lines:
        watch_ends()
    (line,) = [line for line in lines if line["event"] == "ends.incomplete"]
    assert (line["log_level"], line["ends"], line["deliveries"]) == ("error", 1, 2)
    assert line["oldest_seconds"] >= 300


def test_the_log_is_silent_while_every_end_is_complete(happened: Scene) -> None:
    with capture_logs() as lines:
        watch_ends()
    assert [line for line in lines if line["event"] == "ends.incomplete"] == []
