"""The door: the only code that ends sessions.

One transaction, set-based: the number of statements does not depend on how many sessions end or how many applications
took part. A conditional UPDATE decides which of two concurrent doors ended a session; the other ends nothing. Rows are
locked in the order user, session, family, outbox. Token rows are never touched: their parents' death is theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from idp import prepared
from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app import bell, fanout
from logout_app.fanout import NOBODY, Told
from logout_app.models import LogoutEvent
from sessions_app.models import RefreshTokenFamily, SSOSession


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions, of those that have not ended yet: an SQL condition and what it is given."""

    where: str
    given: dict[str, Any] = field(default_factory=dict)
    user_pk: int | None = None  # set when everything of one person is meant, sessions or not
    spare: int | None = None
    connection_pk: int | None = None  # set when everything of one connection is meant
    identity_pks: tuple[int, ...] = ()  # set when everything that began through these accounts is meant
    limit: int | None = None
    single: bool = False  # at most one row: no order of locks to keep

    @classmethod
    def session(cls, pk: int) -> Selection:
        return cls("id = %(session)s", {"session": pk}, single=True)

    @classmethod
    def sessions(cls, pks: Collection[int]) -> Selection:
        return cls(f"id {fanout.among('sessions')}", {"sessions": fanout.keys(list(pks))})

    @classmethod
    def user(cls, user_pk: int, spare: int | None = None) -> Selection:
        """Everything of one person, except the session `spare` (the one in which they changed their password)."""
        where = "user_id = %(user)s" if spare is None else "user_id = %(user)s AND id <> %(spare)s"
        return cls(where, {"user": user_pk, "spare": spare}, user_pk=user_pk, spare=spare)

    @classmethod
    def connection(cls, connection_pk: int) -> Selection:
        return cls("connection_id = %(connection)s", {"connection": connection_pk}, connection_pk=connection_pk)

    @classmethod
    def identities(cls, pks: Collection[int]) -> Selection:
        """What one person began through these accounts of theirs; what they began through others stays."""
        given = {"identities": fanout.keys(list(pks))}
        return cls(f"identity_id {fanout.among('identities')}", given, identity_pks=tuple(pks))

    @classmethod
    def overdue(cls, limit: int) -> Selection:
        """Past their idle or absolute limit; at most `limit`, oldest first."""
        return cls("(expires_at <= %(at)s OR idle_expires_at <= %(at)s)", limit=limit)

    @property
    def whole_user(self) -> bool:
        return self.user_pk is not None and self.spare is None


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call did. No event: there was nothing to end."""

    event: LogoutEvent | None
    session_pks: list[int]
    told: Told = NOBODY


@dataclass(frozen=True, slots=True)
class _EndedSession:
    pk: int
    user_pk: int
    sub: str


def end_sessions(
    selection: Selection,
    *,
    initiator: Initiator,
    actor: str,
    at: datetime,
    offline_tokens: bool,
    page: int | None = None,
) -> Ended:
    """End the selected sessions and plan who is told, in one transaction (joins the caller's if there is one).

    `offline_tokens`: offline refresh tokens die too (Global Token Revocation, an administrator's revoke, deactivation).
    Session-bound ones die with their session anyway. `page`: the session whose browser shows the sign-out page next, so its
    front channels are planned as well.
    """
    with transaction.atomic(savepoint=False):  # two round trips less where the caller has a transaction
        if offline_tokens and selection.whole_user:
            _raise_not_before(selection, at)
        ended = _end_rows(selection, initiator, actor, at)
        families = _revoke_families(selection, ended, initiator, at) if offline_tokens else 0
        if not ended and not families:
            return Ended(None, [])
        event = _event(selection, ended, families, initiator, actor, at)
        pks = [row.pk for row in ended]
        told = fanout.record(event, pks, page=page, whole_user=offline_tokens and selection.whole_user)
        if told.deliveries > told.frames:
            transaction.on_commit(bell.ring)
    return Ended(event, pks, told)


def _raise_not_before(selection: Selection, at: datetime) -> None:
    """Everything of the person that began until now is dead, also what a concurrent request is about to commit."""
    users = User.objects.filter(pk__in=[selection.user_pk])
    users.filter(Q(revoked_before=None) | Q(revoked_before__lt=at)).update(revoked_before=at)


def _end_rows(selection: Selection, initiator: Initiator, actor: str, at: datetime) -> list[_EndedSession]:
    """The rows that this call ended, and nobody else did.

    A statement of its own, before the one that looks who joined: it may have to wait for somebody who is joining, and one
    statement sees only what was committed when it began.
    """
    given = {
        **selection.given,
        "at": connection.ops.adapt_datetimefield_value(at),
        "initiator": initiator.value,
        "actor": actor,
        "limit": selection.limit,
    }
    statement = _end_statement(selection.where, selection.limit is not None, selection.single)
    return [_EndedSession(*row) for row in prepared.fetch(statement, given)]


@cache
def _end_statement(where: str, limited: bool, single: bool) -> str:
    """The chosen rows are locked in one order for everybody, in a materialized CTE: in a plain subquery PostgreSQL may run
    the LIMIT more than once. No key lock: the foreign keys of tokens that are written meanwhile would wait for it, and this
    for their family."""
    table, users = SSOSession._meta.db_table, User._meta.db_table
    lock = " FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""
    limit = " LIMIT %(limit)s" if limited else ""
    chosen = f"SELECT id FROM {table} WHERE {where} AND ended_at IS NULL ORDER BY id{limit}{lock}"  # noqa: S608  constants
    rows = where if single else "id IN (SELECT id FROM chosen)"
    end = (
        f"UPDATE {table} SET ended_at = %(at)s, end_initiator = %(initiator)s, end_actor = %(actor)s "  # noqa: S608
        f"WHERE {rows} AND ended_at IS NULL "
        f"RETURNING id, user_id, (SELECT person.user_id FROM {users} person WHERE person.id = {table}.user_id)"
    )
    return end if single else f"WITH chosen (id) AS MATERIALIZED ({chosen}) {end}"


def _revoke_families(selection: Selection, ended: list[_EndedSession], initiator: Initiator, at: datetime) -> int:
    """Of one person: all but the spared session's; of a connection or accounts: of all their sessions, whenever they ended,
    and of their people where the session is not known any more; else those of the sessions that ended now."""
    families = RefreshTokenFamily.objects.filter(revoked_at=None)
    if selection.user_pk is not None:
        families = families.filter(user=selection.user_pk)
        if selection.spare is not None:
            families = families.filter(Q(session=None) | ~Q(session=selection.spare))
    elif selection.connection_pk is not None:
        orphans = Q(session=None, user__identities__connection=selection.connection_pk)
        families = families.filter(Q(session__connection=selection.connection_pk) | orphans)
    elif selection.identity_pks:
        orphans = Q(session=None, user__identities__in=selection.identity_pks)
        families = families.filter(Q(session__identity__in=selection.identity_pks) | orphans)
    else:
        families = families.filter(session__in=[row.pk for row in ended])
    return families.update(revoked_at=at, revoke_reason=initiator.value)


def _event(
    selection: Selection,
    ended: list[_EndedSession],
    families: int,
    initiator: Initiator,
    actor: str,
    at: datetime,
) -> LogoutEvent:
    """The act as one row, not written yet. It names the person if all of it was one person's."""
    subs = {row.user_pk: row.sub for row in ended}
    if not subs and selection.user_pk is not None:
        subs = {selection.user_pk: fanout.sub_of(selection.user_pk)}
    person: tuple[int | None, str] = next(iter(subs.items())) if len(subs) == 1 else (None, "")
    return LogoutEvent(
        at=at,
        initiator=initiator.value,
        actor=actor,
        user_id=person[0],
        sub=person[1],
        sessions_ended=len(ended),
        families_revoked=families,
    )
