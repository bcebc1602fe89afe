"""Sections of the tenant file that apps above bring: what they configure is theirs to read, judge and write. Nothing here knows them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from idp.tenants.applied import Applied
from idp.tenants.file.references import SecretNames
from idp.tenants.reader import Reader

if TYPE_CHECKING:
    from idp.tenants.schema import TenantFile

Entry = TypeVar("Entry")


class Section(ABC, Generic[Entry]):
    """One key at the top of the file, with a list of entries. An entry has a `path`, its place in the file."""

    key: ClassVar[str]

    @abstractmethod
    def read(self, reader: Reader) -> Entry:
        """One entry, by itself. What is wrong with it the reader is told."""

    @abstractmethod
    def problems(self, entries: Sequence[Entry], file: TenantFile) -> Iterator[str]:
        """What rows that exist, and the rulebook, have against entries that could be read."""

    @abstractmethod
    def apply(self, entry: Entry, actor: str, at: datetime, *, is_rehearsal: bool) -> Applied:
        """After the sections of ours, so that clients and their grants are as the file says."""

    @abstractmethod
    def prune(self, entries: Sequence[Entry], actor: str, at: datetime) -> Iterator[Applied]:
        """Before anything of ours is removed."""

    @abstractmethod
    def export(self, secrets: SecretNames) -> list[dict[str, Any]]:
        """What is there, as entries."""


_FROM_ABOVE: dict[str, Section[Any]] = {}


def bring(section: Section[Any]) -> None:
    """At the start of the app that has it."""
    _FROM_ABOVE[section.key] = section


def from_above() -> Sequence[Section[Any]]:
    return tuple(_FROM_ABOVE[key] for key in sorted(_FROM_ABOVE))
