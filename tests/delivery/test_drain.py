"""Isolation of applications, leases and fences, and the bell."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from idp.tenants import configuration
from logout_app.delivery import bell, outbox
from logout_app.delivery.receiver import of_application
from logout_app.models import DeliveryAttempt, LogoutDelivery
from logout_app.protocol.retry import Outcome
from tests.delivery.conftest import attempted, make_due, running, sign_in, sign_out, states, wait_for
from tests.support.receiver import header_of, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


# --- isolation -------------------------------------------------------------------------------------------------------


def test_an_application_that_hangs_uses_its_own_slots_only(receiver, application, settings):
    """F-Q01 in small: the healthy application never waits for the slow one."""
    settings.PER_APP_IN_FLIGHT, settings.DELIVERY_TIMEOUT = 3, 2
    receiver.behave(slow="hang:30")
    slow, healthy = application("slow"), application("healthy")
    sessions = [sign_in(slow, healthy) for _ in range(30)]
    with running():
        begun = time.monotonic()
        sign_out(*sessions)
        wait_until(lambda: LogoutDelivery.objects.filter(client_id="healthy", state="delivered").count() == 30, 5)
        assert time.monotonic() - begun < 2
        assert len(receiver.posts("slow")) == 3


def test_the_breaker_stops_asking_an_application_that_fails(receiver, application, settings):
    settings.PER_APP_IN_FLIGHT = 5
    receiver.behave(app="503")
    app = application()
    with running():
        sign_out(*[sign_in(app) for _ in range(40)])
        attempted(5)
        time.sleep(0.8)
        assert len(receiver.posts()) <= 10
        receiver.behave(app="200")
        make_due()
        wait_for(*["delivered"] * 40, seconds=15)


def test_a_claim_takes_no_more_than_each_application_has_room_for(application):
    one, two = application("one"), application("two")
    sign_out(*[sign_in(one, two) for _ in range(6)])
    claimed = claim(rooms={of_application(one.pk): 2, of_application(two.pk): 0})
    assert [row.client_id for row in claimed] == ["one", "one"]
    assert sorted(row.client_id for row in claim(rooms={of_application(one.pk): 0})) == ["two"] * 5
    assert len(claim(limit=3)) == 3


@pytest.mark.postgresql
def test_a_claim_finds_the_rows_of_each_application_by_their_index_whatever_the_statistics_say(application):
    """They are as a rule from a moment at which nothing was pending, and say that one index is as short as the other."""
    apps = [application(f"app{number}") for number in range(5)]
    with connection.cursor() as cursor:
        sign_out(*[sign_in(*apps) for _ in range(20)])
        LogoutDelivery.objects.update(state="delivered", finished_at=timezone.now())
        cursor.execute(f"ANALYZE {outbox.TABLE}")
        LogoutDelivery.objects.update(state="pending", finished_at=None)
        at = timezone.now()
        given = {"now": at, "lease": at, "rooms": "[]", "channels": ["backchannel"], "cap": 5, "limit": 100}
        cursor.execute("SET random_page_cost = 0.1")  # as for every statement that is kept
        cursor.execute(f"EXPLAIN {outbox.CLAIM_POSTGRES}", given)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    used = re.findall(rf"using (\w+) on {outbox.TABLE}", plan)
    assert set(used) == {"logout_delivery_of_receiver", f"{outbox.TABLE}_pkey"}, plan
    assert f"Seq Scan on {outbox.TABLE}" not in plan


def claim(**options) -> list[outbox.Claimed]:
    defaults = {
        "channels": ["backchannel"],
        "rooms": {},
        "cap": 5,
        "limit": 100,
        "at": timezone.now(),
        "lease": timedelta(seconds=9),
    }
    return outbox.claim(**{**defaults, **options})


def test_a_claim_is_exclusive_until_its_lease_ends(application):
    sign_out(sign_in(application()))
    (first,) = claim()
    assert claim() == []
    (second,) = claim(at=timezone.now() + timedelta(seconds=10))
    assert (second.fence, second.attempts) == (first.fence + 1, first.attempts + 1)


def test_a_result_behind_the_fence_is_void_but_its_attempt_is_kept(application):
    sign_out(sign_in(application()))
    (first,) = claim()
    (second,) = claim(at=timezone.now() + timedelta(seconds=10))
    now = timezone.now()
    late = outbox.Result(first, Outcome.DELIVERED, "200", now, now, status=200)
    right = outbox.Result(second, Outcome.REFUSED, "400", now, now, status=400)
    assert outbox.record([late]) == []
    assert states() == ["pending"]
    assert outbox.record([right]) == [second.id]
    assert states() == ["dead"]
    assert DeliveryAttempt.objects.count() == 2


def test_a_result_of_a_deleted_row_harms_nobody(application):
    sign_out(sign_in(application("one"), application("two")))
    rows, now = claim(), timezone.now()
    LogoutDelivery.objects.filter(pk=rows[0].id).delete()
    results = [outbox.Result(row, Outcome.DELIVERED, "200", now, now, status=200) for row in rows]
    assert outbox.record(results) == [rows[1].id]


def test_a_row_that_was_never_tried_is_due_whatever_its_clock_said(receiver, application):
    """F-C01: a web server whose clock is ten minutes ahead delays nothing."""
    with running():
        sign_out(sign_in(application()), at=timezone.now() + timedelta(minutes=10))
        wait_for("delivered")


# --- the bell --------------------------------------------------------------------------------------------------------


def test_the_bell_wakes_the_drain_in_milliseconds(receiver, application):
    app = application()
    with running():
        sign_out(sign_in(app))
        wait_for("delivered")
        session = sign_in(app)
        begun = time.time()
        sign_out(session)
        wait_until(lambda: len(receiver.posts()) == 2)
    assert receiver.posts()[1]["at"] - begun < 0.5


def test_five_bells_for_one_row_send_it_once(receiver, application):
    """F-Q06."""
    with running():
        sign_out(sign_in(application()))
        for _ in range(5):
            bell.ring()
        wait_for("delivered")
        time.sleep(0.3)
    assert len(receiver.posts()) == 1


def test_a_bell_before_the_commit_loses_nothing(receiver, application):
    """F-Q07."""
    session = sign_in(application())
    with running():
        time.sleep(0.3)
        with transaction.atomic():
            if connection.vendor == "postgresql":  # SQLite's one writer would keep the drain waiting
                sign_out(session)
            bell.ring()
            time.sleep(0.3)
        if connection.vendor == "sqlite":
            sign_out(session)
        wait_for("delivered")


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0"])
def test_without_a_bell_the_drains_own_timer_comes_within_a_second(receiver, application, settings, url):
    """F-R02, F-Q05."""
    settings.REDIS_URL = url
    session = sign_in(application())
    with running():
        time.sleep(0.3)
        begun = time.monotonic()
        sign_out(session)
        assert time.monotonic() - begun < 1.0
        wait_for("delivered", seconds=3)


def test_a_changed_configuration_is_seen_without_a_restart(receiver, application):
    app = application()
    with running():
        sign_out(sign_in(app))
        wait_for("delivered")
        app.backchannel_logout_token_typ = "JWT"
        app.save()
        sign_out(sign_in(app))
        wait_for("delivered", "delivered")
    assert [header_of(post["form"]["logout_token"][0])["typ"] for post in receiver.posts()] == ["logout+jwt", "JWT"]
    assert configuration.current().version
