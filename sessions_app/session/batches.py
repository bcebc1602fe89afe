"""How the purge finds rows and deletes them, so that each statement is short however large a table is: none reads over rows that
stay to find some that go, nor over the places of rows that are gone, which PostgreSQL keeps until VACUUM comes by.

Deletion is by primary key and by `_raw_delete`: no cascade is collected in Python. What hangs on a row is deleted before it,
in batches and transactions of its own: of one row there may be thousands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from django.db import models, transaction
from django.db.models import Max, Min, QuerySet

from idp.database import dialect
from sessions_app.audit import permit

BATCH = 500
LOOKED_AT = 5_000  # rows of one statement, where no index finds what is dead
SMALL = 200_000  # keys: a table that is looked through whole
SHARE_TIME = 10  # minutes of the day in which a share of a larger one has its turn: as often as the purge runs
SHARES = 24 * 60 // SHARE_TIME
Rows = QuerySet[Any, Any]
Batch = tuple[str, Callable[[], int]]


def oldest_first(rows: Rows, by: str) -> Batch:
    """`by`: the time that decides, or a key that grows with it; it has an index unless there are few such rows."""
    return _name_of(rows), OldestFirst(rows, by)


def by_key(rows: Rows, now: datetime, *, all_keys: bool, ends: float = math.inf) -> Batch:
    """What no index finds. A large table is looked through in a day, a share in each run, or at once (`all_keys`)."""
    return _name_of(rows), KeyRange(rows, *_share(rows.model._base_manager.all(), now, whole=all_keys), ends)


def _name_of(rows: Rows) -> str:
    return rows.model._meta.model_name or ""


class OldestFirst:
    """Each batch begins where the one before ended."""

    def __init__(self, rows: Rows, by: str) -> None:
        self._rows, self._by = rows, by
        self._rest = rows

    def __repr__(self) -> str:
        return f"{_name_of(self._rows)} by {self._by}"

    def __call__(self) -> int:
        found = list(self._rest.order_by(self._by).values_list("pk", self._by)[:BATCH])
        if found:
            delete(self._rows.model, [pk for pk, _ in found])
            self._rest = self._rows.filter(**{f"{self._by}__gte": found[-1][1]})
        return len(found)


class KeyRange:
    """From the key `first` to the key `last`, some thousand rows at a time, whichever of them go."""

    def __init__(self, rows: Rows, first: int, last: int, ends: float) -> None:
        self._rows, self._next, self._last, self._ends = rows, first, last, ends

    def __repr__(self) -> str:
        return f"{_name_of(self._rows)} by key"

    def __call__(self) -> int:
        """Goes on until a batch is full, nothing is left, or it is `ends` on the monotonic clock: there may be nothing to delete
        in millions of rows."""
        done = 0
        while self._next <= self._last and done < BATCH and monotonic() < self._ends:
            until = self._end_of_look()
            dead = self._rows.filter(pk__gte=self._next, pk__lte=until).order_by("pk")
            found = list(dead.values_list("pk", flat=True))
            for begin in range(0, len(found), BATCH):
                delete(self._rows.model, found[begin : begin + BATCH])
            done += len(found)
            self._next = until + 1
        return done

    def _end_of_look(self) -> int:
        rows = self._rows.model._base_manager.filter(pk__gte=self._next, pk__lte=self._last).order_by("pk")
        ends: list[int] = list(rows.values_list("pk", flat=True)[LOOKED_AT - 1 : LOOKED_AT])
        return ends[0] if ends else self._last


def _share(rows: Rows, now: datetime, *, whole: bool) -> tuple[int, int]:
    """First and last key."""
    ends = rows.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return 1, 0
    first, last = ends["first"], ends["last"]
    if whole or last - first < SMALL:
        return first, last
    share = (last - first) // SHARES + 1
    begin = first + share * ((now.hour * 60 + now.minute) // SHARE_TIME)
    return begin, min(begin + share - 1, last)


def delete(model: type[models.Model], pks: Sequence[Any]) -> None:
    """Rows that another purge deletes meanwhile are simply not there any more."""
    for relation in _relations(model):
        if relation.on_delete is not models.SET_NULL:
            _delete_referring(relation, pks)
    with transaction.atomic(), permit.to_purge(model):
        _let_go(model, pks)
        _delete_rows(_among(model._base_manager.all(), str(model._meta.pk.column), pks))


def _delete_referring(relation: models.ManyToOneRel, pks: Sequence[Any]) -> None:
    while found := list(_referring(relation, pks).values_list("pk", flat=True)[:BATCH]):
        delete(relation.related_model, found)
        if len(found) < BATCH:
            return


def _let_go(model: type[models.Model], pks: Sequence[Any]) -> None:
    """What `on_delete` would do, set-based: SET_NULL references forget the rows, the others (that came meanwhile) go with them."""
    for relation in _relations(model):
        referring = _referring(relation, pks)
        if relation.on_delete is models.SET_NULL:
            referring.update(**{relation.field.name: None})
        else:
            _let_go(relation.related_model, list(referring.values_list("pk", flat=True)))
            _delete_rows(referring)


def _relations(model: type[models.Model]) -> list[models.ManyToOneRel]:
    fields = model._meta.get_fields(include_hidden=True)
    return [field for field in fields if isinstance(field, models.ManyToOneRel)]


def _referring(relation: models.ManyToOneRel, pks: Sequence[Any]) -> Rows:
    return _among(relation.related_model._base_manager.all(), relation.field.column, pks)


def _among(rows: Rows, column: str, pks: Sequence[Any]) -> Rows:
    """`column__in` for hundreds of keys, as one parameter."""
    name = f'"{rows.model._meta.db_table}"."{column}"'
    return rows.extra(where=[f"{name} {dialect.among_these()}"], params=[dialect.keys(pks)])  # noqa: S610  names of ours


def _delete_rows(rows: Rows) -> None:
    rows._raw_delete(rows.db)
