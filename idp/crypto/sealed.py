"""What is sealed, in which table, by which key: to seal it anew after the first of CURFEW_ENCRYPTION_KEYS changed, and to know which
keys are needed still. Each app names its own tables here when it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Substr

from idp.crypto import sealing
from idp.tenants import configuration

BATCH = 200  # rows of a transaction
KEY_ID = slice(len(sealing.VERSION) + 1, len(sealing.VERSION) + 9)  # where an envelope names its key

Envelopes = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SealedStore:
    """Envelopes of one table. `of(row)`: by names of its own, the envelope and the place that it is bound to (`sealing.seal`);
    `put(row, envelopes)` gives the columns as they are with other ones. `essential`: no process starts without their keys.
    `text`: the envelope as an expression of the database, where Python would have to read a whole table to count.
    `drop(row, names)`: columns without these envelopes, whose key is lost for good; None: the row goes."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    of: Callable[[Any], Envelopes]
    put: Callable[[Any, Mapping[str, str]], dict[str, Any]]
    drop: Callable[[Any, Collection[str]], dict[str, Any] | None]
    essential: bool = True
    text: Any = None

    def keys(self) -> Counter[str]:
        """How many envelopes each key has sealed, by its id; "" for what is no envelope."""
        if self.text is None:
            return Counter(
                sealing.key_id_of(envelope) for row in self.rows().iterator() for envelope, _ in self.of(row).values()
            )
        named = Substr(self.text, KEY_ID.start + 1, KEY_ID.stop - KEY_ID.start)
        counted = self.rows().order_by().annotate(sealed_by=named).values("sealed_by").annotate(n=Count("pk"))
        return Counter(dict(counted.values_list("sealed_by", "n")))


def of_columns(name: str, rows: Callable[[], QuerySet[Any]], **places: Callable[[Any], str]) -> SealedStore:
    """Columns that are envelopes or empty, each with the place that it is bound to."""

    def of(row: Any) -> Envelopes:
        return {column: (getattr(row, column), place(row)) for column, place in places.items() if getattr(row, column)}

    return SealedStore(
        name, rows, of, lambda _row, envelopes: dict(envelopes), lambda _row, names: dict.fromkeys(names, "")
    )


_stores: list[SealedStore] = []


def register(*stores: SealedStore) -> None:
    known = {store.name for store in _stores}
    _stores.extend(store for store in stores if store.name not in known)


def stores() -> list[SealedStore]:
    return list(_stores)


# --- sealed anew -----------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Progress:
    """How far one table is: envelopes that were sealed anew, had been already, and cannot be opened (with their rows)."""

    store: str
    anew: int = 0
    already: int = 0
    lost: list[str] = field(default_factory=list)


def reseal(batch: int = BATCH) -> Iterator[Progress]:
    """Seal by the first key whatever another one sealed; yields after each batch, which stands from then on. What was done is known
    by the envelopes themselves: whoever was killed begins again, and whatever is sealed meanwhile is sealed rightly."""
    for store in _stores:
        progress, last = Progress(store.name), 0
        while rows := list(store.rows().filter(pk__gt=last).order_by("pk")[:batch]):
            last = rows[-1].pk
            if stale := [row for row in rows if _stale(store, row, progress)]:
                with transaction.atomic():
                    for row in _held(store, stale):
                        _seal_anew(store, row, progress)
            yield progress


def discard(lost: str) -> dict[str, int]:
    """Take away whatever this key sealed, which nobody has any more: how many envelopes of which table. Secrets must be typed again,
    and signing keys are made anew."""
    if lost in sealing.key_ids():
        raise ValueError("this key is there: what it sealed is not lost")
    dropped: dict[str, int] = {}
    for store in _stores:
        with transaction.atomic():
            rows = [row for row in store.rows().iterator() if _sealed_by(store, row, lost)]
            for row in _held(store, rows):
                names = _sealed_by(store, row, lost)
                columns = store.drop(row, names)
                same = type(row)._default_manager.filter(pk=row.pk)
                same.delete() if columns is None else same.update(**columns)
                dropped[store.name] = dropped.get(store.name, 0) + len(names)
    configuration.bump()
    return dropped


def _held(store: SealedStore, rows: list[Any]) -> list[Any]:
    """The same rows as they are now, and nobody else changes them until the transaction ends."""
    if not rows:
        return []
    held = store.rows().select_for_update(no_key=True, of=("self",))
    return list(held.filter(pk__in=[row.pk for row in rows]).order_by("pk"))


def _sealed_by(store: SealedStore, row: Any, key_id: str) -> list[str]:
    return [name for name, (envelope, _) in store.of(row).items() if sealing.key_id_of(envelope) == key_id]


def _stale(store: SealedStore, row: Any, progress: Progress) -> bool:
    current = sealing.key_ids()[0]
    by = [sealing.key_id_of(envelope) for envelope, _ in store.of(row).values()]
    progress.already += by.count(current)
    return any(key_id != current for key_id in by)


def _seal_anew(store: SealedStore, row: Any, progress: Progress) -> None:
    current = sealing.key_ids()[0]
    anew = {}
    for name, (envelope, place) in store.of(row).items():
        if sealing.key_id_of(envelope) == current:
            continue
        try:
            anew[name] = sealing.seal(sealing.unseal(envelope, place), place)
        except sealing.CannotUnseal as error:
            progress.lost.append(str(error))
    if anew:
        type(row)._default_manager.filter(pk=row.pk).update(**store.put(row, anew))
    progress.anew += len(anew)


# --- which keys are needed -------------------------------------------------------------------------------------------------
def missing(*, essential_only: bool = False) -> dict[str, dict[str, int]]:
    """Keys that are not there and that something is sealed by: how many envelopes of which table."""
    return _by_key(set(sealing.key_ids()), essential_only=essential_only)


def waiting() -> dict[str, dict[str, int]]:
    """The same of keys that are there, behind the first: what `reseal` would do."""
    ids = sealing.key_ids()
    return {key_id: tables for key_id, tables in _by_key({ids[0]}).items() if key_id in ids}


def _by_key(known: set[str], *, essential_only: bool = False) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for store in _stores:
        if store.essential or not essential_only:
            for key_id, number in store.keys().items():
                if key_id and key_id not in known:
                    found.setdefault(key_id, {})[store.name] = number
    return found


def refuse_without_needed_keys() -> None:
    """Raises ImproperlyConfigured, before a process works with half of what it needs."""
    try:
        lacking = missing(essential_only=True)
    except sealing.CannotUnseal as error:
        raise ImproperlyConfigured(f"{error}.") from error
    if lacking:
        raise ImproperlyConfigured(" ".join(sentences(lacking)))


def sentences(lacking: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [
        f"CURFEW_ENCRYPTION_KEYS lacks {_called(key_id)}, by which are sealed: {words(tables)}. Put it back, behind the first; "
        f"manage.py reseal makes it unnecessary. If it is lost for good: manage.py reseal --discard {key_id}."
        for key_id, tables in lacking.items()
    ]


def words(tables: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({number})" for name, number in tables.items())


def _called(key_id: str) -> str:
    if key_id == sealing.key_id_of_secret_key():
        return "the value of SECRET_KEY, which sealed while the list was empty"
    return f"the key {key_id}"
