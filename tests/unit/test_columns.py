"""What is written and read past Django's own code is what Django would have written and read."""

from __future__ import annotations

from datetime import UTC, datetime
from types import NoneType
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.models.signals import post_init

from idp.database import dialect
from idp.database.lookups import Given, Lookup
from sessions_app.models import SSOSession
from tests.support.factories import make_session, make_user

OURS = ("idp", "sessions_app", "logout_app")
EXAMPLES: dict[type, Any] = {
    NoneType: None,
    bool: True,
    datetime: datetime(2026, 11, 29, 12, 30, 1, 500, tzinfo=UTC),
    int: 7,
    str: "ü' \\",
    UUID: UUID(int=7),
}
COLUMNS = [
    column for app in OURS for model in apps.get_app_config(app).get_models() for column in model._meta.local_fields
]


@pytest.mark.django_db
def test_a_column_takes_as_it_is_what_django_would_not_change():
    taken = {column: dialect.taken_as_it_is(column) for column in COLUMNS}
    assert any(datetime in types for types in taken.values()) is (connection.vendor == "postgresql")
    assert any(int in types for column, types in taken.items() if isinstance(column, models.ForeignKey))
    for column, types in taken.items():
        for kind in types:
            assert column.get_db_prep_save(EXAMPLES[kind], connection) is EXAMPLES[kind], (column, kind)


def test_a_column_that_prepares_its_values_takes_none_as_it_is():
    class Shouted(models.CharField):
        def get_prep_value(self, value: Any) -> Any:
            return str(value).upper()

    assert [dialect.taken_as_it_is(column) for column in (Shouted(), models.JSONField(), models.IntegerField())] == [
        ()
    ] * 3


@pytest.mark.django_db
@pytest.mark.parametrize("deferred", [False, True])
def test_columns_that_a_lookup_left_out_are_read_when_they_are_asked_for(
    deferred: bool, django_assert_num_queries: Any
) -> None:
    session = make_session(make_user())
    rows = SSOSession.objects.filter(sid=Given("sid"))
    found = Lookup(lambda: rows.only("sid") if deferred else rows).get(sid=session.sid)
    assert found is not None
    assert bool(found.get_deferred_fields()) is deferred
    with django_assert_num_queries(1 if deferred else 0):
        assert found.user_id == session.user_id


@pytest.mark.django_db
def test_whoever_wants_to_hear_of_new_instances_hears_of_those_of_a_lookup():
    session, heard = make_session(make_user()), []

    def hear(instance: SSOSession, **_: Any) -> None:
        heard.append(instance.pk)

    post_init.connect(hear, sender=SSOSession)
    try:
        Lookup(lambda: SSOSession.objects.filter(sid=Given("sid"))).get(sid=session.sid)
    finally:
        post_init.disconnect(hear, sender=SSOSession)
    assert heard == [session.pk]
