"""Channels as rows of a table, and receivers that are no applications."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import User
from idp.outbound.many import FORM
from logout_app.admin.deliveries import can_be_sent
from logout_app.admin.trouble import failing
from logout_app.delivery import outbox, redeliver, tallies
from logout_app.delivery.channels import planning, registry
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Message, NothingToTell, Route
from logout_app.delivery.receiver import of_application
from logout_app.ending import rows
from logout_app.models import OF_STREAMS, Channel, DeliveryState, DrainReport, LogoutDelivery, LogoutEvent
from logout_app.protocol import retry
from sessions_app.models import SSOSession
from tests.delivery.conftest import running, sign_in, sign_out, wait_for
from tests.support import earlier_release
from tests.support.factories import make_application
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]

# A receiver for every session that ends, beside all applications.
SELECT = f"""
SELECT {{event}}, session.id, CAST(NULL AS bigint), 'watcher:1', 'events', person.user_id, session.sid,
    'watcher', 'pending', %(at)s, %(at)s, 0, 0, '', NULL
FROM {SSOSession._meta.db_table} session
JOIN {User._meta.db_table} person ON person.id = session.user_id
WHERE session.id {{among}}"""


@pytest.fixture
def stream(receiver, monkeypatch):
    """What a new channel is: one row of the table. `closed`: receivers that were taken away."""
    closed: list[str] = []

    def route(row, snapshot) -> Route:
        if row.receiver in closed:
            raise NothingToTell("the stream was deleted")
        return Route(
            receiver.url("watcher"), None, lambda row, _at: Message(b"set=" + row.sid.encode(), FORM, f"j{row.id}")
        )

    channel = DeliveryChannel("watcher", "Event stream", select=SELECT, dispatch=Dispatch(route, retry.decide))
    channels = (*registry.CHANNELS, channel)
    monkeypatch.setattr(registry, "CHANNELS", channels)
    monkeypatch.setattr(planning, "CHANNELS", channels)
    monkeypatch.setitem(registry.BY_NAME, "watcher", channel)
    monkeypatch.setitem(registry.SENT, "watcher", channel.dispatch)
    _plan_anew()
    yield closed
    monkeypatch.undo()
    _plan_anew()


def _plan_anew() -> None:
    planning.statement.cache_clear()
    rows._act.cache_clear()


def waiting_for(receiver: str, number: int = 1, **changes: object) -> list[LogoutDelivery]:
    event = LogoutEvent.objects.create(initiator="rp-logout", actor="user")
    return [
        LogoutDelivery.objects.create(
            event=event, receiver=receiver, client_id="events", sub=f"auth0|{person}", channel="watcher", **changes
        )
        for person in range(number)
    ]


# --- one row of the table is all -------------------------------------------------------------------------------------
def test_a_channel_to_something_that_is_no_application_is_planned_posted_judged_and_shown(
    stream, application, receiver
):
    app = application()
    with running():
        sign_out(sign_in(app))
        wait_for("delivered", "delivered")
    row = LogoutDelivery.objects.get(channel="watcher")
    assert (row.receiver, row.application_id, row.get_channel_display()) == ("watcher:1", None, "Event stream")
    assert receiver.posts("watcher")[0]["form"] == {"set": [row.sid]}
    assert LogoutDelivery.objects.get(channel="backchannel").receiver == of_application(app.pk)
    assert 'curfew_logout_deliveries_total{channel="watcher",state="delivered"} 1.0' in _metrics()


def test_a_receiver_that_was_taken_away_is_dropped_with_its_reason(stream, application):
    stream.append("watcher:1")
    with running():
        sign_out(sign_in())
        wait_for("dropped")
    assert LogoutDelivery.objects.get().last_reason == "the stream was deleted"


def test_each_channel_says_all_that_its_rows_need():
    assert {str(name) for name in Channel} <= set(registry.BY_NAME)
    for channel in registry.CHANNELS:
        assert channel.title
        assert not (channel.dispatch and channel.in_browser)
        if channel.dispatch and channel.name not in OF_STREAMS:  # which the feeder plans
            assert channel.hearing or channel.select


def test_nobody_outside_the_table_asks_which_channel_a_row_has():
    asks = re.compile(r"\.channel\s*(==|!=|\bin\b\s*\()|channel=(Channel\.|[\"'])")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "logout_app").rglob("*.py"))
        if "migrations" not in path.parts and path.name != "models.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if asks.search(line)
    ]
    assert found == []


# --- by receiver -----------------------------------------------------------------------------------------------------
def test_a_receiver_that_hangs_takes_its_own_slots_whoever_else_has_its_client_id(
    stream, application, receiver, settings
):
    settings.PER_APP_IN_FLIGHT, settings.DELIVERY_TIMEOUT = 2, 3
    receiver.behave(watcher="hang:30")
    app = application("events")
    with running():
        sign_out(*[sign_in(app) for _ in range(12)])
        wait_until(lambda: LogoutDelivery.objects.filter(channel="backchannel", state="delivered").count() == 12)
        assert len(receiver.posts("watcher")) == 2


def test_the_breaker_of_a_receiver_is_its_own_and_named_by_its_key(stream, application, receiver):
    receiver.behave(watcher="503", app="503")
    app = application()
    with running():
        sign_out(*[sign_in(app) for _ in range(8)])
        wait_until(lambda: {("breaker", "watcher:1"), ("breaker", "app")} <= set(tallies.read()))
    text = _metrics()
    assert 'curfew_logout_breaker_open{client_id="watcher:1"} 1.0' in text
    assert 'curfew_logout_breaker_open{client_id="app"} 1.0' in text
    assert 'curfew_logout_application_pending{client_id="watcher:1"} 8.0' in text


def test_two_receivers_of_one_application_have_a_backlog_each(stream):
    waiting_for("watcher:1", 3)
    waiting_for("watcher:2", 2)
    pending = re.findall(r'curfew_logout_application_pending{client_id="([\w:]+)"} (\d+)', _metrics())
    assert pending == [("watcher:1", "3"), ("watcher:2", "2")]


def test_a_receiver_that_fails_needs_attention_and_leads_to_its_rows(stream):
    waiting_for("watcher:1", 2, attempts=3, last_status=503, last_reason="busy")
    (attention,) = failing(timezone.now())
    assert "its last answer was 503 (busy). 2 people wait" in attention.text
    assert "receiver__exact=watcher%3A1" in attention.url


def test_what_a_stream_never_took_is_sent_again_and_what_a_deleted_application_never_took_is_not(stream, receiver):
    now = timezone.now()
    (theirs,) = waiting_for("watcher:1", state="dead", finished_at=now)
    (gone,) = waiting_for(of_application(9), state="dead", finished_at=now)
    (earlier,) = waiting_for(None, state="dead", finished_at=now)  # type: ignore[arg-type]
    assert [can_be_sent(row) for row in (theirs, gone, earlier)] == [True, False, False]
    assert redeliver.deliveries([theirs.pk, gone.pk, earlier.pk], at=now) == 1
    with running():
        wait_until(lambda: LogoutDelivery.objects.get(pk=theirs.pk).state == DeliveryState.DELIVERED)


# --- two releases ----------------------------------------------------------------------------------------------------
def test_what_an_earlier_release_planned_is_told_within_seconds_although_it_names_no_receiver(application, receiver):
    app = application()
    sessions = [sign_in(app) for _ in range(3)]
    with running():
        wait_until(DrainReport.objects.exists)
        for session in sessions:
            earlier_release.sign_out(session.pk, timezone.now())
        assert set(LogoutDelivery.objects.values_list("receiver", flat=True)) <= {None, of_application(app.pk)}
        wait_for("delivered", "delivered", "delivered", seconds=20)
    assert set(LogoutDelivery.objects.values_list("receiver", flat=True)) == {of_application(app.pk)}


def test_frames_that_an_earlier_release_planned_stay_the_browser_s():
    app = make_application("App", frontchannel_logout_uri="https://app.example/fc")
    event = LogoutEvent.objects.create(initiator="rp-logout", actor="user")
    LogoutDelivery.objects.create(event=event, application=app, client_id="app", sub="s", channel="frontchannel")
    assert outbox.adopt() == 0
    assert LogoutDelivery.objects.get().receiver is None


def _metrics() -> str:
    return Client().get("/metrics").content.decode()
