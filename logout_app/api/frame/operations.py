"""One operation of the API as a row of a table: method, path, scopes, what does it. Paths, scopes, parameters and documents
are all made of these rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from logout_app.api.frame.access import Caller
from logout_app.api.frame.query import Query

PAGES = ("page", "per_page", "include_totals")
CHECKPOINTS = ("from", "take", "include_totals")
FIELDS = ("fields", "include_fields")


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in. `body` is the JSON that came: an object, or a list or a form where the operation says
    so."""

    caller: Caller
    query: Query
    body: Any
    at: datetime

    @property
    def actor(self) -> str:
        return self.caller.actor


@dataclass(frozen=True, slots=True)
class Answered:
    """Where the status depends on what was found."""

    data: Any
    status: int


@dataclass(frozen=True, slots=True)
class Operation:
    """`path`: below /api/v2/, as Django writes it. Any of `scopes` suffices, or all with `needs_all`.

    `takes_form`: its body is multipart, as `body.Form`. `listed`: the key under which a list stands. `network`: it asks other servers, so no transaction is open around it.
    `standby`: a list whose rows may come from a standby of the database (`paging.py` says which rows).
    """

    method: str
    path: str
    scopes: Sequence[str]
    handler: Callable[..., Any]
    says: str
    status: int = 200
    query: Sequence[str] = ()
    listed: str = ""
    takes_list: bool = False
    takes_form: bool = False
    needs_all: bool = False
    network: bool = False
    standby: bool = False

    @property
    def address(self) -> str:
        """As documents write it."""
        return re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v2/{self.path}")

    @property
    def has_fields(self) -> bool:
        return "fields" in self.query

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    def is_allowed(self, scopes: frozenset[str]) -> bool:
        wanted = set(self.scopes)
        return wanted <= scopes if self.needs_all else bool(wanted & scopes)


def by_path(operations: Sequence[Operation]) -> Mapping[str, Mapping[str, Operation]]:
    """path -> method -> operation, in the order of the table."""
    found: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        methods = found.setdefault(operation.path, {})
        if operation.method in methods:
            raise ValueError(f"{operation.method} {operation.path} is in the table twice")
        methods[operation.method] = operation
    return found
