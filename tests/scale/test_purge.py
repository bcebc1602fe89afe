"""The purge of a large installation: each statement is short, whatever else is in the table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.models import SpentToken
from logout_app.ending import purge
from sessions_app.audit.purging import OldLines
from sessions_app.models import RefreshToken, RefreshTokenFamily
from sessions_app.session import batches
from sessions_app.session.batches import KeyRange, PurgeAct
from tests.support.factories import make_application, make_user

pytestmark = pytest.mark.django_db
FEW = {"importjob", "exportjob", "samlsubject"}  # rows that need no index of when they are over
NOW = datetime(2026, 11, 30, 0, 5, tzinfo=UTC)


def purged() -> Iterator[type[models.Model]]:
    """Models, with those whose rows go with theirs."""
    by_name = {model._meta.model_name: model for model in apps.get_models()}
    waiting, seen = [by_name[name] for name, _ in purge.batches(NOW, 90)], set()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            yield model
            waiting += [
                each.related_model for each in batches._relations(model) if each.on_delete is not models.SET_NULL
            ]


def test_what_refers_to_a_row_that_goes_is_found_by_an_index() -> None:
    """Else each batch would read all of another table."""
    with connection.cursor() as cursor:
        missing = [
            f"{relation.related_model.__name__}.{relation.field.name}"
            for model in purged()
            for relation in batches._relations(model)
            if not has_index(cursor, relation.field)
        ]
    assert missing == []


def has_index(cursor: Any, field: models.ForeignKey[Any, Any]) -> bool:
    known = connection.introspection.get_constraints(cursor, field.model._meta.db_table).values()
    return any((each["index"] or each["unique"]) and each["columns"][:1] == [field.column] for each in known)


@pytest.mark.postgresql
def test_the_oldest_come_from_an_index_in_their_order() -> None:
    """Without sorting, which would read all that is over for each batch."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    sorting = {name for name, act in purge.batches(NOW, 90) if "Sort" in plan_of(act)}
    assert sorting == FEW


def plan_of(act: PurgeAct) -> str:
    if isinstance(act, KeyRange | OldLines):
        return ""
    with CaptureQueriesContext(connection) as captured:
        act()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        return "\n".join(row[0] for row in cursor.fetchall())


def test_a_batch_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places of rows that are gone are kept until VACUUM comes by: no batch goes through them again."""
    monkeypatch.setattr(batches, "BATCH", 2)
    for number in range(5):
        SpentToken.objects.create(kind="gtr", issuer="i", jti=str(number), expires_at=NOW - timedelta(hours=9 - number))
    _, act = batches.oldest_first(SpentToken.objects.filter(expires_at__lt=NOW), "expires_at")
    with CaptureQueriesContext(connection) as captured:
        assert [act(), act(), act()] == [2, 2, 1]
    looks = [each["sql"] for each in captured if each["sql"].startswith("SELECT")]
    assert [sql.count(">=") for sql in looks] == [0, 1, 1]  # and no statement grows from batch to batch


def test_rows_of_one_moment_all_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    for number in range(5):
        SpentToken.objects.create(kind="gtr", issuer="i", jti=str(number), expires_at=NOW - timedelta(hours=1))
    _, act = batches.oldest_first(SpentToken.objects.filter(expires_at__lt=NOW), "expires_at")
    assert [act(), act(), act()] == [2, 2, 1]


def make_families(count: int, **fields: Any) -> list[RefreshTokenFamily]:
    application, user = make_application(), make_user()
    return RefreshTokenFamily.objects.bulk_create(
        [
            RefreshTokenFamily(user=user, application=application, offline=True, auth_time=NOW, **fields)
            for _ in range(count)
        ]
    )


def forgotten() -> models.QuerySet[RefreshTokenFamily]:
    return RefreshTokenFamily.objects.filter(idle_expires_at__lt=NOW)


def test_what_no_index_finds_is_looked_for_by_key_among_rows_that_stay_and_gaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(batches, "LOOKED_AT", 2)
    families = make_families(14, idle_expires_at=NOW - timedelta(days=1))
    RefreshTokenFamily.objects.filter(pk__in=[each.pk for each in families[4:9]]).delete()
    staying = [families[number].pk for number in (0, 1, 2, 3, 11)]
    RefreshTokenFamily.objects.filter(pk__in=staying).update(idle_expires_at=NOW)
    _, act = batches.by_key(forgotten())
    done = []
    while not act.is_done:
        done.append(act())
    assert sum(done) == 4
    assert sorted(RefreshTokenFamily.objects.values_list("pk", flat=True)) == staying


def test_one_look_for_what_is_not_there_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of a large installation's codes is a million rows, of which none may go: between two looks the run sees the clock."""
    monkeypatch.setattr(batches, "BATCH", 1)
    monkeypatch.setattr(batches, "LOOKED_AT", 1)
    make_families(6, idle_expires_at=NOW)
    *_, (name, families), _ = purge.batches(NOW, 90)  # after all that an index finds
    families()
    with CaptureQueriesContext(connection) as captured:
        assert (name, families(), families.is_done) == ("refreshtokenfamily", 0, False)
    assert len(captured) == 2
    assert repr(families) == "refreshtokenfamily by key"  # as the log names what is out of time


def test_a_large_table_is_looked_through_in_a_day_whatever_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run goes on where the one before ended, also if rows at the front are gone, or a run was out of time."""
    monkeypatch.setattr(batches, "SMALL", 10)
    monkeypatch.setattr(batches, "BATCH", 1)
    monkeypatch.setattr(batches, "LOOKED_AT", 1)
    families = make_families(288, idle_expires_at=NOW)
    position, seen = 0, []
    for run in range(160):
        _, act = batches.by_key(forgotten(), after=position)
        if run == 9:  # what was looked at and stayed ends in another way
            RefreshTokenFamily.objects.filter(pk__lte=families[8].pk).delete()
        act()
        if run != 5:
            while not act.is_done:
                act()
        position = act.position
        seen.append(position)
        if not position:
            break
    keys = [family.pk for family in families]
    assert seen[0] == keys[1]
    assert max(after - before for before, after in itertools.pairwise(seen[:-1])) <= 2
    assert 144 <= len(seen) <= 146, "a day, and the run that was out of time"
    assert seen[-2:] == [keys[-2], 0] or seen[-2:] == [keys[-3], 0], "then from the beginning"


def test_a_batch_that_took_too_long_is_smaller_the_next_time() -> None:
    _, act = batches.oldest_first(SpentToken.objects.all(), "expires_at")
    sizes = [act.size]
    while act.take_less():
        sizes.append(act.size)
    assert sizes == [500, 125, 31, 25]


def test_a_family_with_thousands_of_tokens_goes_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction deletes more than a batch."""
    monkeypatch.setattr(batches, "BATCH", 2)
    (family,) = make_families(1, revoked_at=timezone.now() - timedelta(days=99), revoke_reason="reused")
    RefreshToken.objects.bulk_create(
        [
            RefreshToken(
                user=family.user, application=family.application, family=family, token=str(n), token_checksum=str(n)
            )
            for n in range(5)
        ]
    )
    with CaptureQueriesContext(connection) as captured:
        batches.delete(RefreshTokenFamily, [family.pk])
    assert not RefreshToken.objects.exists()
    table = f'DELETE FROM "{RefreshToken._meta.db_table}"'
    assert len([each for each in captured if each["sql"].startswith(table)]) >= 3
