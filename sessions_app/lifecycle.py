"""A session opens, applications join it, it is seen, it is proved again: one act each. It ends at the door only.

Each act but `touch` writes one SessionEvent. `at` is the moment of the act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ParamSpec

from django.core.exceptions import PermissionDenied

from idp import configuration
from idp.models import Application, Connection, Identity, TenantSettings, User
from idp.protocol.opaque import digest, new_secret
from idp.requests import RequestFacts
from sessions_app.binding import limits
from sessions_app.models import AuthorizationCode, SessionClient, SessionEvent, SSOSession
from sessions_app.writes import Change, Guard, Row, insert, update_guard, write

TOUCH_EVERY = timedelta(minutes=1)
UPSTREAM_ENDS = (
    "session_expires_at"  # in `upstream`: when the session upstream ends, in ISO 8601; ours ends by then too
)
Amr = Sequence[Mapping[str, str]]
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the value of the cookie that holds it, which is stored nowhere."""

    session: SSOSession
    cookie: str


def open_session(
    user: User,
    *,
    connection: Connection | None,
    identity: Identity | None,
    amr: Amr,
    facts: RequestFacts,
    at: datetime,
    upstream_sid: str = "",
    upstream: Mapping[str, Any] | None = None,
    tenant: TenantSettings | None = None,
) -> Opened:
    """Begin a session; PermissionDenied if the person was blocked or the account revoked meanwhile. `amr` as [{"name": "pwd", "timestamp": "..."}]; `upstream` is what logout upstream will need."""
    expires_at, idle_expires_at = limits(tenant or configuration.current().tenant, auth_time=at, seen_at=at)
    expires_at = _capped(expires_at, upstream)
    cookie = new_secret()
    session = SSOSession(
        cookie_hash=digest(cookie),
        user=user,
        connection=connection,
        identity=identity,
        created_at=at,
        auth_time=at,
        amr=list(amr),
        last_seen_at=at,
        idle_expires_at=idle_expires_at,
        expires_at=expires_at,
        initial_ip=facts.ip,
        initial_user_agent=facts.user_agent,
        last_ip=facts.ip,
        last_user_agent=facts.user_agent,
        upstream_sid=upstream_sid,
        upstream=dict(upstream or {}),
    )
    opened = _event("opened", session=session, facts=facts, at=at, data={"amr": [method["name"] for method in amr]})
    begun = [Row("session", session, after="identity" if identity else ""), Row("event", opened, after="session")]
    if "session" not in write(_signs_in(user, at), [*_signs_in_through(identity, at), *begun]):
        raise PermissionDenied("this person was blocked, or the account revoked meanwhile")
    user.last_login = at
    return Opened(session, cookie)


def reauthenticate(
    session: SSOSession,
    *,
    amr: Amr,
    facts: RequestFacts,
    at: datetime,
    upstream_sid: str = "",
    upstream: Mapping[str, Any] | None = None,
    tenant: TenantSettings | None = None,
) -> Opened | None:
    """The same person proved again who they are: same `sid`, new `auth_time`, new cookie; the old cookie is dead.

    The absolute lifetime begins anew. None: the session ended meanwhile.
    """
    expires_at, idle_expires_at = limits(tenant or configuration.current().tenant, auth_time=at, seen_at=at)
    expires_at = _capped(expires_at, upstream or session.upstream)
    cookie = new_secret()
    changes: dict[str, Any] = {
        "cookie_hash": digest(cookie),
        "auth_time": at,
        "amr": list(amr),
        "last_seen_at": at,
        "idle_expires_at": idle_expires_at,
        "expires_at": expires_at,
        "last_ip": facts.ip,
        "last_user_agent": facts.user_agent,
    }
    if upstream_sid or upstream:
        changes |= {"upstream_sid": upstream_sid, "upstream": dict(upstream or {})}
    renewed = _event(
        "reauthenticated", session=session, facts=facts, at=at, data={"amr": [method["name"] for method in amr]}
    )
    written = write(
        _signs_in(session.user, at),
        [
            Change("session", update_guard(SSOSession, session.pk, where={"ended_at": None}, **changes)),
            Row("event", renewed, after="session"),
            *_last_login(session.identity_id, at),
        ],
    )
    if "session" not in written:
        return None
    for name, value in changes.items():
        setattr(session, name, value)
    return Opened(session, cookie)


