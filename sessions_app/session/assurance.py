"""Who needs a second factor where, and whether a session has proved one. Asks nobody: the configuration is at hand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.directory import entitlements, references
from idp.protocol import assurance
from idp.tenants import profile
from sessions_app.protocol import claims

if TYPE_CHECKING:
    from idp.models import Application, Connection
    from idp.tenants.configuration import Snapshot
    from sessions_app.models import SSOSession


def level_of(session: SSOSession) -> int:
    return assurance.level(claims.methods(session.amr))


def missing(
    application: Application | None, session: SSOSession, snapshot: Snapshot, *, spared_at: datetime | None = None
) -> str:
    """Who wants a second factor that this session has not proved, in words for the log; "" if it may go on.

    `spared_at`: now, where a browser that is remembered will do. The admin and devices that are approved want it proved.
    """
    if level_of(session) >= assurance.MULTI or (spared_at and _is_spared(session, snapshot, spared_at)):
        return ""
    return _wanted_by(application, session, snapshot)


def _is_spared(session: SSOSession, snapshot: Snapshot, at: datetime) -> bool:
    until = session.remembered_until
    return until is not None and until > at and profile.remembered_days(snapshot.tenant) > 0


def is_proved_upstream(session: SSOSession) -> bool:
    """Whether a second factor is to be proved where the person signed in: their connection trusts what comes back."""
    connection = session.connection
    if connection is None or connection.strategy not in REDIRECT_PROTOCOLS or connection.silent_since:
        return False
    return connection.options.get("trust_upstream_mfa") is True


def wanted_of_all(application: Application | None, connection: Connection | None, snapshot: Snapshot) -> str:
    """Who wants a second factor of everybody who comes to this application by this connection; "" for nobody."""
    if profile.needs_second_factor(snapshot.tenant):
        return "the tenant wants a second factor"
    if application is not None and application.require_mfa:
        return "the application wants a second factor"
    if connection is not None and connection.options.get("require_mfa") is True:
        return "the connection wants a second factor"
    return ""


def _wanted_by(application: Application | None, session: SSOSession, snapshot: Snapshot) -> str:
    """The person's groups are one statement, and only where the tenant names some."""
    if reason := wanted_of_all(application, session.connection, snapshot):
        return reason
    wanted = references.read(snapshot.tenant.require_mfa_groups)
    if wanted and references.matching(wanted, entitlements.of(session.user).groups):
        return "a group of the person wants a second factor"
    return ""
