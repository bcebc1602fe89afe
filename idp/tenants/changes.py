"""Changes of what an administrator configures: what they are, from what to what, and who may make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

NO_VALUE = "nothing"
ON, OFF = "on", "off"
SECRET, ANOTHER = "a secret", "another secret"
LONGEST = 300  # characters of a value


@dataclass(frozen=True, slots=True)
class Author:
    """Who wants a change. `is_fresh`: they proved within the last hour that it is them. `lends`: the scopes of the Management
    API that they have, and may lend to whom they let in."""

    is_superuser: bool
    is_fresh: bool
    lends: frozenset[str] = frozenset()

    @property
    def may_all(self) -> bool:
        return self.is_superuser and self.is_fresh


NO_AUTHOR = Author(is_superuser=False, is_fresh=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of the audit trail. Secrets have no value in it, certificates are fingerprints."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what} from {self.before} to {self.after}"

    @property
    def row(self) -> dict[str, str]:
        return {"what": self.what, "from": self.before, "to": self.after}


@dataclass(frozen=True, slots=True)
class Refusal:
    """`needs_proof`: a superuser who proves who they are may do it."""

    sentence: str
    needs_proof: bool


def refusal(found: Sequence[Difference], author: Author, reason: str) -> Refusal | None:
    """Why these changes, which are a superuser's for this reason, are not this author's to make; None if they are."""
    if not found or author.may_all:
        return None
    what = ", ".join(difference.what for difference in found)
    if not author.is_superuser:
        return Refusal(f"Only a superuser may change this ({what}): {reason}.", needs_proof=False)
    return Refusal(f"This change ({what}) asks who you are, as {reason}.", needs_proof=True)


def differences(
    before: models.Model, after: models.Model, fields: Iterable[str], *, secrets: Collection[str] = ()
) -> list[Difference]:
    """What is different in two versions of a row, column by column."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in fields)
    return [_difference(name, old, new, name in secrets) for name, old, new in pairs if _meant(old) != _meant(new)]


def of_secret(what: str, *, held: bool) -> Difference:
    """A secret that comes anew; `held`: in the place of one."""
    return Difference(what, SECRET if held else NO_VALUE, ANOTHER if held else SECRET)


def shown(value: Any) -> str:
    if value in (None, "", [], {}) and value is not False:
        return NO_VALUE
    if isinstance(value, bool):
        return ON if value else OFF
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:100]}… ({digest(text)})"


def digest(text: str) -> str:
    return f"{len(text):,} characters, SHA-256 {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def rows(found: Sequence[Difference]) -> list[dict[str, str]]:
    return [difference.row for difference in found]


def _difference(name: str, before: Any, after: Any, is_secret: bool) -> Difference:
    if not is_secret:
        return Difference(name, shown(before), shown(after))
    return of_secret(name, held=bool(before)) if after else Difference(name, SECRET, NO_VALUE)


def _meant(value: Any) -> Any:
    """An empty list, object and text, and none at all, say the same."""
    return None if value in (None, "", [], {}) and value is not False else value
