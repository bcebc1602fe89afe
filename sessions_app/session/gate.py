"""Whether somebody may use an application, by where they signed in and by whom it is for. Asked wherever something is issued or told, not only at
/authorize: an administrator who switches a connection off for an application means its tokens too.

They are refused, not revoked: as with a disabled application, what is switched on again works again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from idp.connections.registry import Purpose, usable_for
from idp.directory.admission import is_admitted

if TYPE_CHECKING:
    from idp.models import Application, User
    from idp.tenants.configuration import Snapshot
    from sessions_app.models import SSOSession


def may_use(application: Application, session: SSOSession | None, user: User, snapshot: Snapshot) -> bool:
    """By the connection of the session, alive or not, and by the person. For no statement once the configuration is at hand
    where the application is for everybody; else for one.

    Where the session is not known any more (an offline token that outlived its history), one of the person's connections
    must be enabled for the application.
    """
    return _by_connection(application, session, user, snapshot) and is_admitted(application, user, snapshot)


def _by_connection(application: Application, session: SSOSession | None, user: User, snapshot: Snapshot) -> bool:
    if session is None:
        keys = user.identities.values_list("connection", flat=True)
        return any(_is_open(key, application, snapshot) for key in keys)
    return session.connection_id is None or _is_open(session.connection_id, application, snapshot)


def _is_open(connection_pk: int, application: Application, snapshot: Snapshot) -> bool:
    connection = snapshot.connection_by_pk(connection_pk)
    return connection is not None and usable_for(connection, Purpose.SIGN_IN, application, snapshot)
