"""Who may change what a connection trusts, where its secrets may go, and what is written down of it.

Whoever decides which keys, servers and claims a connection believes can sign in as everybody who comes through it. One
rule for every entrance: the admin's forms, its acts, the tenant file, and what comes after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from idp import signals
from idp.connections import registry, shared_signals
from idp.connections.options import COSMETIC, DEFAULTS, ONE_OR_SEVERAL, destinations
from idp.connections.shown import CERTIFICATES, shown
from idp.directory import api_roles
from idp.http.requests import RequestFacts
from idp.models import Connection, Strategy, User
from idp.tenants import changes
from idp.tenants.changes import NO_VALUE, SECRET, Author, Difference, Refusal

FOR_WHOM = frozenset(
    {"enabled_for_all", "enabled_clients"}
)  # which applications may use it: that lets nobody in (ADR 22)
NOT_GIVEN: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """`stored` is the row as it is, or one that was never saved; the rest is what becomes of it.

    `given` are secrets that come anew, `removed` those that go; the others stay.
    """

    stored: Connection
    options: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    enabled: bool | None = None  # None: as it is
    enabled_for_all: bool | None = None
    enabled_clients: frozenset[str] | None = None  # client ids


def refusal(change: ConnectionChange, author: Author) -> Refusal | None:
    """Why this change is not this author's to make, or None."""
    if author.may_all:
        return None
    found = [difference for difference in differences(change) if difference.what not in FOR_WHOM]
    reason = concern(change.stored, change.options, lends=author.lends) if found else ""
    return changes.refusal(found, author, reason) if reason else None


def concern(connection: Connection, *proposals: Mapping[str, Any], lends: frozenset[str] = frozenset()) -> str:
    """Why who changes the connection could get in as somebody with powers in the admin, or as somebody whose roles permit
    more of the Management API than `lends`, "" if they could not.

    `proposals` are options that it may come to have.
    """
    return next(_concerns(connection, proposals, lends), "")


def _concerns(connection: Connection, proposals: Sequence[Mapping[str, Any]], lends: frozenset[str]) -> Iterator[str]:
    yield from _as_one_of(people_with_powers(), "with powers in this admin", connection, proposals)
    if roles := api_roles.beyond(lends):
        yield from _as_one_of(api_roles.people(roles), "whose roles permit the Management API", connection, proposals)
        if connection.strategy != Strategy.DATABASE and api_roles.come_with_groups_of(connection, roles):
            yield "groups that it names give roles that permit the Management API"


