"""Lists in pages: by offset (`page`, `per_page`) as Auth0's older clients ask, or by checkpoint (`from`, `take`).

An offset page past the end is empty and a checkpoint's last page has no `next`: there the SDKs' iterators stop.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Model, QuerySet

from idp.database.standby import reading as standby
from logout_app.api.frame.errors import invalid_query
from logout_app.api.frame.operations import Call
from logout_app.api.frame.parameters import LAST_PAGE, MOST

USUAL = 50
Shape = Callable[[Any], Any]


def pages(call: Call, rows: QuerySet[Any], key: str, shape: Shape, *, length: bool = False, most: int = MOST) -> Any:
    """By offset: a bare list, or an object with `include_totals`. Asked with `take` or `from`, where the operation knows
    these, by checkpoint. The rows come in an order that is theirs alone."""
    if call.query.has("take") or call.query.has("from"):
        return checkpoints(call, rows, key, shape)
    page = call.query.integer("page", 0, most=LAST_PAGE)
    size = call.query.integer("per_page", USUAL, most=most) or USUAL
    rows, start = standby.rows(rows), page * size
    if not call.query.boolean("include_totals"):
        return [shape(row) for row in _at(rows, start, size)]
    total = rows.order_by().count()
    found = [shape(row) for row in _at(rows, start, size)] if start < total else []
    answer = {"start": start, "limit": size, "total": total, key: found}
    return answer | ({"length": len(found)} if length else {})


def _at(rows: QuerySet[Any], start: int, size: int) -> QuerySet[Any]:
    """Of a page further on the keys are found first, in an index: what lies before it is not read, nor what belongs to it."""
    if start == 0:
        return rows[:size]
    return rows.filter(pk__in=list(rows.values_list("pk", flat=True)[start : start + size]))


def checkpoints(call: Call, rows: QuerySet[Any], key: str, shape: Shape, *, newest_first: bool = False) -> Any:
    """`{key: […], next?}`. Where a page ended is the key of a row, which need not be there any more."""
    size = call.query.integer("take", USUAL, least=1, most=MOST)
    rows, beyond = standby.rows(rows), "pk__lt" if newest_first else "pk__gt"
    if came := call.query.text("from"):
        rows = rows.filter(**{beyond: _position(came)})
    found = list(rows.order_by("-pk" if newest_first else "pk")[: size + 1])
    answer: dict[str, Any] = {key: [shape(row) for row in found[:size]]}
    if len(found) > size:
        answer["next"] = _checkpoint(found[size - 1])
    return answer


def of_list(call: Call, found: Sequence[Any], key: str) -> Any:
    """What is whole in memory anyway, in pages by offset."""
    page = call.query.integer("page", 0, most=LAST_PAGE)
    size = call.query.integer("per_page", USUAL, most=MOST) or USUAL
    start = page * size
    shown = list(found[start : start + size])
    if not call.query.boolean("include_totals"):
        return shown
    return {"start": start, "limit": size, "total": len(found), key: shown}


def _checkpoint(row: Model) -> str:
    return base64.urlsafe_b64encode(f"k{row.pk}".encode()).decode().rstrip("=")


def _position(came: str) -> int:
    try:
        said = base64.urlsafe_b64decode(came + "=" * (-len(came) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        said = ""
    if not said.startswith("k") or not said[1:].isdigit() or len(said) > 19:
        raise invalid_query("'The checkpoint is none of this API' on property from.")
    return int(said[1:])
