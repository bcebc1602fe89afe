"""Lines of the audit trail by the ORM: one by itself (`record`), or one that an act writes with other rows (`line`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ParamSpec

from idp.database.guarded import insert
from idp.http.requests import RequestFacts
from idp.models import Application, Connection, User
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent, SSOSession

P = ParamSpec("P")


def line(
    event: EventType,
    *,
    at: datetime,
    facts: RequestFacts | None = None,
    session: SSOSession | None = None,
    user: User | None = None,
    sub: str = "",
    application: Application | None = None,
    connection: Connection | None = None,
    initiator: str = "",
    actor: str = "",
    data: Mapping[str, Any] | None = None,
) -> SessionEvent:
    """Not written yet. The session, if given, names user and connection. `sub`: of a person whose row is not at hand."""
    if session is not None:
        user, connection = user or session.user, connection or session.connection
    return SessionEvent(
        at=at,
        type=event.value,
        sid=session.sid if session else "",
        sub=user.user_id if user else sub,
        client_id=application.client_id if application else "",
        connection=connection.name if connection else "",
        initiator=initiator,
        actor=actor,
        ip=facts.ip if facts else None,
        user_agent=facts.user_agent if facts else "",
        data=dict(data or {}),
    )


def _written(build: Callable[P, SessionEvent]) -> Callable[P, None]:
    def record(*args: P.args, **kwargs: P.kwargs) -> None:
        insert(build(*args, **kwargs))

    return record


# Writes one line, in the transaction that is open: it stands if what it tells of does.
record = _written(line)
