"""SCIM filters as conditions on our tables: what SQL can say exactly, and what it narrows down for the engine to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from idp.protocol.text import normal_forms, storable

LONGEST = 4096  # characters
DEEPEST = 40  # parentheses
LOOKUPS = {
    CompareOperator.eq: "exact",
    CompareOperator.co: "contains",
    CompareOperator.sw: "startswith",
    CompareOperator.ew: "endswith",
    CompareOperator.gt: "gt",
    CompareOperator.ge: "gte",
    CompareOperator.lt: "lt",
    CompareOperator.le: "lte",
}
EVERYTHING = Q()
Make = Callable[[CompareOperator, Any], "Condition | None"]


@dataclass(frozen=True, slots=True)
class Condition:
    """`is_exact`: it selects what the filter does; else that and more."""

    q: Q
    is_exact: bool = True


UNDECIDED = Condition(EVERYTHING, is_exact=False)
NOTHING = Condition(Q(pk__in=()))


def check_size(text: Any) -> None:
    """Before it is parsed, which recurses."""
    if isinstance(text, str) and (len(text) > LONGEST or text.count("(") + text.count("[") > DEEPEST):
        raise InvalidFilterException(detail=f"A filter has {LONGEST} characters and {DEEPEST} parentheses at most.")


def text(value: Any) -> str:
    """An operand that both databases take."""
    if not isinstance(value, str) or storable.problem(value):
        raise InvalidFilterException(detail="The value of this comparison is text without NUL.")
    return value


def named(column: str) -> Make:
    """A column that holds the form of names, in which letters have no case."""
    return lambda op, value: _compared(column, op, normal_forms.name(text(value)))


def exact(column: str) -> Make:
    """Letter for letter. SQLite's LIKE knows no case, so that parts of it are for the engine."""

    def make(op: CompareOperator, value: Any) -> Condition | None:
        found = _compared(column, op, text(value))
        is_whole = op in (CompareOperator.eq, CompareOperator.ne)
        return Condition(found.q if found else EVERYTHING, is_exact=found is not None and is_whole)

    return make


def whatever_case(column: str) -> Make:
    """In which letters have no case, though the column keeps it (RFC 7643 section 2.2). SQLite knows it of ASCII only."""

    def make(op: CompareOperator, value: Any) -> Condition | None:
        if op not in (CompareOperator.eq, CompareOperator.ne):
            return UNDECIDED
        found = Q(**{f"{column}__iexact": text(value)})
        return Condition(found if op == CompareOperator.eq else ~found)

    return make


def moment(column: str) -> Make:
    def make(op: CompareOperator, value: Any) -> Condition | None:
        at = value if isinstance(value, datetime) else parse_datetime(value) if isinstance(value, str) else None
        if at is None or at.tzinfo is None:
            raise InvalidFilterException(detail="A time is compared with a time and its offset (RFC 3339).")
        return _compared(column, op, at)

    return make


def truth(column: str) -> Make:
    """Also as text, as Entra writes it."""

    def make(op: CompareOperator, value: Any) -> Condition | None:
        meant = {"true": True, "false": False}.get(str(value).lower())
        if meant is None or op not in (CompareOperator.eq, CompareOperator.ne):
            raise InvalidFilterException(detail="A boolean is compared by eq or ne with true or false.")
        return Condition(Q(**{column: meant is (op == CompareOperator.eq)}))

    return make


def within(column: str, form: Callable[[str], str]) -> Make:
    """Whole lines of a column that holds one value a line: a value is found, its type is for the engine."""

    def make(op: CompareOperator, value: Any) -> Condition | None:
        if op != CompareOperator.eq:
            return UNDECIDED
        return Condition(Q(**{f"{column}__contains": f"\n{form(text(value))}\n"}), is_exact=False)

    return make


def _compared(column: str, op: CompareOperator, value: Any) -> Condition | None:
    if op == CompareOperator.ne:
        return Condition(~Q(**{column: value}))
    return Condition(Q(**{f"{column}__{LOOKUPS[op]}": value}))


class Conditions(FilterVisitor[Condition]):
    """`columns`: by path in lower case (`username`, `emails.value`), what makes a condition."""

    def __init__(self, columns: Mapping[str, Make], bound: ScimFilter[Any]) -> None:
        self.columns, self.bound = columns, bound

    def _is_foreign(self, path: AttrPath) -> bool:
        """An attribute that only another type of resource has matches nothing here (RFC 7644 section 3.4.2.1)."""
        return self.bound.resolve(path, strict=False) is None

    def visit_comparison(self, node: Comparison) -> Condition:
        if self._is_foreign(node.attr_path):
            return NOTHING
        return self._made(_path(node.attr_path), node)

    def visit_present(self, node: Present) -> Condition:
        return NOTHING if self._is_foreign(node.attr_path) else UNDECIDED

    def visit_not(self, node: Not) -> Condition:
        inner = self.visit(node.expr)
        return Condition(~inner.q) if inner.is_exact else UNDECIDED

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        parts = [self.visit(term) for term in node.terms]
        if node.op == LogicalOperator.and_:
            return Condition(_all(part.q for part in parts), all(part.is_exact for part in parts))
        if any(part.q == EVERYTHING for part in parts):
            return UNDECIDED
        return Condition(_any(part.q for part in parts), all(part.is_exact for part in parts))

    def visit_value_path(self, node: ValuePath) -> Condition:
        """Each condition on one value holds for some value of the row; whether for the same one the engine decides."""
        if self._is_foreign(node.attr_path):
            return NOTHING
        parts = _conjunction(node.val_filter)
        head = _path(node.attr_path)
        made = [self._made(f"{head}.{_path(part.attr_path)}", part) for part in parts]
        return Condition(_all(part.q for part in made), is_exact=False)

    def _made(self, path: str, node: Comparison) -> Condition:
        if node.value is None:
            return UNDECIDED
        make = self.columns.get(path) or self.columns.get(f"{path}.value")
        return (make(node.op, node.value) if make else None) or UNDECIDED


def _path(path: AttrPath) -> str:
    name = f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr
    return name.lower()


def _conjunction(node: FilterNode) -> list[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        return [part for term in node.terms for part in _conjunction(term)]
    return []


def _all(parts: Any) -> Q:
    found = Q()
    for part in parts:
        found &= part
    return found


def _any(parts: Any) -> Q:
    found = Q(pk__in=())
    for part in parts:
        found |= part
    return found
