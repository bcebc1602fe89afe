"""Parameters of queries by name, the same in every operation: as what each is read, and what the documents say of it.

One that is not named here is text, which the operation itself judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MOST = 100  # rows of a page
LAST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """`least` and `most` are of integers."""

    kind: Literal["text", "integer", "boolean", "time"] = "text"
    says: str = ""
    least: int = 0
    most: int = 0


_TEXT = Parameter()
PARAMETERS: Mapping[str, Parameter] = {
    "page": Parameter("integer", "From 0.", most=LAST_PAGE),
    "per_page": Parameter("integer", "Rows of a page: 50 unless it is said; 0 is 50 too.", most=MOST),
    "include_totals": Parameter("boolean", "An object with the number of all instead of a bare list."),
    "from": Parameter(says="Where to go on: `next` of the page before; of logs a log id; of numbers a day, YYYYMMDD."),
    "to": Parameter(says="The last day, YYYYMMDD."),
    "take": Parameter("integer", "Rows of a page by checkpoint: 50 unless it is said.", least=1, most=MOST),
    "fields": Parameter(says="Names of keys, with commas between them."),
    "include_fields": Parameter("boolean", "False: all but these `fields`."),
    "q": Parameter(says='`field:value`, `field:"two words"` or `field:begins*`, with AND between and NOT before.'),
    "sort": Parameter(says="A field and 1 or -1: `created_at:-1`."),
    "search_engine": Parameter(says="Ignored: there is one."),
    "primary_order": Parameter(says="Ignored: there is one."),
    "since": Parameter("time", "From when."),
    "until": Parameter("time", "Until when."),
    "statuses": Parameter(says="With commas: `failed`, or ours: `pending`, `delivered`, `dropped`."),
    "event_types": Parameter(says="Types of events, with commas between them."),
    "date_from": Parameter("time", "From when."),
    "date_to": Parameter("time", "Before when."),
    "email": Parameter(says="The whole address."),
    "is_global": Parameter("boolean", "True: Auth0's own application, of which there is none."),
    "is_first_party": Parameter("boolean"),
    "consider_brute_force_enablement": Parameter("boolean", "Ignored: every block is answered."),
}


def parameter(name: str) -> Parameter:
    return PARAMETERS.get(name, _TEXT)
