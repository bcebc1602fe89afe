"""SELECTs of the hot paths, compiled once per process and planned once per connection.

To compile a join of four models costs Django five times what running it costs. A `Lookup` keeps the SQL and what turns a
row into instances; `tests/unit/test_lookups.py` pins that it gives what the QuerySet itself would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Expression, Model, QuerySet
from django.db.models.query import get_related_populators

from idp.database import prepared

M = TypeVar("M", bound=Model)


class Given(Expression):
    """A value that is known only when the lookup runs, in the form that the database takes (text, whole numbers)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


@dataclass(frozen=True, slots=True)
class _Plan:
    sql: str
    params: Sequence[Any]
    model: type[Model]
    names: Sequence[str]
    converters: Sequence[tuple[int, Sequence[Callable[..., Any]], Any]]
    related: Sequence[Any]
    annotations: Sequence[tuple[str, int]]


class Lookup(Generic[M]):
    """`Lookup(lambda: Model.objects.filter(column=Given("name")))`: at most one row; what else matches is not looked at."""

    def __init__(self, queryset: Callable[[], QuerySet[M]]) -> None:
        self._queryset = queryset

    def get(self, **given: str | int) -> M | None:
        """The instance with its `select_related` and annotations, or None. One statement."""
        plan = self._plan
        params = [given[param.name] if isinstance(param, Given) else param for param in plan.params]
        rows = prepared.fetch(plan.sql, params)
        return _instance(plan, rows[0]) if rows else None

    @cached_property
    def _plan(self) -> _Plan:
        """What `SQLCompiler` and `ModelIterable` find out anew for every query."""
        compiler = self._queryset().order_by()[:1].query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        info: Any = compiler.klass_info
        converters = compiler.get_converters([column for column, *_ in compiler.select or ()])
        return _Plan(
            sql,
            params,
            info["model"],
            [compiler.select[index][0].target.attname for index in info["select_fields"]],
            [(index, functions, column) for index, (functions, column) in converters.items()],
            get_related_populators(info, compiler.select, connection.alias),  # type: ignore[call-arg]  # of Django 6
            list((compiler.annotation_col_map or {}).items()),
        )


def _instance(plan: _Plan, columns: Sequence[Any]) -> Any:
    row = list(columns)
    for index, functions, column in plan.converters:
        for function in functions:
            row[index] = function(row[index], column, connection)
    instance = plan.model.from_db(DEFAULT_DB_ALIAS, plan.names, row[: len(plan.names)])
    for populator in plan.related:
        populator.populate(row, instance)
    for name, index in plan.annotations:
        setattr(instance, name, row[index])
    return instance
