"""The door: the only code that ends sessions.

One transaction, set-based: the number of statements does not depend on how many sessions end or how many applications
took part. On PostgreSQL it is a single statement when one session ends (ADR 21). A conditional UPDATE decides which of two concurrent doors ended a session; the other ends nothing. Rows are
locked in the order user, session, family, outbox. Token rows are never touched: their parents' death is theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from idp.database import dialect, prepared
from idp.models import Identity, User
from idp.operations.tracing import switch as tracing
from idp.protocol.initiators import Initiator
from logout_app.commands import plan
from logout_app.delivery import bell
from logout_app.ending import rows
from logout_app.ending.rows import NO_DELIVERIES, NO_FAMILIES, NO_FURTHER_ROWS, Families, FurtherRows, Planned
from logout_app.models import LogoutEvent
from sessions_app.models import SSOSession

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# Whatever of a person began until now is dead, also what a concurrent request is about to commit. `which`: a condition on `id`.
NOT_BEFORE = f"""
UPDATE {User._meta.db_table} SET revoked_before = %(at)s
WHERE id {{which}} AND (revoked_before IS NULL OR revoked_before < %(at)s)"""  # noqa: S608  constants only

LONGEST_ACT = 60  # seconds for a statement that ends many sessions, also in the web server


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions, of those that have not ended yet: an SQL condition and what it is given."""

    where: str
    given: dict[str, Any] = field(default_factory=dict)
    user_pk: int | None = None  # set when everything of one person is meant, sessions or not
    except_session: int | None = None
    mark_is_raised: bool = False  # the person's not-before mark was raised already, in this transaction
    families: str = ""  # which families of refresh tokens this means, if they are not those of the sessions that end
    limit: int | None = None
    single: bool = False  # at most one row: no order of locks to keep

    @classmethod
    def session(cls, pk: int) -> Selection:
        return cls("id = %(session)s", {"session": pk}, single=True)

    @classmethod
    def sessions(cls, pks: Collection[int]) -> Selection:
        return cls(f"id {dialect.among('sessions')}", {"sessions": dialect.keys(list(pks))})

    @classmethod
    def user(cls, user_pk: int, except_session: int | None = None, *, mark_is_raised: bool = False) -> Selection:
        """Everything of one person, except the session `except_session` (the one in which they changed their password)."""
        where, families = "user_id = %(user)s", "user_id = %(user)s"
        if except_session is not None:
            where += " AND id <> %(except_session)s"
            families += " AND (session_id IS NULL OR session_id <> %(except_session)s)"
        given = {"user": user_pk, "except_session": except_session}
        return cls(
            where,
            given,
            user_pk=user_pk,
            except_session=except_session,
            mark_is_raised=mark_is_raised,
            families=families,
        )

    @classmethod
    def connection(cls, connection_pk: int) -> Selection:
        of_connection = "connection_id = %(connection)s"
        return cls(of_connection, {"connection": connection_pk}, families=_begun(of_connection, of_connection))

    @classmethod
    def identities(cls, pks: Collection[int]) -> Selection:
        """What one person began through these accounts of theirs; what they began through others stays."""
        these, given = dialect.among("identities"), {"identities": dialect.keys(list(pks))}
        return cls(f"identity_id {these}", given, families=_begun(f"identity_id {these}", f"id {these}"))

    @classmethod
    def overdue(cls, limit: int) -> Selection:
        """Past their idle or absolute limit; at most `limit`, oldest first."""
        return cls("(expires_at <= %(at)s OR idle_expires_at <= %(at)s)", limit=limit)

    @property
    def whole_user(self) -> bool:
        return self.user_pk is not None and self.except_session is None


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call did. No event: there was nothing to end."""

    event: LogoutEvent | None
    session_pks: list[int]
    told: Planned = NO_DELIVERIES


def _describe(span: Span, ended: Ended, asked: Mapping[str, Any]) -> None:
    """Nothing of whose sessions they were."""
    span.set_attribute("curfew.initiator", asked["initiator"].value)
    span.set_attribute("curfew.sessions_ended", len(ended.session_pks))
    span.set_attribute("curfew.deliveries", ended.told.deliveries)
    if ended.event is not None:
        span.set_attribute("curfew.event", ended.event.pk)


@tracing.act("end_sessions", _describe)
def end_sessions(
    selection: Selection,
    *,
    initiator: Initiator,
    actor: str,
    at: datetime,
    offline_tokens: bool,
    page: int | None = None,
    also: FurtherRows = NO_FURTHER_ROWS,
) -> Ended:
    """End the selected sessions and plan who is told, in one transaction (joins the caller's if there is one).

    `offline_tokens`: offline refresh tokens die too (Global Token Revocation, an administrator's revoke, deactivation).
    Session-bound ones die with their session anyway. `page`: the session whose browser shows the sign-out page next, so its
    front channels are planned as well. `also`: rows that are written with the act, even if there was nothing to end.
    """
    fits_one_statement = selection.single and not offline_tokens and not also.statements
    if fits_one_statement:
        ended = _end_at_once(selection, initiator, actor, at, page)
        if ended is not None:
            return ended
    with transaction.atomic(savepoint=False), _at_length(selection):  # no savepoint: two round trips less
        if offline_tokens and selection.whole_user and not selection.mark_is_raised:
            _raise_not_before(selection, at)
        gone = _end_rows(selection, initiator, actor, at)
        if not gone and not offline_tokens and not also.statements:
            return Ended(None, [])
        event, pks = _event(selection, gone, initiator, actor, at), [pk for pk, _ in gone]
        families = _families(selection) if offline_tokens else NO_FAMILIES
        everything = offline_tokens and selection.whole_user
        told = rows.record(event, pks, page=page, families=families, whole_user=everything, also=also)
        _ring(told)
        if everything and (told.commanded or event.pk is None):
            plan.of_end(selection.user_pk, initiator, ended=event.pk is not None, actor=actor, at=at)
    return Ended(event if event.pk else None, pks, told)


def _at_length(selection: Selection) -> AbstractContextManager[None]:
    """In the transaction of an act that may end thousands of sessions: cut off half way it would be so at every try."""
    if selection.single:
        return nullcontext()
    longer: AbstractContextManager[None] = connection.longer_statements(LONGEST_ACT)  # type: ignore[attr-defined]  # of idp/database
    return longer


def _end_at_once(
    selection: Selection, initiator: Initiator, actor: str, at: datetime, page: int | None
) -> Ended | None:
    """One session, in one act, which on PostgreSQL is one statement without a transaction around it: three round trips less.

    That sees only what was committed when it began. Whoever joins writes the session's row, so the row must still be the one
    that this statement saw: otherwise it ends nothing, and the longer way sees who joined meanwhile.
    """
    unchanged = dialect.unchanged(SSOSession._meta.db_table, selection.where)
    ending = _end_statement(f"{selection.where}{unchanged}", limited=False, single=True)
    event = LogoutEvent(at=at, initiator=initiator.value, actor=actor, sessions_ended=1)
    told = rows.end_and_record(event, ending, selection.given, page=page)
    if told is None:
        return None
    _ring(told)
    return Ended(event, [selection.given["session"]], told)


def _ring(told: Planned) -> None:
    if told.deliveries > told.frames:
        transaction.on_commit(bell.ring)


def _raise_not_before(selection: Selection, at: datetime) -> None:
    given = {"user": selection.user_pk, "at": connection.ops.adapt_datetimefield_value(at)}
    prepared.fetch(f"{NOT_BEFORE.format(which='= %(user)s')} RETURNING id", given)


def _end_rows(selection: Selection, initiator: Initiator, actor: str, at: datetime) -> list[tuple[int, int]]:
    """The sessions that this call ended, and nobody else did, with their people.

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
    return [(session_pk, user_pk) for session_pk, user_pk in prepared.fetch(statement, given)]


@cache
def _end_statement(where: str, limited: bool, single: bool) -> str:
    """The chosen rows are locked in one order for everybody, in a materialized CTE: in a plain subquery PostgreSQL may run
    the LIMIT more than once. No key lock: the foreign keys of tokens that are written meanwhile would wait for it, and this
    for their family."""
    table = SSOSession._meta.db_table
    lock = dialect.lock("FOR NO KEY UPDATE")
    limit = " LIMIT %(limit)s" if limited else ""
    chosen = f"SELECT id FROM {table} WHERE {where} AND ended_at IS NULL ORDER BY id{limit}{lock}"  # noqa: S608  constants
    rows = where if single else "id IN (SELECT id FROM chosen)"
    end = (
        f"UPDATE {table} SET ended_at = %(at)s, end_initiator = %(initiator)s, end_actor = %(actor)s "  # noqa: S608
        f"WHERE {rows} AND ended_at IS NULL RETURNING id, user_id"
    )
    return end if single else f"WITH chosen (id) AS MATERIALIZED ({chosen}) {end}"


def _families(selection: Selection) -> Families:
    """Of one person: all but the spared session's; of a connection or accounts: of all their sessions, whenever they ended,
    and of their people where the session is not known any more; else those of the sessions that end now."""
    return Families(selection.families or f"session_id {dialect.among('pks')}", selection.given)


def _begun(sessions: str, accounts: str) -> str:
    """Families of these sessions, and of the people of these accounts where the session is not known any more."""
    return (
        f"session_id IN (SELECT id FROM {SSOSession._meta.db_table} WHERE {sessions}) OR (session_id IS NULL "  # noqa: S608
        f"AND user_id IN (SELECT user_id FROM {Identity._meta.db_table} WHERE {accounts}))"
    )


def _event(
    selection: Selection, ended: list[tuple[int, int]], initiator: Initiator, actor: str, at: datetime
) -> LogoutEvent:
    """The act as one row, not written yet. It names the person if all of it was one person's."""
    people: set[int | None] = {user_pk for _, user_pk in ended} or {selection.user_pk}
    return LogoutEvent(
        at=at,
        initiator=initiator.value,
        actor=actor,
        user_id=people.pop() if len(people) == 1 else None,
        sessions_ended=len(ended),
    )
