"""Acts on a person become rows of the outbox: one for each application that takes commands and that the person was in.

In the transaction of the act. The event names the command, and is no end; a session need not have been there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.dispatch import receiver

from idp import signals
from idp.database import dialect, prepared
from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.delivery import bell
from logout_app.delivery.channels.command import COMMANDS, CONCERNED
from logout_app.delivery.channels.planning import INTO
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol import commands
from logout_app.protocol.commands import Command

# Constants only, here and below.
EVENT = f"""
INSERT INTO {LogoutEvent._meta.db_table} (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
SELECT %(at)s{{timestamptz}}, %(about)s, %(actor)s, min(person.id), min(person.user_id), 0, 0, {{object}}()
{CONCERNED} HAVING count(*) > 0
RETURNING id"""
ROWS = f"""
{INTO}
{COMMANDS}
RETURNING id"""


def of_end(user_pk: int | None, initiator: Initiator, *, ended: bool, actor: str, at: datetime) -> int:
    """Everything of this person ended, or was to. Where nothing was left to end there is nothing to invalidate, but their account
    may have to be suspended all the same."""
    command = commands.of_end(initiator)
    if user_pk is None or (command is Command.INVALIDATE and not ended):
        return 0
    return plan(user_pk, command, actor=actor, at=at)


def plan(user_pk: int, command: Command, *, actor: str, at: datetime) -> int:
    """How many applications will be told."""
    given: dict[str, Any] = {
        "person": user_pk,
        "about": commands.about(command),
        "actor": actor,
        "at": connection.ops.adapt_datetimefield_value(at),
    }
    words = dialect.words() | {"event": "%(event)s"}
    events = prepared.fetch(EVENT.format(**words), given)
    if not events:
        return 0
    rows = prepared.fetch(ROWS.format(**words), {**given, "event": events[0][0]})
    transaction.on_commit(bell.ring)
    return len(rows)


@receiver(signals.user_unblocked, dispatch_uid="commands: let in again by an administrator")
def _unblocked(user: User, actor: str, at: datetime, **_: Any) -> None:
    _let_in(user, actor, at)


@receiver(signals.provisioned, dispatch_uid="commands: let in again by the source")
def _provisioned(user: User | None, act: str, actor: str, at: datetime, **_: Any) -> None:
    if act == "reactivated" and user is not None:
        _let_in(user, actor, at)


def _let_in(user: User, actor: str, at: datetime) -> None:
    """A suspend that somebody did not take is not sent any more, but what it would have ended there has ended here."""
    untaken = LogoutDelivery.objects.commands().filter(
        event__sub=user.user_id,
        event__initiator=commands.about(Command.SUSPEND),
        state__in=(DeliveryState.PENDING, DeliveryState.DEAD),
    )
    if untaken.exists():
        plan(user.pk, Command.INVALIDATE, actor=actor, at=at)
    plan(user.pk, Command.REACTIVATE, actor=actor, at=at)