def _signs_in(user: User, at: datetime) -> Guard:
    """Begins with the person's row, which everybody locks first. Of `last_login` reset links that were sent before die."""
    return update_guard(User, user.pk, where={"is_active": True}, last_login=at)


def _signs_in_through(identity: Identity | None, at: datetime) -> list[Change]:
    """Nothing, if the account was revoked since its row was read: no other column would say so of the new session."""
    if identity is None:
        return []
    unrevoked = {"revoked_before": identity.revoked_before}
    return [Change("identity", update_guard(Identity, identity.pk, where=unrevoked, last_login_at=at))]


def _last_login(identity: int | None, at: datetime) -> list[Change]:
    if identity is None:
        return []
    return [Change("identity", update_guard(Identity, identity, where={}, last_login_at=at))]


def join(session: SSOSession, application: Application, *, facts: RequestFacts, at: datetime) -> bool:
    """The application takes part from now on and will hear of the session's end. True: for the first time.

    The session's row is locked first, so that the door sees this participant or this act sees the end (then nothing is
    written, and False). An application that was the last to join costs no statement.
    """
    if session.last_application_id == application.pk:
        return False
    return "client" in _join(session, application, facts, at)


def join_for(code: AuthorizationCode, session: SSOSession, *, facts: RequestFacts, at: datetime) -> bool:
    """The application joins and gets this code, in one act. False: the session ended meanwhile, nothing was written."""
    if session.last_application_id == code.application_id:
        insert(code)
        return True
    return bool(_join(session, code.application, facts, at, Row("code", code)))


def _join(
    session: SSOSession, application: Application, facts: RequestFacts, at: datetime, *further: Row
) -> dict[str, int]:
    client = SessionClient(session_id=session.pk, application_id=application.pk, joined_at=at)
    joined = _event("joined", session=session, application=application, facts=facts, at=at)
    written = write(
        update_guard(SSOSession, session.pk, where={"ended_at": None}, last_application=application.pk),
        [
            Row("client", client, once=("session_id", "application_id")),
            Row("event", joined, after="client"),
            *further,
        ],
    )
    if written:
        session.last_application = application
    return written


def touch(session: SSOSession, facts: RequestFacts, at: datetime) -> None:
    """The session was used: its idle limit moves. Written at most once a minute; never past the absolute limit."""
    if at - session.last_seen_at < TOUCH_EVERY:
        return
    version: int | None = getattr(session, "config_version", None)
    snapshot = configuration.current() if version is None else configuration.at(version)
    expires_at, idle_expires_at = limits(snapshot.tenant, auth_time=session.auth_time, seen_at=at)
    changes: dict[str, Any] = {
        "last_seen_at": at,
        "idle_expires_at": idle_expires_at,
        "expires_at": min(session.expires_at, expires_at),
        "last_ip": facts.ip,
        "last_user_agent": facts.user_agent,
    }
    SSOSession.objects.filter(pk=session.pk, ended_at=None, last_seen_at__lte=at - TOUCH_EVERY).update(**changes)
    for name, value in changes.items():
        setattr(session, name, value)


def _capped(expires_at: datetime, upstream: Mapping[str, Any] | None) -> datetime:
    ends_at = (upstream or {}).get(UPSTREAM_ENDS)
    return min(expires_at, datetime.fromisoformat(ends_at)) if ends_at else expires_at


def _event(
    type: str,
    *,
    at: datetime,
    facts: RequestFacts | None = None,
    session: SSOSession | None = None,
    user: User | None = None,
    application: Application | None = None,
    connection: Connection | None = None,
    initiator: str = "",
    actor: str = "",
    data: Mapping[str, Any] | None = None,
) -> SessionEvent:
    """One line of the audit trail, for `record()` to write; the session, if given, names user and connection."""
    if session is not None:
        user, connection = user or session.user, connection or session.connection
    return SessionEvent(
        at=at,
        type=type,
        sid=session.sid if session else "",
        sub=user.user_id if user else "",
        client_id=application.client_id if application else "",
        connection=connection.name if connection else "",
        initiator=initiator,
        actor=actor,
        ip=facts.ip if facts else None,
        user_agent=facts.user_agent if facts else "",
        data=dict(data or {}),
    )


def _stored(build: Callable[P, SessionEvent]) -> Callable[P, None]:
    def record(*args: P.args, **kwargs: P.kwargs) -> None:
        insert(build(*args, **kwargs))

    return record


record = _stored(_event)
