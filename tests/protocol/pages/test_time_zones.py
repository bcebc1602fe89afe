"""Times of pages are the browser's, and say so: of the admin, and of what people see of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp.http.time_zones import COOKIE
from sessions_app.models import RememberedBrowser, SessionEvent, SSOSession
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
AT = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def boss() -> Client:
    user = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    user.last_login = AT
    user.save()
    return browser(make_session(user))


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("", "2026-01-31 23:30 UTC"),
        ("Europe/Berlin", "2026-02-01 00:30 CET"),
        ("America/New_York", "2026-01-31 18:30 EST"),
        ("../../etc/passwd", "2026-01-31 23:30 UTC"),
        ("Middle/Earth", "2026-01-31 23:30 UTC"),
        ("x" * 3000, "2026-01-31 23:30 UTC"),
    ],
)
def test_times_of_lists_are_in_the_zone_that_the_browser_named(boss: Client, zone: str, shown: str) -> None:
    boss.cookies[COOKIE] = zone
    assert shown in boss.get(reverse("admin:idp_user_changelist")).content.decode()
    assert timezone.get_current_timezone_name() == "UTC"  # of whatever this thread does next


def test_a_time_that_is_typed_is_in_the_zone_that_is_shown(boss: Client) -> None:
    mary = make_session(make_user())
    SSOSession.objects.filter(pk=mary.pk).update(created_at=AT)
    boss.cookies[COOKIE] = "Asia/Tokyo"
    url = reverse("admin:sessions_app_ssosession_changelist")
    pages = [
        boss.get(url, {"from": typed, "until": "2026-02-02T00:00"}).content.decode()
        for typed in ("2026-02-01T08:29", "2026-02-01T08:31")
    ]
    assert ["mary@fabrikamcorp.com" in page for page in pages] == [True, False]


def test_no_database_has_to_know_the_zone_that_a_browser_named(boss: Client) -> None:
    """Its names may be other ones than ours; and hours that do not begin with those of UTC fall between the parts of a chart."""
    boss.cookies[COOKIE] = "Asia/Kolkata"
    with CaptureQueriesContext(connection) as queries:
        assert "IST" in boss.get(reverse("admin:idp_user_changelist")).content.decode()
        assert boss.get(reverse("admin:index")).status_code == 200
    assert not [each["sql"] for each in queries if "Kolkata" in each["sql"]]


def test_an_export_stays_in_utc(boss: Client) -> None:
    boss.cookies[COOKIE] = "Asia/Tokyo"
    answer = boss.get(reverse("admin:sessions_app_sessionevent_changelist"), {"export": "json"})
    assert "+09:00" not in b"".join(getattr(answer, "streaming_content", [answer.content])).decode()


@pytest.mark.parametrize(
    ("zone", "day", "clock", "since"),
    [
        ("", "Saturday, 31 Jan 2026", "23:30 UTC", "31 Jan 2026, 23:30 UTC"),
        ("Europe/Berlin", "Sunday, 1 Feb 2026", "00:30 CET", "1 Feb 2026, 00:30 CET"),
        ("Middle/Earth", "Saturday, 31 Jan 2026", "23:30 UTC", "31 Jan 2026, 23:30 UTC"),
    ],
)
def test_a_person_reads_their_own_days(zone: str, day: str, clock: str, since: str) -> None:
    with time_machine.travel(AT, tick=False):
        mary = make_user()
        phone, here = make_session(mary), browser(make_session(mary))
        SessionEvent.objects.create(type="opened", sub=mary.user_id, sid=phone.sid, at=AT)
        RememberedBrowser.objects.create(
            user=mary, token_hash="x", created_at=AT, expires_at=AT + timedelta(days=7), user_agent=""
        )
        here.cookies[COOKIE] = zone
        activity = here.get("/account/activity").content.decode()
        sessions = here.get("/account/sessions").content.decode()
    assert day in activity
    assert clock in activity
    assert f">{since}</time>" in sessions
    assert f"Feb 2026, {clock}</time>" in sessions.partition("Until")[2]  # a browser that is remembered
