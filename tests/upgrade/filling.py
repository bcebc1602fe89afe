"""A row in every table that is empty: what its fields need by their types, and what a constraint wants by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.db.models.fields import NOT_PROVIDED

from idp.models import User
from tests.upgrade.releases import AT

# By table and field: what a constraint wants.
WANTED: dict[str, Callable[[], dict[str, Any]]] = {
    "idp_membership": lambda: {"user": User.objects.order_by("pk")[0]},
}


def fill() -> None:
    for model in _tables():
        if not _has_rows(model):
            _make(model)


def empty_tables() -> list[str]:
    return [model._meta.db_table for model in _tables() if not _has_rows(model)]


def _tables() -> list[type[models.Model]]:
    found = sorted(apps.get_models(include_auto_created=True), key=lambda model: model._meta.db_table)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def _has_rows(model: type[models.Model]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 FROM {connection.ops.quote_name(model._meta.db_table)})")
        return bool(cursor.fetchone()[0])


def _make(model: type[models.Model]) -> models.Model:
    values = {field.name: _value(field) for field in model._meta.concrete_fields if _needs_one(field)}
    row = model(**{**values, **WANTED.get(model._meta.db_table, dict)()})
    models.QuerySet(model).bulk_create([row])
    return models.QuerySet(model).order_by("-pk")[0]


def _needs_one(field: models.Field[Any, Any]) -> bool:
    return not (field.primary_key and isinstance(field, models.AutoField)) and not (
        field.null or field.has_default() or field.db_default is not NOT_PROVIDED
    )


def _value(field: models.Field[Any, Any]) -> Any:
    if isinstance(field, models.ForeignKey):
        target = field.related_model
        return models.QuerySet(target).order_by("pk").first() or _make(target)
    if field.choices:
        return next(iter(field.flatchoices))[0]
    value = next(value for kind, value in BY_TYPE if isinstance(field, kind))
    return value[: field.max_length] if isinstance(value, str) else value


BY_TYPE: tuple[tuple[type[models.Field[Any, Any]], Any], ...] = (
    (models.DateTimeField, AT + timedelta(days=1)),
    (models.EmailField, "mary@fabrikamcorp.com"),
    (models.BooleanField, True),
    (models.IntegerField, 1),
    (models.FloatField, 1.0),
    (models.BinaryField, b"1"),
    (models.JSONField, {}),
    (models.GenericIPAddressField, "192.0.2.1"),
    (models.CharField, "something"),
    (models.TextField, "something"),
)
