"""Groups, roles and mapped claims of one token or answer, computed anew each time.

A claim that cannot be computed is left out, and nobody's sign-in fails for it: an administrator is told, once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from idp.applications import claim_troubles
from idp.applications.claims import ACCESS_TOKEN, ID_TOKEN, USERINFO, ClaimMapping
from idp.protocol.expressions import Lazy, Unusable, weigh
from idp.protocol.standard_scopes import GROUPS, ROLES
from idp.protocol.text import storable
from sessions_app.claims import context
from sessions_app.claims.context import ClaimSubject

LARGEST = 100_000  # characters of all claims of one place together
BUILT_IN: dict[str, Callable[[ClaimSubject], list[str]]] = {GROUPS: context.groups_of, ROLES: context.roles_of}

__all__ = ["ACCESS_TOKEN", "ID_TOKEN", "USERINFO", "ClaimSubject", "Told", "tell", "told"]


@dataclass(frozen=True, slots=True)
class Told:
    """The claims, and those that had to be left out with the reason."""

    claims: dict[str, Any]
    left_out: dict[str, str]


def tell(subject: ClaimSubject, place: str, asked: Collection[str] = ()) -> dict[str, Any]:
    """The claims for this place. `asked`: by name in the `claims` parameter. No statement where none is wanted."""
    found = told(subject, place, asked)
    for claim, reason in found.left_out.items():
        claim_troubles.note(subject.application, claim, reason, subject.snapshot, subject.at)
    return found.claims


def told(subject: ClaimSubject, place: str, asked: Collection[str] = ()) -> Told:
    """The same, without telling anybody of what was left out."""
    claims: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    left, root = LARGEST, None
    for claim, mapping in _wanted(subject, place, asked):
        root = root or context.root_of(subject)
        try:
            value = _value(subject, claim, mapping, root)
            left -= weigh(value, left) + len(claim)
        except Unusable as error:
            left_out[claim] = str(error)
            continue
        if value is not None:
            claims[claim] = value
    return Told(claims, left_out)


def _wanted(subject: ClaimSubject, place: str, asked: Collection[str]) -> Iterator[tuple[str, ClaimMapping | None]]:
    """A mapping for `groups` takes the place of all groups: what it filters comes nowhere unfiltered."""
    mappings = {mapping.claim: mapping for mapping in subject.application.usable.claim_mappings}
    by_scope = {name for name in BUILT_IN if name in subject.scope} if place != ACCESS_TOKEN else set()
    for name in BUILT_IN:
        if name in by_scope or name in asked:
            yield name, mappings.pop(name, None)
    for claim, mapping in mappings.items():
        if place in mapping.places or claim in asked:
            yield claim, mapping


def _value(subject: ClaimSubject, claim: str, mapping: ClaimMapping | None, root: Lazy) -> Any:
    if mapping is None:
        return BUILT_IN[claim](subject)
    value = mapping.expression.value(root)
    if reason := storable.problem(value):
        raise Unusable(reason)
    if claim == "nbf" and value is not None and not _is_past(value, subject):
        raise Unusable("is no moment of the past in seconds, so that nobody could use the token")
    return value


def _is_past(value: Any, subject: ClaimSubject) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= subject.at.timestamp()
