"""An act: statements with names, of which later ones use what earlier ones gave. All of it is done, or nothing.

On PostgreSQL it is one statement (a CTE for each step), which needs no BEGIN and COMMIT around it and one round trip; on
SQLite a transaction of one statement each. Both give the same by name.

**The order of locks.** PostgreSQL runs the parts of such a statement "concurrently": it promises no order, only that what
one part gives by RETURNING is what another one reads. So the order must be in the data: a step that locks rows (UPDATE,
DELETE, ON CONFLICT, FOR UPDATE and so on) must read a value of the step that locked before it, where that value decides
whether or what is locked. Nobody can know `(SELECT id FROM guard)`, or how many rows `families` has, before these have
been locked and changed: whatever plan is chosen, the later step has to wait. By induction all steps lock in the order in
which they are written here. An `Act` that leaves a step without such a reference is refused when it is made. What foreign
keys lock (FOR KEY SHARE, which only DELETE and a change of a key wait for) comes after all steps.

In the SQL of a step:

    {step}          the first column of the row that an earlier step gave; NULL if it gave none. Of one row at most.
    {step.column}   another of its columns
    {step.count}    how many rows it gave
    {step.rows}     its rows, as a table: of a step that only reads. Waits for nothing.
    {then}          a condition: what this step needs was given, and whoever locks before it has locked. In a WHERE that
                    decides whether anything is locked (not in one inside of FOR UPDATE, not after ON CONFLICT).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from django.db import connection, transaction

from idp.database import prepared

REFERENCE = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
LOCKS = re.compile(r"\b(UPDATE|DELETE|ON CONFLICT|FOR (KEY )?SHARE)\b")
THEN = "then"

Found = dict[str, list[tuple[Any, ...]]]


class Gives(enum.Enum):
    """What the act gives back of a step, in `Act.run()`'s dictionary."""

    NOTHING = enum.auto()
    ROW = enum.auto()  # its row as a tuple, or None; the first column is never NULL
    COUNTS = enum.auto()  # for each column how many rows say true in it
    ROWS = enum.auto()  # all its rows, in no order; one step of an act at most


@dataclass(frozen=True, slots=True)
class ActStep:
    """`columns`: those that it returns. `needs`: earlier steps that must have given a row, or it does nothing; as
    `step.column`: a row that says true there. `lacks`: the contrary. Its SQL says so by {then}, or reads them itself.
    """

    name: str
    sql: str
    columns: tuple[str, ...] = ("id",)
    gives: Gives = Gives.ROW
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def locks(self) -> bool:
        """A row that was there before, or a key that somebody else may be about to insert."""
        return bool(LOCKS.search(self.sql))

    @property
    def only_reads(self) -> bool:
        return self.sql.lstrip().startswith("SELECT") and not self.locks

    @property
    def conditions(self) -> set[str]:
        """Steps that are asked for a row, whatever it says: of these all is known then."""
        return {condition for condition in (*self.needs, *self.lacks) if "." not in condition}

    def references(self) -> Iterator[tuple[str, str]]:
        """Step and column; the first one if none is named."""
        for match in REFERENCE.finditer(self.sql):
            yield match[1], match[2] or ""


