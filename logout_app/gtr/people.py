"""Whom a Global Token Revocation request names. Found, the token spent and their mark raised: one act.

The token is spent and the person's row locked first, so that requests about one person wait for each other, and sign-ins for
them. Whoever is in the way of either is waited for here, before sessions and families are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection as database

from idp.crypto import spent
from idp.database import dialect, prepared
from idp.database.acts import Act, ActStep, Gives
from idp.models import Connection, Identity, User
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.text import normal_forms
from logout_app.ending.end import NOT_BEFORE, Selection
from logout_app.protocol import gtr as rules
from logout_app.protocol.gtr import RequestProof, Subject

# Accounts at this connection: people of other connections do not exist here. Each branch has an index of its own.
# Of several accounts with an address, those are meant of which it is verified, if there are any: what somebody else only
# wrote into a profile must not stand in the way. What is verified of a person is the address of the account that is their
# own, and of every linked one that has the same: in lower case, or in the form in which their own account keeps it.
VERIFIED = f"""{{person}}.email_verified AND (
        {{person}}.user_id = %(own)s || {{account}}.sub OR lower({{person}}.email) = {{account}}.email OR EXISTS (
            SELECT 1 FROM {Identity._meta.db_table} main JOIN {Connection._meta.db_table} place ON place.id = main.connection_id
            WHERE main.user_id = {{person}}.id AND main.email = {{account}}.email AND {{person}}.user_id IN (
                'auth0|' || main.sub, place.strategy || '|' || place.name || '|' || main.sub)))"""  # noqa: S608
NAMED = f"""
SELECT id, user_id FROM {Identity._meta.db_table} WHERE connection_id = %(connection)s AND sub {{subs}}
UNION
SELECT account.id, account.user_id FROM {Identity._meta.db_table} account
JOIN {User._meta.db_table} person ON person.id = account.user_id
WHERE account.connection_id = %(connection)s AND account.email {{emails}}
    AND ({VERIFIED.format(account="account", person="person")} OR NOT EXISTS (
        SELECT 1 FROM {Identity._meta.db_table} other JOIN {User._meta.db_table} owner ON owner.id = other.user_id
        WHERE other.connection_id = %(connection)s AND other.email = account.email
            AND {VERIFIED.format(account="other", person="owner")}))
UNION
SELECT account.id, account.user_id FROM {Identity._meta.db_table} account
JOIN {User._meta.db_table} person ON person.id = account.user_id
WHERE account.connection_id = %(connection)s AND person.user_id {{user_ids}}"""  # noqa: S608  constants only, here and below

# With those of the same people at other connections, whose identity providers did not change their mind.
ACCOUNTS = f"""
SELECT account.id, account.id IN (SELECT id FROM {{named.rows}}) AS is_named, person.id AS user_id,
    person.user_id AS user_sub, source.name AS source, account.sub,
    account.id NOT IN (SELECT id FROM {{named.rows}}) AS is_elsewhere
FROM {Identity._meta.db_table} account
JOIN {User._meta.db_table} person ON person.id = account.user_id
JOIN {Connection._meta.db_table} source ON source.id = account.connection_id
WHERE account.user_id IN (SELECT user_id FROM {{named.rows}})
    AND (account.connection_id <> %(connection)s OR account.id IN (SELECT id FROM {{named.rows}}))"""  # noqa: S608

# Accounts that are named, with their people, who may come in elsewhere too.
NAMED_WITH_PEOPLE = f"""
SELECT named.id, person.id, person.user_id, EXISTS (
    SELECT 1 FROM {Identity._meta.db_table} other WHERE other.user_id = person.id AND other.connection_id <> %(connection)s)
