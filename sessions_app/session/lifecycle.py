"""A session opens, applications join it, it is seen, it is proved again: one act each. It ends at the door only.

Each act but `touch` writes one line of the audit trail. `at` is the moment of the act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied

from idp.database.guarded import Change, Guard, Row, insert, update_guard, write
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.limits.limiter import Reservation
from idp.models import Application, Connection, Identity, TenantSettings, User
from idp.protocol.opaque import digest, new_secret
from idp.tenants import configuration
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import AuthorizationCode, SamlSubject, SessionClient, SSOSession
from sessions_app.session.binding import limits
from sessions_app.session.writes import while_connection_is_enabled, while_key_is_kept

TOUCH_EVERY = timedelta(minutes=1)
UPSTREAM_ENDS = (
    "session_expires_at"  # in `upstream`: when the session upstream ends, in ISO 8601; ours ends by then too
)
Amr = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the value of the cookie that holds it, which is stored nowhere."""

    session: SSOSession
    cookie: str


class OpenedAlready(Exception):
    """A session with this cookie is there: the same form was sent twice."""


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
    code_for: Callable[[SSOSession], AuthorizationCode | None] | None = None,
    attempt: Reservation | None = None,
    password: str | None = None,
    cookie: str = "",
    known_device: bool = False,
    remembered_until: datetime | None = None,
    passkey: int | None = None,
) -> Opened:
    """Begin a session; PermissionDenied if person, account or connection may not any more.

    `amr` as [{"name": "pwd", "timestamp": "..."}]; `upstream` is what logout upstream will need.
    `code_for` is asked, before anything is written, for the code of the application that waits for this session: it
    joins in the same act. `attempt` is what was reserved for the password: it is given back in this act. `password` is
    the stored hash by which the person proved who they are, if they did: it must still be theirs. `cookie`: a secret that
    only this sign-in of this browser can have, a random one by default; OpenedAlready if it was used. `known_device`: the
    account signed in from this browser before; a line of the trail says so, and who is told of new devices reads it there.
    `passkey`: the key of the one that was proved; it must still be there.
    """
    expires_at, idle_expires_at = limits(tenant or configuration.current().tenant, auth_time=at, seen_at=at)
    expires_at = _capped(expires_at, upstream)
    cookie = cookie or new_secret()
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
        remembered_until=remembered_until,
    )
    told = {"known_device": known_device, "remembered": remembered_until is not None}
    data = {**_proved_by(amr), **{name: True for name, holds in told.items() if holds}}
    opened = trail.line(EventType.OPENED, session=session, facts=facts, at=at, data=data)
    begun: list[Change | Row] = [
        Row("session", session, once=("cookie_hash",), after="identity" if identity else ""),
        Row("event", opened, after="session"),
    ]
    if code_for is not None and (code := code_for(session)) is not None:
        session.last_application = code.application
        begun += _takes_part(session, code.application, facts, at, code, is_new=True)
    if attempt is not None:  # last: these rows are everybody's, and nobody shall wait for them long
        slots = limiter.giving_back(attempt)
        begun += [Change(f"slot{number}", Guard(*slot), after="session") for number, slot in enumerate(slots)]
    guard = _signs_in(user, at, password, passkey)
    if connection is not None:
        guard = while_connection_is_enabled(guard, connection.pk)
    written = write(guard, [*_signs_in_through(identity, at), *begun])
    if ("identity" if identity else "guard") not in written:
        raise PermissionDenied("this person was blocked, the account revoked, or the connection closed meanwhile")
    if "session" not in written:
        raise OpenedAlready
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
    cookie: str = "",
    proved_at: datetime | None = None,
    remembered_until: datetime | None = None,
    passkey: int | None = None,
) -> Opened | None:
    """The same person proved again who they are: same `sid`, new `auth_time`, new cookie; the old cookie is dead.

    The absolute lifetime begins anew. None: the session ended meanwhile. `cookie` and `passkey`: as for `open_session`. `proved_at`: when
    they did, if not now; an answer from upstream may rest on what was proved there before.
    """
    proved_at = proved_at or at
    expires_at, idle_expires_at = limits(tenant or configuration.current().tenant, auth_time=proved_at, seen_at=at)
    expires_at = _capped(expires_at, upstream or session.upstream)
    cookie = cookie or new_secret()
    changes: dict[str, Any] = {
        "cookie_hash": digest(cookie),
        "auth_time": proved_at,
        "amr": list(amr),
        "remembered_until": remembered_until,
        "last_seen_at": at,
        "idle_expires_at": idle_expires_at,
        "expires_at": expires_at,
        "last_ip": facts.ip,
        "last_user_agent": facts.user_agent,
    }
    if upstream_sid or upstream:
        changes |= {"upstream_sid": upstream_sid, "upstream": dict(upstream or {})}
    renewed = trail.line(EventType.REAUTHENTICATED, session=session, facts=facts, at=at, data=_proved_by(amr))
    written = write(
        _signs_in(session.user, at, passkey=passkey),
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


def _signs_in(user: User, at: datetime, password: str | None = None, passkey: int | None = None) -> Guard:
    """Begins with the person's row, which everybody locks first. Of `last_login` reset links that were sent before die."""
    unchanged = {} if password is None else {"password": password}
    guard = update_guard(User, user.pk, where={"is_active": True, **unchanged}, last_login=at)
    return guard if passkey is None else while_key_is_kept(guard, passkey)


def _signs_in_through(identity: Identity | None, at: datetime) -> list[Change]:
    """Nothing, if the account was revoked, or given to somebody else, since its row was read."""
    if identity is None:
        return []
    unchanged = {"revoked_before": identity.revoked_before, "user": identity.user_id}
    return [Change("identity", update_guard(Identity, identity.pk, where=unchanged, last_login_at=at))]


def _last_login(identity: int | None, at: datetime) -> list[Change]:
    if identity is None:
        return []
    return [Change("identity", update_guard(Identity, identity, where={}, last_login_at=at))]


def join(session: SSOSession, application: Application, *, facts: RequestFacts, at: datetime) -> bool:
    """The application takes part from now on and will hear of the session's end. True: for the first time.

    The session's row is locked first, so that the door sees this session client or this act sees the end (then nothing is
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
    return bool(_join(session, code.application, facts, at, code))


def join_with(fact: SamlSubject, session: SSOSession, *, facts: RequestFacts, at: datetime) -> bool:
    """The application joins, and this is written of it unless something was before, in one act. False: the session ended
    meanwhile, nothing was written.

    Also for one that joined before: what it gets is worth something by itself, so that only a session that lives now gives it.
    """
    written = write(
        update_guard(SSOSession, session.pk, where={"ended_at": None}, last_application=fact.application_id),
        [
            *_takes_part(session, fact.application, facts, at, None),
            Row("fact", fact, once=("session_id", "application_id")),
        ],
    )
    if written:
        session.last_application = fact.application
    return bool(written)


def _join(
    session: SSOSession,
    application: Application,
    facts: RequestFacts,
    at: datetime,
    code: AuthorizationCode | None = None,
) -> dict[str, int]:
    written = write(
        update_guard(SSOSession, session.pk, where={"ended_at": None}, last_application=application.pk),
        _takes_part(session, application, facts, at, code),
    )
    if written:
        session.last_application = application
    return written


def _takes_part(
    session: SSOSession,
    application: Application,
    facts: RequestFacts,
    at: datetime,
    code: AuthorizationCode | None,
    *,
    is_new: bool = False,
) -> list[Row]:
    """What is written of an application that joins. A session that `is_new` is the row "session" of the same act."""
    links, after = ({"session_id": "session"}, "session") if is_new else ({}, "")
    client = SessionClient(session_id=session.pk, application_id=application.pk, joined_at=at)
    joined = trail.line(EventType.JOINED, session=session, application=application, facts=facts, at=at)
    rows = [
        Row("client", client, links, once=("session_id", "application_id"), after=after),
        Row("joined", joined, after="client"),
    ]
    return [*rows, Row("code", code, links, after=after)] if code else rows


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


def _proved_by(amr: Amr) -> dict[str, list[str]]:
    return {"amr": [method["name"] for method in amr]}
