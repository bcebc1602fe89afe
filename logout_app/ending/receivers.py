"""Signals from below -> the door. One table says what each of them ends."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.dispatch import Signal

from idp import signals
from idp.models import Connection, Identity, PasswordChange, User
from idp.protocol.initiators import Initiator
from idp.tenants import configuration
from logout_app.ending.end import Selection, end_sessions


@dataclass(frozen=True, slots=True)
class Reaction:
    """`keeps_acting_session`: the session in which the person did it stays, if the sender names it (`user.spared_session`, its pk)."""

    signal: Signal
    initiator: Initiator
    offline_tokens: bool
    keeps_acting_session: bool = False


REACTIONS = (
    #        signal                       why, for the applications            offline tokens die   spares
    Reaction(signals.password_changed, Initiator.PASSWORD_CHANGED, True, True),
    Reaction(signals.address_proved, Initiator.SESSION_REVOKED, True),
    Reaction(signals.email_changed, Initiator.EMAIL_IDENTIFIER_CHANGED, False, True),
    Reaction(signals.mfa_removed, Initiator.MFA_PHONE_UNENROLLED, False, True),
    Reaction(signals.user_blocked, Initiator.ACCOUNT_DEACTIVATED, True),
    Reaction(signals.user_deleted, Initiator.ACCOUNT_DELETED, True),
    Reaction(signals.connection_disabled, Initiator.SESSION_REVOKED, True),
    Reaction(signals.identity_moved, Initiator.SESSION_REVOKED, True),
)


def connect() -> None:
    for reaction in REACTIONS:
        reaction.signal.connect(_receiver(reaction), weak=False, dispatch_uid=f"the door: {reaction.initiator}")


def _receiver(reaction: Reaction) -> Callable[..., None]:
    by_signal: dict[Signal, Callable[..., None]] = {
        signals.connection_disabled: _of_connection,
        signals.identity_moved: _of_identity,
    }
    return functools.partial(by_signal.get(reaction.signal, _of_user), reaction)


def _of_connection(reaction: Reaction, *, connection: Connection, actor: str, at: datetime, **_: Any) -> None:
    selection = Selection.connection(connection.pk)
    end_sessions(selection, initiator=reaction.initiator, actor=actor, at=at, offline_tokens=reaction.offline_tokens)


def _of_identity(reaction: Reaction, *, identity: Identity, actor: str, at: datetime, **_: Any) -> None:
    selection = Selection.identities([identity.pk])
    end_sessions(selection, initiator=reaction.initiator, actor=actor, at=at, offline_tokens=reaction.offline_tokens)


def _of_user(reaction: Reaction, *, user: User, actor: str, at: datetime, **said: Any) -> None:
    if reaction.signal is signals.password_changed and not _password_ends_sessions(said["why"]):
        return
    except_session: int | None = getattr(user, "acting_session", None) if reaction.keeps_acting_session else None
    selection = Selection.user(user.pk, except_session=except_session)
    end_sessions(selection, initiator=reaction.initiator, actor=actor, at=at, offline_tokens=reaction.offline_tokens)
    if selection.whole_user and reaction.offline_tokens:
        user.revoked_before = at  # a later save() of this instance must not write the old mark back


def _password_ends_sessions(why: PasswordChange) -> bool:
    return why.is_nobodys or configuration.current().tenant.password_change_ends_other_sessions


connect()
