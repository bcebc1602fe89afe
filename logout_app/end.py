"""The door: the only code that ends sessions.

One transaction, set-based: the number of statements does not depend on how many sessions end or how many applications
took part. A conditional UPDATE decides which of two concurrent doors ended a session; the other ends nothing. Rows are
locked in the order user, session, family, outbox. Token rows are never touched: their parents' death is theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app import bell, fanout
from logout_app.models import LogoutEvent
from sessions_app.models import RefreshTokenFamily, SSOSession


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions, of those that have not ended yet."""

    where: Q
    user_pk: int | None = None  # set when everything of one person is meant, sessions or not
    spare: int | None = None
    connection_pk: int | None = None  # set when everything of one connection is meant
    identity_pks: tuple[int, ...] = ()  # set when everything that began through these accounts is meant
    only_overdue: bool = False
    limit: int | None = None

    @classmethod
    def session(cls, pk: int) -> Selection:
        return cls(Q(pk=pk))

    @classmethod
    def sessions(cls, pks: Collection[int]) -> Selection:
        return cls(Q(pk__in=list(pks)))

    @classmethod
    def user(cls, user_pk: int, spare: int | None = None) -> Selection:
        """Everything of one person, except the session `spare` (the one in which they changed their password)."""
        where = Q(user=user_pk) if spare is None else Q(user=user_pk) & ~Q(pk=spare)
        return cls(where, user_pk=user_pk, spare=spare)

    @classmethod
    def connection(cls, connection_pk: int) -> Selection:
        return cls(Q(connection=connection_pk), connection_pk=connection_pk)

    @classmethod
    def identities(cls, pks: Collection[int]) -> Selection:
        """What one person began through these accounts of theirs; what they began through others stays."""
        return cls(Q(identity__in=list(pks)), identity_pks=tuple(pks))

    @classmethod
    def overdue(cls, limit: int) -> Selection:
        """Past their idle or absolute limit; at most `limit`, oldest first."""
        return cls(Q(), only_overdue=True, limit=limit)

    @property
    def whole_user(self) -> bool:
        return self.user_pk is not None and self.spare is None

    def live_rows(self, at: datetime) -> QuerySet[SSOSession]:
        """What would end: not ended yet; lockable, in one order for everybody."""
        rows = SSOSession.objects.filter(self.where, ended_at=None)
        if self.only_overdue:
            rows = rows.filter(Q(expires_at__lte=at) | Q(idle_expires_at__lte=at))
        # No key lock: the foreign keys of tokens that are written meanwhile would wait for it, and this for their family.
        rows = rows.order_by("pk").select_for_update(no_key=True)
        return rows[: self.limit] if self.limit is not None else rows


@dataclass(frozen=True, slots=True)
class Ended:
    """What one call did. No event: there was nothing to end."""

    event: LogoutEvent | None
    session_pks: list[int]
    told: int = 0  # deliveries that were planned


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
    page: bool = False,
) -> Ended:
    """End the selected sessions and plan who is told, in one transaction (joins the caller's if there is one).

    `offline_tokens`: offline refresh tokens die too (Global Token Revocation, an administrator's revoke, deactivation).
    Session-bound ones die with their session anyway. `page`: a browser shows the sign-out page next, so front channels
    are planned as well.
    """
    with transaction.atomic():
        if offline_tokens and selection.whole_user:
            _raise_not_before(selection, at)
        ended = _end_rows(selection, initiator, actor, at)
        families = _revoke_families(selection, ended, initiator, at) if offline_tokens else 0
        if not ended and not families:
            return Ended(None, [])
        event = _record(selection, ended, families, initiator, actor, at)
        pks = [row.pk for row in ended]
        told = fanout.plan(event, pks, at=at, page=page)
        fanout.record_ends(event, pks)
        if told:
            transaction.on_commit(bell.ring)
    return Ended(event, pks, told)


def _raise_not_before(selection: Selection, at: datetime) -> None:
    """Everything of the person that began until now is dead, also what a concurrent request is about to commit."""
    users = User.objects.filter(pk__in=[selection.user_pk])
    users.filter(Q(revoked_before=None) | Q(revoked_before__lt=at)).update(revoked_before=at)


def _end_rows(selection: Selection, initiator: Initiator, actor: str, at: datetime) -> list[_EndedSession]:
    """The rows that this call ended, and nobody else did.

    The chosen rows are a materialized CTE: in a plain subquery PostgreSQL may run the LIMIT more than once.
    """
    chosen, params = selection.live_rows(at).values("pk").query.get_compiler(connection=connection).as_sql()
    table, users = (connection.ops.quote_name(model._meta.db_table) for model in (SSOSession, User))
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH chosen (id) AS MATERIALIZED ({chosen}) "  # noqa: S608
            f"UPDATE {table} SET ended_at = %s, end_initiator = %s, end_actor = %s "
            "WHERE id IN (SELECT id FROM chosen) AND ended_at IS NULL "
            f"RETURNING id, user_id, (SELECT person.user_id FROM {users} person WHERE person.id = {table}.user_id)",
            [*params, connection.ops.adapt_datetimefield_value(at), initiator.value, actor],
        )
        return [_EndedSession(*row) for row in cursor.fetchall()]


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


def _record(
    selection: Selection,
    ended: list[_EndedSession],
    families: int,
    initiator: Initiator,
    actor: str,
    at: datetime,
) -> LogoutEvent:
    subs = {row.user_pk: row.sub for row in ended}
    if not subs and selection.user_pk is not None:
        subs = {selection.user_pk: fanout.sub_of(selection.user_pk)}
    person: tuple[int | None, str] = next(iter(subs.items())) if len(subs) == 1 else (None, "")
    event = LogoutEvent(
        at=at,
        initiator=initiator.value,
        actor=actor,
        user_id=person[0],
        sub=person[1],
        sessions_ended=len(ended),
        families_revoked=families,
    )
    event.save(force_insert=True)
    return event
