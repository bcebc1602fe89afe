"""People whom a directory does not let in any more: their sessions end without waiting for their limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import structlog
from django.db.models import Q

from idp.connections.contract import UpstreamFault
from idp.connections.ldap import watch
from idp.models import Connection, Identity, Strategy
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RefreshTokenFamily, SSOSession

log = structlog.get_logger(__name__)


def end_all(at: datetime) -> int:
    """Ask every directory about the people who have something alive here; returns how many had left.

    A directory that does not answer ends nothing.
    """
    ended = 0
    for connection in Connection.objects.filter(enabled=True, strategy=Strategy.ACTIVE_DIRECTORY):
        try:
            ended += sum(_end_batch(connection, batch, at) for batch in _batches(connection, at))
        except (UpstreamFault, TemporarilyUnavailable) as fault:
            log.warning("leavers.unknown", connection=connection.name, reason=str(fault))
    return ended


def _batches(connection: Connection, at: datetime) -> Iterator[list[Identity]]:
    sessions = SSOSession.objects.live(at).filter(connection=connection).values("identity")
    families = RefreshTokenFamily.objects.filter(revoked_at=None, offline=True)
    begun_here = Q(pk__in=families.values("session__identity"))
    begun_somewhere = Q(user__in=families.filter(session=None).values("user"))
    everybody = Identity.objects.filter(connection=connection).order_by("pk")
    alive = everybody.filter(Q(pk__in=sessions) | begun_here | begun_somewhere)
    last = 0
    while batch := list(alive.filter(pk__gt=last)[: watch.BATCH]):
        last = batch[-1].pk
        yield batch


def _end_batch(connection: Connection, identities: list[Identity], at: datetime) -> int:
    left = watch.departed(connection, identities, at=at)
    for identity, reason in left:
        ended = end_sessions(
            Selection.identities([identity.pk]),
            initiator=Initiator.ACCOUNT_DEACTIVATED,
            actor="system",
            at=at,
            offline_tokens=True,
        )
        log.info("leavers.ended", connection=connection.name, reason=reason, sessions=len(ended.session_pks))
    return len(left)
