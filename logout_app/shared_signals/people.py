"""Whom an event names: accounts of its connection, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from idp.models import Connection, Identity, User
from logout_app.gtr import people as gtr
from logout_app.protocol.gtr import Subject
from logout_app.shared_signals.trust import SignalTrust, issuers_of, same


@dataclass(frozen=True, slots=True)
class NamedAccounts:
    """`elsewhere`: those of the people that also come in through other connections."""

    accounts: tuple[int, ...]
    people: tuple[int, ...]
    elsewhere: frozenset[int]
    person: User | None  # None: nobody, or several


NOBODY = NamedAccounts((), (), frozenset(), None)


def find(connection: Connection, names: Iterable[Subject], believed: SignalTrust, at: datetime) -> NamedAccounts:
    """Raises UpstreamFault when it cannot be known whether an issuer is that of the connection."""
    subs: list[str] = []
    emails: list[str] = []
    ids: list[str] = []
    for name in names:
        if name.format == "email":
            emails.append(name.values[0])
        elif name.format == "opaque":
            ids.append(name.values[0])
        elif _is_theirs(name.values[0], connection, believed, at):
            subs.append(name.values[1])
    # What is opaque to us may be the account's id there, or ours, which the provider learnt from a token.
    found = gtr.accounts_named(connection, subs=[*subs, *ids], emails=emails, user_ids=ids)
    people = tuple(sorted({person for _, person in found}))
    if not people:
        return NOBODY
    others = Identity.objects.filter(user__in=people).exclude(connection=connection).values_list("user_id", flat=True)
    person = User.objects.get(pk=people[0]) if len(people) == 1 else None
    return NamedAccounts(tuple(sorted(account for account, _ in found)), people, frozenset(others), person)


def _is_theirs(issuer: str, connection: Connection, believed: SignalTrust, at: datetime) -> bool:
    """The transmitter's own name needs no question to anybody."""
    own = same(believed.options.issuer)
    return same(issuer) == own or same(issuer) in issuers_of(connection, believed, at)
