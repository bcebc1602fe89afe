"""Whom an event names: accounts of its connection, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from idp.models import Connection
from logout_app.gtr import people as gtr
from logout_app.protocol.gtr import Subject
from logout_app.shared_signals.trust import SignalTrust, issuers_of, same


@dataclass(frozen=True, slots=True)
class NamedAccounts:
    """`elsewhere`: those of the people that also come in through other connections."""

    accounts: tuple[int, ...]
    people: tuple[int, ...]
    elsewhere: frozenset[int]
    sub: str  # of the one person that is named; "": nobody, or several


NOBODY = NamedAccounts((), (), frozenset(), "")


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
    people = tuple(sorted({account.user_pk for account in found}))
    elsewhere = frozenset(account.user_pk for account in found if account.is_elsewhere)
    sub = found[0].user_sub if len(people) == 1 else ""
    return NamedAccounts(tuple(sorted(account.pk for account in found)), people, elsewhere, sub)


def _is_theirs(issuer: str, connection: Connection, believed: SignalTrust, at: datetime) -> bool:
    """The transmitter's own name needs no question to anybody."""
    own = same(believed.options.issuer)
    return same(issuer) == own or same(issuer) in issuers_of(connection, believed, at)
