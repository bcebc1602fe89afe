"""The limiter's counters."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from idp.limits import limiter
from idp.limits.limiter import Limit
from idp.models import LimiterSlot

NOW = datetime(2026, 11, 21, 10, 0, 5, tzinfo=UTC)
THREE = Limit("three", 3, 60)
MANY = Limit("many", 1000, 60, shards=4)


@pytest.fixture(autouse=True)
def _forget():
    limiter._blocked = limiter._Blocked()


@pytest.mark.django_db
def test_slots_are_reserved_in_one_statement_until_the_limit(django_assert_num_queries):
    key = THREE.key("mary")
    for _ in range(3):
        with django_assert_num_queries(1):
            assert limiter.reserve([key, MANY.key("all")], NOW).allowed
    refused = limiter.reserve([key, MANY.key("all")], NOW)
    assert not refused.allowed
    assert refused.exhausted == (key,)
    assert refused.retry_after == 55
    assert limiter.reserve([THREE.key("john")], NOW).allowed


@pytest.mark.django_db
def test_a_new_window_begins_empty():
    for _ in range(4):
        limiter.reserve([THREE.key("mary")], NOW)
    assert limiter.reserve([THREE.key("mary")], NOW + timedelta(seconds=60)).allowed


@pytest.mark.django_db
def test_what_was_right_is_given_back():
    for _ in range(20):
        reservation = limiter.reserve([THREE.key("mary"), MANY.key("all")], NOW)
        assert reservation.allowed
        limiter.give_back(reservation)
    assert set(LimiterSlot.objects.values_list("count", flat=True)) == {0}


@pytest.mark.django_db
def test_giving_back_after_the_purge_counts_nothing():
    reservation = limiter.reserve([THREE.key("mary")], NOW)
    assert limiter.purge(NOW + timedelta(hours=1)) == 1
    limiter.give_back(reservation)
    assert LimiterSlot.objects.get().count == 0


@pytest.mark.django_db
def test_keys_are_stored_hashed():
    limiter.reserve([THREE.key("mary@fabrikamcorp.com\x00", "x" * 5000, "\ud800")], NOW)
    assert LimiterSlot.objects.get().key.startswith("three:")
    assert "mary" not in LimiterSlot.objects.get().key


@pytest.mark.django_db
def test_failures_block_and_successes_cost_nothing(django_assert_num_queries):
    key = THREE.key("client", "192.0.2.1")
    with django_assert_num_queries(0):
        assert not limiter.is_blocked(key, NOW)
    assert [limiter.count_failure(key, NOW) for _ in range(3)] == [1, 2, 3]
    with django_assert_num_queries(0):
        assert limiter.is_blocked(key, NOW)
        assert not limiter.is_blocked(key, NOW + timedelta(seconds=60))


@pytest.mark.django_db(transaction=True)
def test_parallel_reservations_are_all_counted():
    """No more than the limit is let through, however many come at once."""
    results = []

    def attack():
        try:
            results.extend(limiter.reserve([THREE.key("mary"), MANY.key("all")], NOW).allowed for _ in range(5))
        finally:
            connection.close()

    threads = [threading.Thread(target=attack) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(results), results.count(True)) == (40, 3)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        (None, "unknown"),
    ],
)
def test_an_address_is_counted_by_its_prefix(ip, expected):
    assert limiter.prefix(ip) == expected


@pytest.mark.django_db
def test_what_is_given_back_with_another_act_is_the_same_slots():
    for _ in range(3):
        kept = limiter.reserve([THREE.key("mary"), MANY.key("all")], NOW)
    for sql, params in limiter.giving_back(kept):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
    assert sorted(LimiterSlot.objects.filter(key__startswith="three").values_list("count", flat=True)) == [2]
    assert sum(LimiterSlot.objects.filter(key__startswith="many").values_list("count", flat=True)) == 2


def test_a_kind_that_its_column_cannot_hold_is_refused_at_once():
    longest = LimiterSlot._meta.get_field("key").max_length
    assert len(Limit("k" * limiter.LONGEST_KIND, 1, 60).key("x").name) == longest
    with pytest.raises(ValueError, match="too long"):
        Limit("k" * (limiter.LONGEST_KIND + 1), 1, 60)
