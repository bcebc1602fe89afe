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
from django.db.models.base import ModelState
from django.db.models.query import RelatedPopulator, get_related_populators
from django.db.models.signals import post_init, pre_init

from idp.database import prepared

M = TypeVar("M", bound=Model)


class Given(Expression):
    """A value that is known only when the lookup runs, in the form that the database takes (text, whole numbers)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class _Instances:
    """In the place of a model whose rows are read: `Model.__init__` takes five times as long to set the same attributes."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def from_db(self, db: str, names: Sequence[str], values: Sequence[Any]) -> Model:
        instance = self._model.__new__(self._model)
        instance.__dict__.update(zip(names, values, strict=True))
        state = instance._state = ModelState()
        state.adding, state.db = False, db
        return instance


def _instances(model: type[Model]) -> type[Model] | _Instances:
    """The model itself where it does more than to set attributes when it is read, or somebody hears of it."""
    is_plain = model.__init__ is Model.__init__ and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
    is_heard = any(signal.has_listeners(model) for signal in (pre_init, post_init))
    return _Instances(model) if is_plain and not is_heard else model


def _populators(found: Sequence[RelatedPopulator]) -> Sequence[RelatedPopulator]:
    """Of a model they ask `from_db` only."""
    for populator in found:
        populator.model_cls = _instances(populator.model_cls)  # type: ignore[assignment]
        _populators(populator.related_populators)
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    sql: str
    params: Sequence[Any]
    model: type[Model] | _Instances
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
            _instances(info["model"]),
            [compiler.select[index][0].target.attname for index in info["select_fields"]],
            [(index, functions, column) for index, (functions, column) in converters.items()],
            _populators(get_related_populators(info, compiler.select, connection.alias)),  # type: ignore[call-arg]  # of Django 6
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
