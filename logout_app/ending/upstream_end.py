"""A session ended upstream, and the identity provider there says so: ours end too, and every application hears of it.

No cookie of the browser is needed for it. An end that happened already is a success (Back-Channel Logout 1.0 section 2.7).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from idp.crypto.spent import spend
from idp.models import Connection
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Ended, Selection, end_sessions
from sessions_app.models import SSOSession


class Replayed(Exception):
    """The message was used before."""


def end_upstream(
    connection: Connection,
    *,
    sub: str = "",
    sid: str = "",
    name_id: str = "",
    indexes: Collection[str] = (),
    at: datetime,
    once: tuple[str, str, str, datetime] | None = None,
) -> Ended:
    """End the sessions of this connection that have this upstream `sid`, or are this account's (`sub`); both, if both are given.

    SAML names them by the `name_id` that the sign-in came with, and the SessionIndexes, if there are any. A session whose sign-in
    came without a name of the session upstream (an ID token without `sid`) may be the one that ended: it ends with its account.

    `once` is (kind, issuer, id, expiry) of the message: it is spent if and only if the end commits, and Replayed is raised
    for one that was spent. Offline tokens stay: it is a logout, not a revocation.
    """
    with transaction.atomic():
        if once is not None:
            kind, issuer, identifier, expires_at = once
            if not spend(kind, issuer, identifier, expires_at=expires_at):
                raise Replayed
        pks = list(_named(connection, sub, sid, name_id, indexes).values_list("pk", flat=True))
        if not pks:
            return Ended(None, [])
        return _end(connection, Selection.sessions(pks), at)


def end_session(connection: Connection, session: SSOSession, *, at: datetime) -> Ended:
    """End this one, which the browser's cookie named."""
    return _end(connection, Selection.session(session.pk), at)


def _end(connection: Connection, selection: Selection, at: datetime) -> Ended:
    return end_sessions(
        selection,
        initiator=Initiator.IDP_LOGOUT,
        actor=f"upstream:{connection.name}",
        at=at,
        offline_tokens=False,
    )


def _named(connection: Connection, sub: str, sid: str, name_id: str, indexes: Collection[str]) -> QuerySet[SSOSession]:
    if not (sub or sid or name_id):
        return SSOSession.objects.none()
    rows = SSOSession.objects.filter(connection=connection, ended_at=None)
    if sub:
        rows = rows.filter(identity__sub=sub)
    if name_id:
        rows = rows.filter(upstream__name_id=name_id)
    named = [*indexes, sid] if sid else [*indexes]
    if not named:
        return rows
    unknown = [""] if sub or name_id else []  # alone, a session's name means the sessions that have it
    return rows.filter(upstream_sid__in=[*named, *unknown])
