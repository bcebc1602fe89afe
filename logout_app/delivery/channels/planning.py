"""Who is told of an end: the one INSERT that plans all channels' rows, composed from the table, and the same rule in Python.

One SELECT reads the applications that joined: each is told by the first channel that has no SELECT of its own, or is told by
such a SELECT of this act, or gets a row that says why nobody tells it. So whoever joined is in the story of the end.
"""

from __future__ import annotations

from functools import cache

from idp.models import Application, User
from logout_app.delivery.channels.base import DeliveryChannel, Hearing, Listener, Occasion
from logout_app.delivery.channels.registry import CHANNELS
from logout_app.delivery.receiver import APPLICATION
from logout_app.models import Channel, DeliveryState, LogoutDelivery
from logout_app.protocol import silence
from sessions_app.models import SessionClient, SSOSession

INTO = f"""INSERT INTO {LogoutDelivery._meta.db_table} (
    event_id, session_id, application_id, receiver, client_id, sub, sid, channel, state,
    created_at, due_at, fence, attempts, last_reason, finished_at
)"""
# Braces are filled in by who runs the statement (`fanout`), double ones here.
INSERT = f"""
{INTO}
SELECT {{{{event}}}}, part.session, part.application,
    CASE WHEN part.channel = '{Channel.NONE}' THEN '' ELSE '{APPLICATION}' || part.application END,
    part.client_id, part.sub, part.sid, part.channel,
    CASE WHEN part.channel = '{Channel.NONE}' THEN '{DeliveryState.NOT_TOLD}' ELSE '{DeliveryState.PENDING}' END,
    %(at)s, %(at)s, 0, 0, CASE WHEN part.channel = '{Channel.NONE}' THEN part.why ELSE '' END,
    CASE WHEN part.channel = '{Channel.NONE}' THEN {{{{moment}}}} END
FROM (
    SELECT session.id AS session, application.id AS application, application.client_id, person.user_id AS sub, session.sid,
        {{channel}} AS channel, {{why}} AS why
    FROM {SessionClient._meta.db_table} joined
    JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
    JOIN {User._meta.db_table} person ON person.id = session.user_id
    JOIN {Application._meta.db_table} application ON application.id = joined.application_id
    WHERE joined.session_id {{{{among}}}}
) part
WHERE part.channel IS NOT NULL
{{more}}
RETURNING {{{{is_told}}}}, {{{{is_frame}}}}"""  # noqa: S608  constants only


@cache
def statement(occasion: Occasion) -> str:
    """With braces for `fanout`'s words."""
    used = _used(occasion)
    more = "".join(f"\nUNION ALL{channel.select}" for channel in used if channel.select)
    return INSERT.format(channel=_channel(used), why=_why(), more=more)


def why_not_told(application: Listener, initiator: str, occasion: Occasion) -> str:
    """The reason that the statement would write, or "" if the application is told by any channel."""
    if not application.enabled:
        return silence.DISABLED
    if any(channel.hearing and channel.hearing.is_told(application, initiator) for channel in _used(occasion)):
        return ""
    for hearing in _hearings():
        if hearing.silent and getattr(application, hearing.field):
            return hearing.silent_in_python(initiator)
    return silence.NO_URL


def told_by(application: Listener, initiator: str, occasion: Occasion) -> DeliveryChannel | None:
    """The channel whose row the statement would make of an application that joined, of those that have no SELECT of their own."""
    heard = (channel for channel in _used(occasion) if channel.hearing and not channel.select)
    return next(
        (channel for channel in heard if channel.hearing and channel.hearing.is_told(application, initiator)), None
    )


def _used(occasion: Occasion) -> list[DeliveryChannel]:
    return [channel for channel in CHANNELS if channel.on(occasion)]


def _hearings() -> list[Hearing]:
    return [channel.hearing for channel in CHANNELS if channel.hearing]


def _channel(used: list[DeliveryChannel]) -> str:
    """NULL: a SELECT of its own makes the row."""
    heard = [(channel, channel.hearing.condition) for channel in used if channel.hearing]
    own = [f"WHEN {condition} THEN '{channel.name}'" for channel, condition in heard if not channel.select]
    elsewhere = [f"WHEN {condition} THEN NULL" for channel, condition in heard if channel.select]
    none = f"WHEN NOT application.enabled THEN '{Channel.NONE}'"
    return "\n    ".join(["CASE", none, *own, *elsewhere, f"ELSE '{Channel.NONE}' END"])


def _why() -> str:
    silent = [f"WHEN {hearing.has_url} THEN {hearing.silent}" for hearing in _hearings() if hearing.silent]
    disabled = f"WHEN NOT application.enabled THEN '{silence.DISABLED}'"
    return "\n    ".join(["CASE", disabled, *silent, f"ELSE '{silence.NO_URL}' END"])
