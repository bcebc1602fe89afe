"""A delivery that cannot be processed is set aside, named and counted, and the others go on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from idp.crypto import keys
from idp.models import Application, SigningKey
from idp.tenants import configuration
from logout_app.delivery import aside, outbox, redeliver, tallies
from logout_app.delivery.channels import applications
from logout_app.delivery.outbox import ATTEMPTS, TABLE
from logout_app.models import HIGHEST, DeliveryAttempt, LogoutDelivery
from tests.delivery.conftest import attempted, make_due, running, sign_in, sign_out, wait_for
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def sql(statement: str, *parameters: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def delivered(client_id: str) -> int:
    return LogoutDelivery.objects.filter(client_id=client_id, state="delivered").count()


@pytest.mark.postgresql  # SQLite's numbers and times have other limits
@pytest.mark.parametrize(
    "poison",
    [
        f"fence = {HIGHEST}",
        f"attempts = {HIGHEST}",
        "created_at = 'infinity'",
        "created_at = '-infinity'",
        "created_at = '20000-01-01'",
    ],
)
def test_a_row_that_cannot_be_claimed_is_set_aside_and_the_others_are_told(application, receiver, settings, poison):
    settings.DELIVERY_TIMEOUT = 1
    app = application()
    sign_out(*[sign_in(app) for _ in range(8)])
    bad = LogoutDelivery.objects.order_by("id").first()
    sql(f"UPDATE {TABLE} SET {poison} WHERE id = %s", bad.pk)
    with running():
        wait_until(lambda: delivered("app") == 7, 30)
        wait_until(lambda: LogoutDelivery.objects.filter(pk=bad.pk, state="dead").exists(), 30)
    row = LogoutDelivery.objects.filter(pk=bad.pk).values("last_reason", "fence", "attempts").get()
    assert row["last_reason"].startswith("set aside: ")
    assert tallies.read()["aside", "backchannel"] == 1
    assert 'curfew_set_aside_total{what="backchannel"} 1.0' in Client().get("/metrics").content.decode()
    assert len(receiver.posts()) == 7


@pytest.mark.postgresql
def test_what_was_set_aside_can_be_sent_again_once_it_is_mended(application, receiver):
    sign_out(sign_in(application()))
    LogoutDelivery.objects.update(fence=HIGHEST)
    with running():
        wait_for("dead")
        assert redeliver.deliveries([LogoutDelivery.objects.get().pk], at=timezone.now()) == 1
        wait_for("delivered")


@pytest.mark.postgresql
def test_full_counters_stop_neither_redeliver_nor_the_housekeeping(application):
    app, now = application(), timezone.now()
    sign_out(sign_in(app), at=now - timedelta(days=2))
    LogoutDelivery.objects.update(fence=HIGHEST, attempts=3)
    assert outbox.give_up(now, timedelta(days=1)) == 1
    LogoutDelivery.objects.update(fence=HIGHEST)
    assert redeliver.deliveries([LogoutDelivery.objects.get().pk], at=now) == 1


def test_rows_of_a_channel_that_no_worker_knows_are_set_aside(application, receiver):
    app = application()
    sign_out(*[sign_in(app) for _ in range(3)])
    bad = LogoutDelivery.objects.order_by("id").first()
    old = timezone.now() - timedelta(minutes=2)
    LogoutDelivery.objects.filter(pk=bad.pk).update(channel="pigeon:post", due_at=old)
    with running():
        wait_until(lambda: delivered("app") == 2)
        wait_until(lambda: LogoutDelivery.objects.filter(pk=bad.pk, state="dead").exists())
    bad.refresh_from_db()
    assert bad.last_reason == "set aside: no worker knows this channel"
    metrics = Client().get("/metrics")
    assert metrics.status_code == 200
    assert 'curfew_set_aside_total{what="unknown"} 1.0' in metrics.content.decode()


@pytest.mark.parametrize(
    "change",
    [
        {"id_token_signed_response_alg": "HS0"},
        {"outbound_hosts": 7},
        {"backchannel_logout_initiators": 7, "backchannel_logout_initiators_mode": "custom"},
        {"backchannel_logout_token_typ": b"logout+jwt"},
    ],
)
def test_a_configuration_that_makes_no_token_is_tried_thrice_then_set_aside_while_others_are_told(
    application, receiver, change, monkeypatch
):
    bad, good = application("bad"), application("good")
    load = configuration.Snapshot.application_by_pk

    def as_the_table_has_it(snapshot: configuration.Snapshot, pk: int) -> Application | None:
        """What this database may refuse to store, another release may have stored."""
        found = load(snapshot, pk)
        if found is not None and found.pk == bad.pk:
            for name, value in change.items():
                setattr(found, name, value)
        return found

    monkeypatch.setattr(configuration.Snapshot, "application_by_pk", as_the_table_has_it)
    with running():
        sign_out(*[sign_in(bad, good) for _ in range(3)])
        wait_until(lambda: delivered("good") == 3)
        for number in (1, 2, 3):
            attempted(3 + 3 * number)
            make_due()
        wait_until(lambda: LogoutDelivery.objects.filter(client_id="bad", state="dead").count() == 3)
    assert receiver.posts("bad") == []
    reasons = LogoutDelivery.objects.filter(client_id="bad").values_list("last_reason", flat=True)
    assert all(reason.startswith("set aside: ") for reason in reasons)
    assert tallies.read()["aside", "backchannel"] == 3


@pytest.mark.parametrize("url", ["http://[::1", "https://", "\x00", "http://a\nb/", "x" * 100_000])
def test_a_broken_address_is_the_applications_own_trouble(application, receiver, url, monkeypatch):
    """Rules at every door refuse it, and again when it is used; the sender does not count on that."""
    bad, good = application("bad"), application("good")
    find = applications.url_of
    monkeypatch.setattr(applications, "url_of", lambda app, field: url if app.pk == bad.pk else find(app, field))
    with running():
        sign_out(sign_in(bad, good))
        wait_until(lambda: delivered("good") == 1)
        wait_until(lambda: LogoutDelivery.objects.get(client_id="bad").last_reason)


def test_one_key_that_cannot_be_unsealed_stops_only_those_who_need_it(application, receiver, settings):
    settings.DELIVERY_TIMEOUT = 1
    keys.ensure()
    SigningKey.objects.filter(algorithm="ES256").update(sealed_private_key="v1.gone.AAAA")
    configuration.bump()
    sealed, good = application("sealed", id_token_signed_response_alg="ES256"), application("good")
    with running():
        sign_out(*[sign_in(sealed, good) for _ in range(3)])
        wait_until(lambda: delivered("good") == 3)
    assert receiver.posts("sealed") == []
    assert set(LogoutDelivery.objects.filter(client_id="sealed").values_list("state", flat=True)) == {"pending"}


@pytest.mark.postgresql
def test_an_attempt_that_the_table_refuses_loses_neither_its_outcome_nor_the_others(application, receiver, settings):
    settings.DELIVERY_TIMEOUT = 1
    app = application()
    sign_out(*[sign_in(app) for _ in range(6)])
    bad = LogoutDelivery.objects.order_by("id").first()
    sql(f"ALTER TABLE {ATTEMPTS} ADD CONSTRAINT poison CHECK (delivery_id <> {bad.pk})")
    try:
        with running():
            wait_for(*["delivered"] * 6)
    finally:
        sql(f"ALTER TABLE {ATTEMPTS} DROP CONSTRAINT poison")
    assert len(receiver.posts()) == 6
    assert DeliveryAttempt.objects.count() == 5
    bad.refresh_from_db()
    assert "could not be recorded" in bad.last_reason
    assert tallies.read()["unrecorded", "backchannel"] == 1


@pytest.mark.postgresql
def test_a_result_that_the_table_refuses_altogether_is_not_asked_for_again(application, receiver, settings):
    settings.DELIVERY_TIMEOUT = 1  # and the lease is six seconds
    app = application()
    sign_out(*[sign_in(app) for _ in range(3)])
    bad = LogoutDelivery.objects.order_by("id").first()
    sql(f"ALTER TABLE {TABLE} ADD CONSTRAINT poison CHECK (id <> {bad.pk} OR state = 'pending')")
    try:
        with running():
            wait_until(lambda: delivered("app") == 2)
            wait_until(lambda: LogoutDelivery.objects.get(pk=bad.pk).attempts >= 3, 30)
    finally:
        sql(f"ALTER TABLE {TABLE} DROP CONSTRAINT poison")
    assert len(receiver.posts()) == 3


def test_an_answer_counts_whatever_its_lease_says_and_is_written_once(application):
    """Another worker took the row meanwhile; the application has answered this one."""
    sign_out(sign_in(application()))
    claim = {"channels": ["backchannel"], "rooms": {}, "cap": 5, "limit": 9, "lease": timedelta(seconds=9)}
    (first,) = outbox.claim(at=timezone.now(), **claim)
    outbox.claim(at=timezone.now() + timedelta(seconds=10), **claim)
    now = timezone.now()
    told = outbox.Result(first, outbox.Outcome.DELIVERED, "200", now, now, status=200)
    assert outbox.record([told], delivered_is_final=True) == [first.id]
    assert outbox.record([told], delivered_is_final=True) == []
    assert DeliveryAttempt.objects.count() == 1
    assert aside.known("frontchannel") == "frontchannel"
