"""Who may use an application, as far as its own columns say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from idp.applications.problem import Problem
from idp.directory import rules

if TYPE_CHECKING:
    from idp.models import Application

FIELD = "access_groups"
GROUPS = "groups"  # AccessMode.GROUPS


def problems(application: Application) -> Iterator[Problem]:
    given = application.access_groups
    for index, reason in rules.references_problems(given):
        value = "" if index is None else in_words(given[index])
        yield Problem(FIELD, reason, value=value, index=index, is_used=False)
    if application.access_mode == GROUPS and not given:
        yield Problem(FIELD, "it needs at least one group: else nobody may use it", depends=("access_mode",))


def in_words(reference: Any) -> str:
    """A reference to a group as people read it."""
    if isinstance(reference, dict):
        return f"{reference.get('name')} ({reference.get('connection') or 'ours'})"
    return str(reference)