class Act:
    """Steps in the order in which they lock. Make one for each shape and keep it: its SQL is written once."""

    def __init__(self, *steps: ActStep) -> None:
        self._steps = steps
        self._by_name = {step.name: step for step in steps}
        self._before = _lockers_before(steps)

    def run(self, given: Mapping[str, Any] | Sequence[Sequence[Any]]) -> dict[str, Any]:
        """What the steps give, by name. `given`: by name (`%(name)s`) for all of them, or for each in turn its values (`%s`)."""
        if connection.vendor == "postgresql":
            return self._in_one_statement(given)
        with transaction.atomic(savepoint=False):
            return self._one_by_one(given)

    def _in_one_statement(self, given: Mapping[str, Any] | Sequence[Sequence[Any]]) -> dict[str, Any]:
        params = given if isinstance(given, Mapping) else list(chain.from_iterable(given))
        rows = prepared.fetch(self._statement, params)
        first, column = rows[0], 0
        found: dict[str, Any] = {}
        for name, gives, width in self._widths:
            values = first[column : column + width]
            found[name] = values if gives is Gives.COUNTS or values[0] is not None else None
            column += width
        if self._rows is not None:
            found[self._rows.name] = [row[column:] for row in rows if row[column] is not None]
        return found

    @cached_property
    def _widths(self) -> list[tuple[str, Gives, int]]:
        single = (Gives.ROW, Gives.COUNTS)
        return [(step.name, step.gives, len(step.columns)) for step in self._steps if step.gives in single]

    @cached_property
    def _rows(self) -> ActStep | None:
        return next((step for step in self._steps if step.gives is Gives.ROWS), None)

    @cached_property
    def _statement(self) -> str:
        parts = ", ".join(f'"{step.name}" AS ({self._as_part(step)})' for step in self._steps)
        given = [column for step in self._steps for column in _given_back(step)]
        given += [f'"{self._rows.name}".{column}' for column in self._rows.columns] if self._rows else []
        rows = f' FROM (SELECT 1) act LEFT JOIN "{self._rows.name}" ON true' if self._rows else ""
        return f"WITH {parts} SELECT {', '.join(given)}{rows}"

    def _as_part(self, step: ActStep) -> str:
        def read(match: re.Match[str]) -> str:
            name, column = match[1], match[2] or ""
            if name == THEN:
                return self._then(step)
            return f'"{name}"' if column == "rows" else self._value(name, column)

        return REFERENCE.sub(read, step.sql)

    def _value(self, name: str, column: str = "") -> str:
        what = "count(*)" if column == "count" else column or self._by_name[name].columns[0]
        return f'(SELECT {what} FROM "{name}")'  # noqa: S608  names of ours, here and below

    def _then(self, step: ActStep) -> str:
        conditions = [self._is_given(need) for need in step.needs]
        conditions += [f"NOT {self._is_given(lack)}" for lack in step.lacks]
        if step.locks and (before := self._before[step.name]) and before not in step.needs:
            conditions.append(f"{self._value(before, 'count')} >= 0")  # true, but only known when it is done
        return " AND ".join(conditions) or "true"

    def _is_given(self, condition: str) -> str:
        name, _, column = condition.partition(".")
        if column:
            return f'EXISTS (SELECT 1 FROM "{name}" WHERE {column})'  # noqa: S608
        return f"({self._value(name)} IS NOT NULL)"

    def _one_by_one(self, given: Mapping[str, Any] | Sequence[Sequence[Any]]) -> dict[str, Any]:
        found: Found = {}
        for number, step in enumerate(self._steps):
            if step.only_reads and step.gives is Gives.NOTHING:
                continue  # it is part of those that read it
            if not _is_due(self._by_name, step, found):
                found[step.name] = []
                continue
            own = given if isinstance(given, Mapping) else {f"_{n}": value for n, value in enumerate(given[number])}
            text, references = self._alone[step.name]
            known = {f"{name}__{column}": self._known(found, name, column) for name, column in references}
            found[step.name] = prepared.fetch(text, {**own, **known})
        return {step.name: _summary(step, found[step.name]) for step in self._steps if step.gives is not Gives.NOTHING}

    def _known(self, found: Found, name: str, column: str) -> Any:
        rows = found[name]
        if column == "count":
            return len(rows)
        return rows[0][self._by_name[name].columns.index(column) if column else 0] if rows else None

    @cached_property
    def _alone(self) -> dict[str, tuple[str, set[tuple[str, str]]]]:
        return {step.name: self._by_itself(step) for step in self._steps}

    def _by_itself(self, step: ActStep) -> tuple[str, set[tuple[str, str]]]:
        """SQLite's text of one step, before which come the steps that it reads from; and the values that it is given."""
        inside: dict[str, str] = {}
        references: set[tuple[str, str]] = set()

        def read(match: re.Match[str]) -> str:
            name, column = match[1], match[2] or ""
            if name == THEN:
                return "true"
            if self._by_name[name].only_reads:
                inside.setdefault(name, REFERENCE.sub(read, self._by_name[name].sql))
                return name if column == "rows" else self._value(name, column)
            references.add((name, column))
            return f"%({name}__{column})s"

        text = _by_number(REFERENCE.sub(read, step.sql))
        before = ", ".join(f"{name} AS ({sql})" for name, sql in inside.items())
        return (f"WITH {before} {text}" if before else text), references


def _lockers_before(steps: Sequence[ActStep]) -> dict[str, str]:
    """The step that locks before each one. ValueError, if a step may be run before it."""
    waits: dict[str, set[str]] = {}
    before: dict[str, str] = {}
    last = ""
    for step in steps:
        before[step.name] = last
        read = {name for name, column in step.references() if column != "rows"}
        if THEN in read:
            read = (read - {THEN}) | step.conditions | ({last} if step.locks and last else set())
        if unknown := read - waits.keys():
            raise ValueError(f"{step.name} reads what is not before it: {', '.join(sorted(unknown))}")
        waits[step.name] = read.union(*(waits[name] for name in read))
        if step.locks:
            if last and last not in waits[step.name]:
                raise ValueError(f"{step.name} may lock before {last} does: it reads nothing of it")
            last = step.name
    return before


def _given_back(step: ActStep) -> list[str]:
    if step.gives is Gives.ROW:
        return [f'(SELECT {column} FROM "{step.name}")' for column in step.columns]  # noqa: S608  names of ours
    if step.gives is Gives.COUNTS:
        return [f'(SELECT count(*) FROM "{step.name}" WHERE {column})' for column in step.columns]  # noqa: S608
    return []


def _is_due(steps: Mapping[str, ActStep], step: ActStep, found: Found) -> bool:
    def is_given(condition: str) -> bool:
        name, _, column = condition.partition(".")
        return any(row[steps[name].columns.index(column)] if column else True for row in found[name])

    return all(map(is_given, step.needs)) and not any(map(is_given, step.lacks))


def _by_number(sql: str) -> str:
    """Values that come in turn, by names: those of other steps have names too."""
    first, *others = sql.split("%s")
    return first + "".join(f"%(_{number})s{part}" for number, part in enumerate(others))


def _summary(step: ActStep, rows: list[tuple[Any, ...]]) -> Any:
    if step.gives is Gives.ROWS:
        return rows
    if step.gives is Gives.COUNTS:
        return tuple(sum(bool(row[number]) for row in rows) for number in range(len(step.columns)))
    return rows[0] if rows else None