FROM ({{named}}) named JOIN {User._meta.db_table} person ON person.id = named.user_id"""  # noqa: S608

# The one person that is meant, whom nobody can sign in meanwhile; nobody, if several are, or if the token was spent before.
PERSON = f"""
SELECT id FROM {User._meta.db_table} WHERE id = (
    SELECT min(user_id) FROM {{named.rows}} HAVING count(DISTINCT user_id) = 1
) AND {{spent}} IS NOT NULL"""  # noqa: S608

# Of a person who also comes in elsewhere the mark is on the accounts, else on the person.
MARK_OF_ACCOUNTS = f"""
UPDATE {Identity._meta.db_table} SET revoked_before = %(at)s
WHERE id {{which}} AND (revoked_before IS NULL OR revoked_before < %(at)s)"""  # noqa: S608


class UnknownUser(ProtocolError):
    error = "user_not_found"
    status = 404


class CannotSignOut(ProtocolError):
    error = "cannot_sign_out"
    status = 422


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """`accounts` are those that were named, then those at other connections, as `connection|sub`."""

    user_pk: int
    sub: str
    accounts: list[str]
    named: list[int]

    @property
    def is_linked(self) -> bool:
        return len(self.accounts) > len(self.named)

    @property
    def selection(self) -> Selection:
        """Everything of the person; of one who also comes in elsewhere, what began through the named accounts."""
        return Selection.identities(self.named) if self.is_linked else Selection.user(self.user_pk, mark_is_raised=True)


@dataclass(frozen=True, slots=True)
class NamedAccount:
    pk: int
    user_pk: int
    user_sub: str
    is_elsewhere: bool  # its person comes in through other connections too


@dataclass(frozen=True, slots=True)
class _Account:
    pk: int
    is_named: bool
    user_pk: int
    user_sub: str
    source: str
    sub: str
    is_elsewhere: bool


def find_and_mark(
    connection: Connection, subjects: Sequence[Subject], issuers: frozenset[str], proof: RequestProof, at: datetime
) -> NamedPerson:
    """The one person that is meant; what they proved until `at` opens nothing any more. For the transaction of their end.

    Raises ProtocolError; what it did then must be rolled back.
    """
    given: dict[str, Any] = {
        **spent.given("gtr", connection.public_id, proof.jti, expires_at=proof.expires_at),
        **_named(subjects, issuers),
        "connection": connection.pk,
        "own": connection.user_id_of(""),
        "at": database.ops.adapt_datetimefield_value(at),
    }
    found = _act().run(given)
    if found["spent"] is None:
        raise rules.refused("this token was used before")
    accounts = sorted(
        (_Account(*row) for row in found["accounts"]), key=lambda account: (not account.is_named, account.pk)
    )
    named = [account for account in accounts if account.is_named]
    if not named:
        raise UnknownUser("No user of this connection is named so.")
    if len({account.user_pk for account in named}) > 1:
        if len(subjects) > 1:
            raise InvalidRequest("The aliases name different people.")
        raise CannotSignOut("Several users of this connection are named so; name one by iss_sub.")
    names = [f"{account.source}|{account.sub}" for account in accounts]
    return NamedPerson(named[0].user_pk, named[0].user_sub, names, [account.pk for account in named])


def accounts_named(
    connection: Connection, *, subs: Sequence[str], emails: Sequence[str], user_ids: Sequence[str]
) -> list[NamedAccount]:
    """Accounts of this connection by any of these names, with their people; of whom several may have one address. One statement."""
    named = {"subs": subs, "emails": [normal_forms.name(email) for email in emails], "user_ids": user_ids}
    given = {name: dialect.keys(list(texts)) for name, texts in named.items()}
    found = prepared.fetch(
        _named_with_people(), {**given, "connection": connection.pk, "own": connection.user_id_of("")}
    )
    return [NamedAccount(account, person, sub, bool(elsewhere)) for account, person, sub, elsewhere in found]


def _named(subjects: Sequence[Subject], issuers: frozenset[str]) -> dict[str, Any]:
    """An `iss_sub` of another issuer names nobody."""
    values: dict[str, list[str]] = {"subs": [], "emails": [], "user_ids": []}
    for subject in subjects:
        if subject.format == "email":
            values["emails"].append(normal_forms.name(subject.values[0]))
        elif subject.format == "opaque":
            values["user_ids"].append(subject.values[0])
        elif subject.values[0] in issuers:
            values["subs"].append(subject.values[1])
    return {name: dialect.keys(texts) for name, texts in values.items()}


@cache
def _act() -> Act:
    """The person's mark is raised, or those of the accounts, of a person who has others elsewhere."""
    columns = ("id", "is_named", "user_id", "user_sub", "source", "sub", "is_elsewhere")
    person = f"{PERSON}{dialect.lock('FOR NO KEY UPDATE')}"
    of_person = NOT_BEFORE.format(which="= {person}")
    of_accounts = MARK_OF_ACCOUNTS.format(which="IN (SELECT id FROM {named.rows})")
    elsewhere = ("accounts.is_elsewhere",)
    return Act(
        ActStep("spent", spent.SPEND),
        ActStep("named", _names(), columns=("id", "user_id"), gives=Gives.NOTHING),
        ActStep("accounts", ACCOUNTS, columns=columns, gives=Gives.ROWS),
        ActStep("person", person, gives=Gives.NOTHING),
        ActStep("mark_of_person", f"{of_person} AND {{then}} RETURNING id", gives=Gives.NOTHING, lacks=elsewhere),
        ActStep(
            "mark_of_accounts",
            f"{of_accounts} AND {{person}} IS NOT NULL AND {{then}}",
            gives=Gives.NOTHING,
            needs=elsewhere,
        ),
    )


@cache
def _named_with_people() -> str:
    return NAMED_WITH_PEOPLE.format(named=_names())


def _names() -> str:
    return NAMED.format(**{name: dialect.among(name) for name in ("subs", "emails", "user_ids")})
