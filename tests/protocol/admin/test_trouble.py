"""What the start page says of deliveries that fail, while they fail."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from logout_app.delivery import tallies
from logout_app.delivery.receiver import of_application
from logout_app.models import DrainReport, LogoutDelivery, LogoutEvent
from tests.support.factories import make_application

pytestmark = pytest.mark.django_db
NOTHING = "Nothing. Every application hears of sign-outs"


def wait(application, number=1, *, minutes=0.0, **changes) -> None:
    """Deliveries to this application that wait, each for another person."""
    at = timezone.now() - timedelta(minutes=minutes)
    for person in range(number):
        LogoutDelivery.objects.create(
            event=LogoutEvent.objects.create(initiator="rp-logout", actor="user"),
            application=application,
            receiver=of_application(application.pk),
            client_id=application.client_id,
            sub=f"auth0|{person}",
            channel="backchannel",
            created_at=at,
            due_at=timezone.now() + timedelta(minutes=1),
            **changes,
        )


@pytest.fixture
def app():
    return make_application("Timesheet SaaS", backchannel_logout_uri="https://timesheet.example/bc")


def start(admin: Client) -> str:
    return unescape(admin.get(reverse("admin:index")).content.decode()).replace("\xa0", " ")


def test_an_application_that_fails_for_minutes_needs_attention_before_the_day_is_over(admin, app):
    wait(app, 3, minutes=4, attempts=5, last_status=500, last_reason="500: Internal Server Error")
    wait(app, 2)
    page = start(admin)
    assert (
        "Timesheet SaaS fails for 4 minutes: its last answer was 500 (500: Internal Server Error). "
        "3 people wait to be signed out there."
    ) in page
    url = f"/admin/logout_app/logoutdelivery/?application__id__exact={app.pk}&state__exact=pending"
    assert f'<a href="{url}">Look and send again</a>' in page
    assert "Timesheet SaaS" in admin.get(url).content.decode()


def test_three_failures_are_enough_however_short_the_time(admin, app):
    wait(app, attempts=3, last_reason="connect: refused")
    assert "fails for 0 minutes: no answer (connect: refused). 1 person waits" in start(admin)


def test_an_application_behind_an_open_breaker_needs_attention(admin, app):
    wait(app, 7)
    tallies.put({("breaker", app.client_id): timezone.now().timestamp() + 60})
    assert "Timesheet SaaS fails now: no answer yet. 7 people wait" in start(admin)


def test_one_failure_a_moment_ago_or_a_first_try_under_way_is_no_trouble(admin, app):
    wait(app, attempts=1, last_status=503, last_reason="503")
    wait(app, attempts=1, minutes=30)
    tallies.put({("breaker", app.client_id): timezone.now().timestamp() - 1})
    page = start(admin)
    assert "Timesheet SaaS fails" not in page


def test_what_was_set_aside_is_counted_and_can_be_listed(admin, app):
    reason = "set aside: DataError: integer out of range"
    wait(app, 2, state="dead", finished_at=timezone.now(), last_reason=reason)
    page = start(admin)
    assert "2 deliveries were set aside, because no worker could process them" in page
    link = page.partition('">Look at what is wrong')[0].rpartition('href="')[2]
    listed = admin.get(link, follow=True).content.decode()
    assert listed.count("integer out of range") == 2


def test_workers_that_are_silent_or_cannot_record_need_attention(admin):
    assert "worker" not in start(admin).partition("What needs attention")[2].partition("</section>")[0]
    report = DrainReport.objects.create(name="host:1", seen_at=timezone.now() - timedelta(minutes=10))
    assert "No worker has reported for 10 minutes: no application hears of a sign-out." in start(admin)
    DrainReport.objects.filter(pk=report.pk).update(
        seen_at=timezone.now(), stuck_for=45.0, held=100, reason="OperationalError: lock timeout"
    )
    page = start(admin)
    assert "Answers of applications cannot be recorded for 45 s (OperationalError: lock timeout): 100 wait" in page
    DrainReport.objects.filter(pk=report.pk).update(seen_at=timezone.now(), stuck_for=None, reason="", idle_for=600.0)
    assert "No scheduled task ran for 10 minutes: sessions past their limit do not end" in start(admin)
    DrainReport.objects.filter(pk=report.pk).update(seen_at=timezone.now(), idle_for=100.0)
    assert "No scheduled task ran" not in start(admin)
    assert admin.get("/admin/logout_app/drainreport/").status_code == 200
