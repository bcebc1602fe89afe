"""What a refresh writes does not grow with the number of tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from sessions_app.models import RefreshTokenFamily
from tests.support.factories import make_application, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
TABLE = RefreshTokenFamily._meta.db_table


def test_a_refresh_leaves_the_indexes_of_its_family_alone() -> None:
    """Its row finds room in its page: else each of seven indexes gets an entry, in a page that is hardly ever in memory."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE} CASCADE")  # pages that no other test has been in
    now, application, user = timezone.now(), make_application(), make_user()
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
    common = {"user": user, "application": application, "offline": True, "auth_time": now, "idle_expires_at": now}
    seen = {"initial_ip": "10.1.2.3", "initial_user_agent": agent, "last_ip": "10.1.2.3", "last_user_agent": agent}
    rows = [RefreshTokenFamily(**common, **seen) for _ in range(100)]
    families = RefreshTokenFamily.objects.bulk_create(rows)
    before = updates()
    for family in families[::10]:  # some of each page, as applications come
        changes = {
            "generation": 1,
            "rotated_at": now,
            "last_exchanged_at": now,
            "idle_expires_at": now + timedelta(days=1),
        }
        RefreshTokenFamily.objects.filter(pk=family.pk).update(**changes)
    after = updates()
    assert (after[0] - before[0], after[1] - before[1]) == (10, 10)


def updates() -> tuple[int, int]:
    """How many, and how many of them wrote to no index; of this connection, with what it has not told the server yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s", [TABLE])
        found: tuple[int, int] = cursor.fetchone()
    return found
