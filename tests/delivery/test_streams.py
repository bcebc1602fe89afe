"""Event streams by the real drain, to a receiver behind a real socket: order, what is refused, pauses, and workers that die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import connection
from django.utils import timezone

from logout_app.models import DeliveryState, EventStream, LogoutDelivery, StreamItem
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import manage
from sessions_app.audit import history
from sessions_app.models import SessionEvent
from tests.delivery.conftest import running, sign_in, sign_out
from tests.support.event_streams import claims_of
from tests.support.nursery import run_in_bare
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]


def make_stream(url: str, **fields: object) -> EventStream:
    stream = EventStream(
        public_id=manage.new_public_id(), name="Watcher", endpoint=url, audiences=["watcher"],
        events=[v.SESSION_REVOKED], after=history.newest(), **fields,
    )  # fmt: skip
    stream.save()
    return stream


def happen(count: int, first: int = 0) -> list[str]:
    """Sessions that ended, as lines of the trail; their persons in that order."""
    subs = [f"auth0|{number:06d}" for number in range(first, first + count)]
    now = timezone.now()
    SessionEvent.objects.bulk_create(
        [SessionEvent(at=now, type="ended", sid=sub[6:], sub=sub, initiator="rp-logout", actor="user") for sub in subs]
    )
    return subs


def told(receiver, path: str = "stream") -> list[str]:
    return [claims_of(post["body"])["sub_id"].get("sub", "control") for post in receiver.posts(path)]


def states(stream: EventStream) -> dict[str, int]:
    rows = stream.items.values_list("delivery__state", flat=True)
    return {state: list(rows).count(state) for state in set(rows)}


@pytest.mark.spec("RFC 8935", "2", "A security event token is pushed with its media type, and 202 takes it")
def test_a_sign_out_is_pushed_within_a_second_with_the_receiver_s_header(receiver):
    receiver.behave(stream="202")
    stream = make_stream(receiver.url("stream"))
    stream.authorization = manage.seal(stream, "authorization", "Token kept-by-the-receiver")
    stream.save()
    with running():
        session = sign_in()
        sign_out(session)
        wait_until(lambda: receiver.posts("stream"), 3)
        [post] = receiver.posts("stream")
        assert post["headers"]["content-type"] == "application/secevent+jwt"
        assert post["headers"]["authorization"] == "Token kept-by-the-receiver"
        assert claims_of(post["body"])["sub_id"]["sub"] == session.user.user_id
        wait_until(lambda: states(stream) == {"delivered": 1})
    row = LogoutDelivery.objects.get(channel="stream")
    assert (row.event is not None, row.state_in_words, row.attempts) == (True, "Told", 1)


def test_order_is_kept_while_the_receiver_fails_again_and_again(receiver):
    receiver.behave(stream="503")
    stream = make_stream(receiver.url("stream"))
    subs = happen(45)
    with running():
        wait_until(lambda: len(receiver.posts("stream")) >= 2)  # of the first event only
        assert set(told(receiver)) == {subs[0]}
        receiver.behave(stream="202")
        before = len(receiver.posts("stream"))
        wait_until(lambda: states(stream).get("delivered") == 45, 60)
    assert told(receiver)[before:][-45:] == subs
    assert len({claims_of(post["body"])["jti"] for post in receiver.posts("stream")}) == 45


def test_an_event_that_is_refused_is_dead_and_the_others_go_on_until_it_is_redelivered(receiver):
    receiver.behave(stream='400:{"err":"invalid_audience"}')
    stream = make_stream(receiver.url("stream"))
    subs = happen(3)
    with running():
        wait_until(lambda: states(stream) == {"dead": 3})
        assert told(receiver) == subs
        assert "invalid_audience" in LogoutDelivery.objects.first().last_reason
        receiver.behave(stream="202")
        assert manage.redeliver_dead(stream, at=timezone.now()) == 3
        wait_until(lambda: states(stream) == {"delivered": 3})


def test_ten_thousand_events_of_a_paused_stream_cost_no_row_and_come_in_order(receiver):
    receiver.behave(stream="202")
    stream = make_stream(receiver.url("stream"))
    with running():
        manage.set_status(
            stream, "paused", "for the night", actor="admin:boss", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR
        )
        wait_until(lambda: len(receiver.posts("stream")) == 1)
        subs = happen(10_000)
        manage.send_verification(stream, None, timezone.now())
        wait_until(lambda: len(receiver.posts("stream")) == 2)  # what is about the stream itself is not held
        assert StreamItem.objects.count() == 2
        almost = SessionEvent.objects.order_by("-pk")[200].pk  # the last two hundred are as the others
        EventStream.objects.update(after=almost)
        manage.set_status(stream, "enabled", "", actor="admin:boss", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)
        wait_until(lambda: len(receiver.posts("stream")) == 3 + 200, 60)
    heard = told(receiver)
    assert heard[:3] == ["control"] * 3
    assert heard[3:] == subs[-200:]


def test_what_a_pause_finds_in_the_outbox_goes_back_into_the_trail_and_is_told_once(receiver):
    receiver.behave(stream="503")
    stream = make_stream(receiver.url("stream"))
    subs = happen(5)
    with running():
        wait_until(lambda: receiver.posts("stream"))
        manage.set_status(stream, "paused", "", actor="app", at=timezone.now(), by=manage.SetBy.RECEIVER)
        receiver.behave(stream="202")
        wait_until(lambda: states(stream) == {"dropped": 5}, 30)
        stream.refresh_from_db()
        at_the_pause = len(receiver.posts("stream"))
        manage.set_status(stream, "enabled", "", actor="app", at=timezone.now(), by=manage.SetBy.RECEIVER)
        wait_until(lambda: states(stream).get("delivered") == 5, 30)
    assert told(receiver)[at_the_pause:] == subs


def test_a_disabled_stream_keeps_nothing(receiver):
    stream = make_stream(receiver.url("stream"), status="disabled")
    happen(3)
    manage.set_status(stream, "enabled", "", actor="app", at=timezone.now(), by=manage.SetBy.RECEIVER)
    subs = happen(2, first=3)
    with running():
        wait_until(lambda: len(receiver.posts("stream")) == 2)
    assert told(receiver) == subs


def test_a_receiver_that_is_away_for_longer_than_a_delivery_lives_loses_nothing(receiver, settings):
    settings.DELIVERY_MAX_AGE = 1
    receiver.behave(stream="reset")
    stream = make_stream(receiver.url("stream"))
    subs = happen(2)
    with running():
        wait_until(lambda: len(receiver.posts("stream")) >= 3, 30)
        receiver.behave(stream="202")
        wait_until(lambda: states(stream) == {"delivered": 2}, 30)
    assert told(receiver)[-2:] == subs


def test_a_deleted_stream_leaves_nothing_that_waits(receiver):
    receiver.behave(stream="503")
    stream = make_stream(receiver.url("stream"))
    happen(3)
    with running():
        wait_until(lambda: receiver.posts("stream"))
        manage.delete(stream, actor="admin:boss", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)
        wait_until(lambda: not LogoutDelivery.objects.filter(state=DeliveryState.PENDING).exists(), 30)


def test_a_worker_that_is_killed_after_any_post_loses_nothing_and_repeats_with_the_same_jti(receiver):
    receiver.behave(stream="202")
    stream = make_stream(receiver.url("stream"))
    subs = happen(3)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "CURFEW_FAILPOINT": "after_post"}
    work = (
        "import asyncio, os, django; django.setup()\n"
        "from django.conf import settings\n"
        "from django.db import connection\n"
        f"settings.OUTBOUND_ALLOW = ['127.0.0.0/8']; settings.FAILPOINT = 'after_post'\n"
        f"connection.settings_dict['NAME'] = {str(connection.settings_dict['NAME'])!r}\n"
        "from logout_app.delivery.drain import Drain\n"
        "asyncio.run(Drain().run())\n"
    )
    for _ in range(2):
        worker = run_in_bare(["-c", work], environment)
        assert worker.returncode == -signal.SIGKILL
        LogoutDelivery.objects.filter(state="pending").update(lease_until=None)  # as once the lease is over
    with running():
        wait_until(lambda: states(stream) == {"delivered": 3}, 30)
    assert told(receiver) == [subs[0], subs[0], *subs]
    assert len({claims_of(post["body"])["jti"] for post in receiver.posts("stream")}) == 3
    assert configured.FAILPOINT == ""
