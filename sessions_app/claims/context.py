"""What expressions of mappings may speak of: `{user, identity, groups, roles, session, client}`, each loaded if it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from idp.directory import entitlements
from idp.models import Application, User
from idp.protocol.expressions import Lazy
from idp.tenants.configuration import Snapshot
from sessions_app.claims.standard import known_claims
from sessions_app.models import SSOSession

PROFILE = frozenset({"groups"})  # of an account's profile: `groups` are told by the name of their own


@dataclass(frozen=True, slots=True)
class ClaimSubject:
    """Of whom somebody is told, and to whom."""

    application: Application
    user: User
    session: SSOSession | None
    auth_time: datetime | None
    snapshot: Snapshot
    scope: list[str]
    at: datetime


def root_of(subject: ClaimSubject) -> Lazy:
    makers: dict[str, Callable[[], Any]] = {
        "user": lambda: _user(subject.user),
        "identity": lambda: _identity(subject),
        "groups": lambda: groups_of(subject),
        "roles": lambda: roles_of(subject),
        "session": lambda: _session(subject),
        "client": lambda: _client(subject),
    }
    return Lazy(makers)


def groups_of(subject: ClaimSubject) -> list[str]:
    return entitlements.of(subject.user).group_names


def roles_of(subject: ClaimSubject) -> list[str]:
    return [role.name for role in entitlements.roles_of(subject.user, subject.snapshot)]


def _user(user: User) -> dict[str, Any]:
    return {
        **{name: value for name, value in known_claims(user).items() if value not in (None, "")},
        "user_id": user.user_id,
        "created_at": _seconds(user.created_at),
        "user_metadata": user.user_metadata,
        "app_metadata": user.app_metadata,
    }


def _identity(subject: ClaimSubject) -> dict[str, Any]:
    """The account that the session began with. None of it is known where the session is not, any more."""
    identity = subject.session.identity if subject.session else None
    if identity is None:
        return {}
    connection = subject.snapshot.connection_by_pk(identity.connection_id)
    return {
        "connection": connection.name if connection else "",
        "strategy": connection.strategy if connection else "",
        "user_id": identity.sub,
        "login": identity.login or "",
        "email": identity.email,
        "profile": {name: value for name, value in identity.profile.items() if name not in PROFILE},
        "groups": _groups_from(subject, connection.name if connection else ""),
    }


def _groups_from(subject: ClaimSubject, connection: str) -> list[str]:
    return [
        group.name for group in entitlements.of(subject.user).groups if connection and group.connection == connection
    ]


def _session(subject: ClaimSubject) -> dict[str, Any]:
    session = subject.session
    known: dict[str, Any] = {"issued_at": _seconds(subject.at), "auth_time": _seconds(subject.auth_time)}
    if session is None:
        return known
    return known | {
        "id": session.sid,
        "created_at": _seconds(session.created_at),
        "expires_at": _seconds(session.expires_at),
        "methods": [str(entry.get("name", "")) for entry in session.amr],
        "upstream_sid": session.upstream_sid,
    }


def _client(subject: ClaimSubject) -> dict[str, Any]:
    application = subject.application
    return {
        "client_id": application.client_id,
        "name": application.name,
        "app_type": application.app_type,
        "assigned_groups": entitlements.assigned_groups(subject.user, application, subject.snapshot),
    }


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
