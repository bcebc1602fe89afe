"""How the purge finds rows and deletes them, so that each statement is short however large a table is: none reads over rows that
stay to find some that go, nor over the places of rows that are gone, which PostgreSQL keeps until VACUUM comes by.

Deletion is by primary key and by `_raw_delete`: no cascade is collected in Python. What hangs on a row is deleted before it,
in batches and transactions of its own: of one row there may be thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from django.db import models, transaction
from django.db.models import Max, Min, QuerySet

from idp.database import dialect

BATCH = 500
SMALLEST = 25
LOOKED_AT = 10  # times a batch: rows of one statement, where no index finds what is dead
SMALL = 200_000  # keys: a table that is looked through whole
SHARES = 144  # of a larger one, each for one run: the purge runs every ten minutes
Rows = QuerySet[Any, Any]


class PurgeAct(Protocol):
    """Deletes a batch when it is called, in statements of which each is short, and returns how many rows. `is_done`: nothing is left."""

    is_done: bool

    def __call__(self) -> int: ...

    def take_less(self) -> bool:
        """After a batch that took too long; whether the next one will be smaller."""

    def give_up(self) -> None:
        """After a batch that failed: the next run need not begin with it."""


Batch = tuple[str, PurgeAct]


def oldest_first(rows: Rows, by: str) -> Batch:
    """`by`: the time that decides, or a key that grows with it; it has an index unless there are few such rows."""
    return _name_of(rows), OldestFirst(rows, by)


def by_key(rows: Rows, *, after: int | None = None) -> Batch:
    """What no index finds. Of a large table a share is looked through, behind the key `after`, where the run before ended; None: all of it."""
    return _name_of(rows), KeyRange(rows, after)


def _name_of(rows: Rows) -> str:
    return rows.model._meta.model_name or ""


class Sized:
    """How large a batch is."""

    def __init__(self) -> None:
        self.size = BATCH
        self.is_done = False

    def take_less(self) -> bool:
        smaller = max(self.size // 4, min(SMALLEST, BATCH))
        self.size, before = smaller, self.size
        return smaller < before

    def give_up(self) -> None:
        """By time and in order: what failed is the first again, until it goes."""


class OldestFirst(Sized):
    """Each batch begins where the one before ended."""

    def __init__(self, rows: Rows, by: str) -> None:
        super().__init__()
        self._rows, self._by = rows, by
        self._rest = rows

    def __repr__(self) -> str:
        return f"{_name_of(self._rows)} by {self._by}"

    def __call__(self) -> int:
        found = list(self._rest.order_by(self._by).values_list("pk", self._by)[: self.size])
        if found:
            delete(self._rows.model, [pk for pk, _ in found])
            self._rest = self._rows.filter(**{f"{self._by}__gte": found[-1][1]})
        self.is_done = len(found) < self.size
        return len(found)


class KeyRange(Sized):
    """Some thousand rows at a time by their keys, whichever of them go: there may be nothing to delete in millions.

    `position`: the key behind which the next run goes on; 0: at the beginning. A run that came to nothing leaves no gap; one
    that failed goes on behind the rows at which it did, and they have their turn again when all others had theirs.
    """

    def __init__(self, rows: Rows, after: int | None) -> None:
        super().__init__()
        self._rows, self._after = rows, after
        self._last: int | None = None  # of this run; known when it begins
        self._tried: int | None = None  # up to which key it looked last
        self.position = after or 0

    def __repr__(self) -> str:
        return f"{_name_of(self._rows)} by key"

    def __call__(self) -> int:
        if self._last is None and not self._begin():
            return 0
        until = self._tried = self._end_of_look()
        dead = self._rows.filter(pk__gt=self.position, pk__lte=until).order_by("pk")
        found = list(dead.values_list("pk", flat=True))
        for begin in range(0, len(found), self.size):
            delete(self._rows.model, found[begin : begin + self.size])
        self._pass(until)
        return len(found)

    def give_up(self) -> None:
        """After a batch that failed."""
        if self._tried is not None:
            self._pass(self._tried)

    def _pass(self, until: int) -> None:
        self.position, self.is_done = until, until == self._last
        if self.is_done and self._is_the_end:
            self.position = 0

    def _begin(self) -> bool:
        """Whether there is anything to look at."""
        ends = self._rows.model._base_manager.aggregate(first=Min("pk"), last=Max("pk"))
        if ends["first"] is None:
            self.is_done = True
            return False
        first, last = ends["first"], ends["last"]
        goes_on = self._after is not None and last - first >= SMALL
        self.position = max(self.position, first - 1) if goes_on and self.position < last else first - 1
        self._last = min(self.position + (last - first) // SHARES + 1, last) if goes_on else last
        self._is_the_end = self._last == last
        return True

    def _end_of_look(self) -> int:
        rows = self._rows.model._base_manager.filter(pk__gt=self.position, pk__lte=self._last).order_by("pk")
        most = LOOKED_AT * self.size
        ends: list[int] = list(rows.values_list("pk", flat=True)[most - 1 : most])
        return ends[0] if ends else self._last or 0


def delete(model: type[models.Model], pks: Sequence[Any]) -> None:
    """Rows that another purge deletes meanwhile are simply not there any more."""
    for relation in _relations(model):
        if relation.on_delete is not models.SET_NULL:
            _delete_referring(relation, pks)
    with transaction.atomic():
        _let_go(model, pks)
        delete_rows(_among(model._base_manager.all(), str(model._meta.pk.column), pks))


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
            delete_rows(referring)


def _relations(model: type[models.Model]) -> list[models.ManyToOneRel]:
    fields = model._meta.get_fields(include_hidden=True)
    return [field for field in fields if isinstance(field, models.ManyToOneRel)]


def _referring(relation: models.ManyToOneRel, pks: Sequence[Any]) -> Rows:
    return _among(relation.related_model._base_manager.all(), relation.field.column, pks)


def _among(rows: Rows, column: str, pks: Sequence[Any]) -> Rows:
    """`column__in` for hundreds of keys, as one parameter."""
    name = f'"{rows.model._meta.db_table}"."{column}"'
    return rows.extra(where=[f"{name} {dialect.among_these()}"], params=[dialect.keys(pks)])  # noqa: S610  names of ours


def delete_rows(rows: Rows) -> int:
    return int(rows._raw_delete(rows.db) or 0)  # nothing, where it is known that there is no such row