def _as_one_of(
    people: QuerySet[User], who: str, connection: Connection, proposals: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if connection.pk and people.filter(identities__connection=connection).exists():
        yield f"people {who} sign in through it"
    # An account that comes for the first time finds the person with its user id (`idp.people.identities`).
    if (
        connection.strategy != Strategy.DATABASE
        and people.filter(user_id__startswith=connection.user_id_of("")).exists()
    ):
        yield f"somebody {who} has a user id of this connection"
    if connection.strategy == Strategy.ACTIVE_DIRECTORY and _type_passwords_here(people):
        yield f"its servers see passwords from the login page, where people {who} type theirs"
    claimed = {domain for options in (connection.options, *proposals) for domain in registry.domains_of(options)}
    if claimed and claimed & {registry.domain_of(email) for email in people.values_list("email", flat=True)}:
        yield f"e-mail addresses of people {who} lead to it"


def _type_passwords_here(people: QuerySet[User]) -> bool:
    return people.filter(identities__connection__strategy__in=registry.PASSWORD_PROTOCOLS).exists()


def people_with_powers() -> QuerySet[User]:
    """Blocked ones too: they may be let in again."""
    return User.objects.filter(Q(is_staff=True) | Q(is_superuser=True))


def untyped(change: ConnectionChange) -> dict[str, str]:
    """Secrets that would be sent to a new place without having been given anew -> the sentence that says so."""
    kept = set(change.stored.sealed_options) - change.given - change.removed
    strategy, old = change.stored.strategy, change.stored.options
    moved = {
        secret: [name for name in sorted(destinations(strategy, secret)) if _leads_away(name, old, change.options)]
        for secret in sorted(kept)
    }
    return {secret: _retype(names) for secret, names in moved.items() if names}


def _retype(names: Sequence[str]) -> str:
    return f"Give it again, as {' and '.join(names)} changed: a secret that is kept here is never sent to a new place."


def _leads_away(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Of a list, which is tried in its order, an entry that goes away leads nowhere new."""
    before, after = old.get(name), new.get(name)
    if name == shared_signals.OPTION:  # its endpoints are discovered from the issuer, but for one that may be typed
        before, after = (shared_signals.destination(value) for value in (before, after))
    if isinstance(before, list) and isinstance(after, list):
        return any(entry not in before for entry in after)
    return not _is_same(name, before, after)


def differences(change: ConnectionChange) -> list[Difference]:
    """What the change does, option by option; empty if it concerns nothing but looks."""
    stored, found = change.stored, []
    if stored._state.adding:
        found.append(Difference("connection", NO_VALUE, f"one of the strategy {stored.strategy}"))
    for name in sorted({*stored.options, *change.options} - COSMETIC):
        before, after = stored.options.get(name), change.options.get(name)
        if not _is_same(name, before, after):
            found.append(Difference(name, shown(name, before), shown(name, after)))
    found += [changes.of_secret(name, held=name in stored.sealed_options) for name in sorted(change.given)]
    found += [Difference(name, SECRET, NO_VALUE) for name in sorted(change.removed & set(stored.sealed_options))]
    return found + list(_switched(change))


def _switched(change: ConnectionChange) -> Iterator[Difference]:
    """Whether it is open, and for which applications."""
    stored = change.stored
    for name in ("enabled", "enabled_for_all"):
        before, after = getattr(stored, name), getattr(change, name)
        if after is not None and after != before:
            yield Difference(name, changes.shown(before), changes.shown(after))
    if change.enabled_clients is not None:
        before, after = clients_of(stored), change.enabled_clients
        if before != after:
            yield Difference("enabled_clients", *(", ".join(sorted(ids)) or NO_VALUE for ids in (before, after)))


def clients_of(connection: Connection) -> frozenset[str]:
    """Client ids of the applications that may use it where not all may."""
    rows = connection.enabled_clients.values_list("client_id", flat=True) if connection.pk else ()
    return frozenset(rows)


def _defaults_of_members() -> dict[str, dict[str, Any]]:
    """Of options that are objects: what each member means where it is not there."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in DEFAULTS.items():
        option, _, member = name.partition("__")
        if member:
            found.setdefault(option, {})[member] = value
    return found


_MEMBERS = _defaults_of_members()


def _is_same(name: str, before: Any, after: Any) -> bool:
    return bool(_meaning(name, before) == _meaning(name, after))


def _meaning(name: str, value: Any) -> Any:
    """What a value says however it is written down: a form writes line ends, lists of one and defaults in its own way."""
    if (members := _MEMBERS.get(name)) and (value in NOT_GIVEN or isinstance(value, dict)):
        value = members | (value or {})
    if value in NOT_GIVEN:
        value = DEFAULTS.get(name)
    if name in ONE_OR_SEVERAL and value:
        texts = [str(item).strip() for item in (value if isinstance(value, list) else [value])]
        return _in_one_way(name, texts)
    if isinstance(value, str):
        return "".join(value.split()) if name in CERTIFICATES else value.replace("\r\n", "\n").strip()
    return value or None


def _in_one_way(name: str, texts: list[str]) -> Any:
    if name == "signingCert":
        return "".join("".join(texts).split())
    return " ".join(texts).split() if name == "scope" else texts


def deletion(connection: Connection) -> list[Difference]:
    return [Difference("connection", f"one of the strategy {connection.strategy}", NO_VALUE)]


def record(
    connection: Connection,
    found: Sequence[Difference],
    *,
    actor: str,
    at: datetime,
    facts: RequestFacts | None = None,
) -> None:
    """Tell the audit trail, in the transaction of the change."""
    if found:
        rows = changes.rows(found)
        signals.connection_changed.send(
            Connection, connection=connection, changes=rows, actor=actor, at=at, facts=facts
        )
