"""Who hears of an end, and by which channel: the refresh tokens that die with it, the event, its outbox rows and its lines
of the audit trail.

Set-based: as many statements for one session as for thousands, composed by `idp/database/acts.py`. The text is written here
once, because Django takes longer to write such a SELECT anew than the database takes to run it. In braces is what depends on
the act and what the two databases say differently (`_words`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection

from idp.database import dialect
from idp.database.acts import Act, Gives, Step
from idp.models import Application, Connection, InitiatorMode, User
from logout_app.models import Channel, DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol import silence
from sessions_app.models import RefreshTokenFamily, SessionClient, SessionEvent, SSOSession

FAMILIES = f"""
UPDATE {RefreshTokenFamily._meta.db_table} SET revoked_at = %(at)s, revoke_reason = %(initiator)s
WHERE revoked_at IS NULL AND id IN (
    SELECT id FROM {RefreshTokenFamily._meta.db_table} WHERE revoked_at IS NULL AND ({{which}}) ORDER BY id{{lock}}
)
RETURNING id"""  # noqa: S608  constants only, here and below

# Not written if nothing ended and nothing was revoked.
EVENT = f"""
INSERT INTO {LogoutEvent._meta.db_table} (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
SELECT %(at)s, %(initiator)s, %(actor)s, person.id, coalesce(person.user_id, ''), {{ended}}, {{families}}, {{object}}()
FROM (SELECT 1) act LEFT JOIN {User._meta.db_table} person ON person.id = CAST({{person}} AS bigint)
WHERE {{ended}} > 0 OR {{families}} > 0
RETURNING id, user_id, sub, families_revoked"""  # noqa: S608

# Why an application that joined a session gets no logout token: '' if it gets one (as `Application.hears_of()` says), NULL
# if it is told by another channel of this act. `silence.why()` says the same in Python. The JSON list is compared as text:
# SQLite has no containment operator.
WHY = f"""CASE
    WHEN NOT application.enabled THEN '{silence.DISABLED}'
    WHEN application.backchannel_logout_uri <> '' AND (
        application.backchannel_logout_initiators_mode = '{InitiatorMode.ALL}'
        OR CAST(application.backchannel_logout_initiators AS text) LIKE %(listed)s
    ) THEN ''{{elsewhere}}
    WHEN application.backchannel_logout_uri <> '' THEN %(deaf)s
    WHEN application.frontchannel_logout_uri <> '' THEN '{silence.NO_BROWSER}'
    ELSE '{silence.NO_URL}'
END"""
FRAMED = "\n    WHEN application.frontchannel_logout_uri <> '' AND joined.session_id = %(page)s THEN NULL"
REVOKED = "\n    WHEN application.global_token_revocation_uri <> '' THEN NULL"

# Every application that joined one of the sessions: to be told, or not told and why, as a fact of the moment of the end.
DELIVERIES = f"""
INSERT INTO {LogoutDelivery._meta.db_table} (
    event_id, session_id, application_id, client_id, sub, sid, channel, state,
    created_at, due_at, fence, attempts, last_reason, finished_at
)
SELECT {{event}}, part.session, part.application, part.client_id, part.sub, part.sid,
    CASE WHEN part.why = '' THEN '{Channel.BACKCHANNEL}' ELSE '{Channel.NONE}' END,
    CASE WHEN part.why = '' THEN '{DeliveryState.PENDING}' ELSE '{DeliveryState.NOT_TOLD}' END,
    %(at)s, %(at)s, 0, 0, part.why, CASE WHEN part.why <> '' THEN {{moment}} END
FROM (
    SELECT session.id AS session, application.id AS application, application.client_id, person.user_id AS sub, session.sid,
        {{why}} AS why
    FROM {SessionClient._meta.db_table} joined
    JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
    JOIN {User._meta.db_table} person ON person.id = session.user_id
    JOIN {Application._meta.db_table} application ON application.id = joined.application_id
    WHERE joined.session_id {{among}}
) part
WHERE part.why IS NOT NULL
{{more}}
RETURNING {{is_told}}, {{is_frame}}"""  # noqa: S608

# Of the session whose browser shows the sign-out page, if this act ended it.
FRAMES = f"""
UNION ALL
SELECT {{event}}, session.id, application.id, application.client_id, person.user_id, session.sid, '{Channel.FRONTCHANNEL}',
    '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, '', NULL
FROM {SessionClient._meta.db_table} joined
JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
JOIN {User._meta.db_table} person ON person.id = session.user_id
JOIN {Application._meta.db_table} application ON application.id = joined.application_id
WHERE joined.session_id {{among}} AND joined.session_id = %(page)s AND application.frontchannel_logout_uri <> ''
    AND application.enabled"""  # noqa: S608

# When everything of a person ends: each application that has a Global Token Revocation endpoint and was ever used by the
# person, once, however many sessions there were.
REVOCATIONS = f"""
UNION ALL
SELECT {{event}}, CAST(NULL AS bigint), application.id, application.client_id, person.user_id, '', '{Channel.GTR}',
    '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, '', NULL
FROM {Application._meta.db_table} application
JOIN {User._meta.db_table} person ON person.id = {{person}}
WHERE {{event}} IS NOT NULL AND application.global_token_revocation_uri <> '' AND application.enabled AND (
    EXISTS (
        SELECT 1 FROM {SSOSession._meta.db_table} session
        JOIN {SessionClient._meta.db_table} joined ON joined.session_id = session.id
        WHERE session.user_id = person.id AND joined.application_id = application.id
    ) OR EXISTS (
        SELECT 1 FROM {RefreshTokenFamily._meta.db_table} family
        WHERE family.user_id = person.id AND family.application_id = application.id
    )
)"""  # noqa: S608

TRAIL = f"""
INSERT INTO {SessionEvent._meta.db_table} (
    at, type, sid, sub, client_id, connection, initiator, actor, user_agent, data
)
SELECT %(at)s, 'ended', session.sid, person.user_id, coalesce(application.client_id, ''), coalesce(connection.name, ''),
    %(initiator)s, %(actor)s, '', {{object}}('event', {{event}})
FROM {SSOSession._meta.db_table} session
JOIN {User._meta.db_table} person ON person.id = session.user_id
LEFT JOIN {Application._meta.db_table} application ON application.id = session.last_application_id
LEFT JOIN {Connection._meta.db_table} connection ON connection.id = session.connection_id
WHERE session.id {{among}}"""  # noqa: S608


# What the act says of the sessions if one of them ends in it.
ENDED_HERE = {"among": "= {ended}", "ended": "{ended.count}", "person": "{ended.user_id}"}

# Of each row that is planned: whether somebody is to be told by it, and whether it is a frame of the sign-out page.
PLANNED = {
    "is_told": f"state = '{DeliveryState.PENDING}'",
    "is_frame": f"state = '{DeliveryState.PENDING}' AND channel = '{Channel.FRONTCHANNEL}'",
}


@dataclass(frozen=True, slots=True)
class Families:
    """Which families of refresh tokens die: an SQL condition and what it is given. `NONE_DIE`: offline ones outlive the session."""

    which: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Also:
    """Further rows of the same act: names and SQL, and what it is given beside the act's own values.

    The SQL may say {event}, the event's key or NULL, {then}, if it locks anything, and what else `_words` has.
    """

    statements: tuple[tuple[str, str], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """How many deliveries were planned, and how many of them are frames of the sign-out page."""

    deliveries: int
    frames: int


NONE_DIE, NOTHING, NOBODY = Families(), Also(), Told(0, 0)


def record(
    event: LogoutEvent,
    session_pks: Sequence[int],
    *,
    page: int | None,
    families: Families = NONE_DIE,
    whole_user: bool = False,
    also: Also = NOTHING,
) -> Told:
    """Revoke families, write the event, one row per (session, application, channel) that must hear, and the audit trail.

    The event gets its key, unless there was nothing to write one for. `page`: this session's front-channel rows too.
    `whole_user`: revocation requests too; the event names the person.
    """
    given = {
        **families.given,
        **also.given,
        **_facts(event, page),
        "person": event.user_id,
        "ended": event.sessions_ended,
        "pks": dialect.keys(session_pks),
    }
    act = _act(families.which, page is not None, whole_user, also.statements)
    return _told(event, act.run(given))


def end_and_record(event: LogoutEvent, ending: str, given: Mapping[str, Any], *, page: int | None) -> Told | None:
    """One session ends and all of it is recorded, in one act. The event names the person.

    `ending`: an UPDATE of at most one session that returns `id` and `user_id`. None: it found none, nothing was written.
    """
    found = _act("", page is not None, False, (), ending).run({**given, **_facts(event, page)})
    return None if found["event"] is None else _told(event, found)


def _facts(event: LogoutEvent, page: int | None) -> dict[str, Any]:
    return {
        "at": connection.ops.adapt_datetimefield_value(event.at),
        "initiator": event.initiator,
        "actor": event.actor,
        "listed": f'%"{event.initiator}"%',
        "deaf": silence.deaf(event.initiator),
        "page": page,
    }


def _told(event: LogoutEvent, found: Mapping[str, Any]) -> Told:
    """The event as it was written."""
    event.pk, event.user_id, event.sub, event.families_revoked = found["event"] or (None, None, "", 0)
    event._state.adding = event.pk is None
    return Told(*found["deliveries"])


@cache
def _act(families: str, page: bool, whole_user: bool, also: tuple[tuple[str, str], ...], ending: str = "") -> Act:
    """Families are locked before rows that `also` may wait for, by everybody."""
    words = _words("{families.count}" if families else "0") | (ENDED_HERE if ending else {})
    steps = [Step("ended", ending, columns=("id", "user_id"), gives=Gives.NOTHING)] if ending else []
    if families:
        steps.append(Step("families", _families(families), gives=Gives.NOTHING))
    steps += [
        Step("event", EVENT.format(**words), columns=("id", "user_id", "sub", "families_revoked")),
        Step(
            "deliveries",
            _deliveries(words, page, whole_user),
            columns=tuple(PLANNED),
            gives=Gives.COUNTS,
            needs=("event",),
        ),
        Step("trail", TRAIL.format(**words), gives=Gives.NOTHING, needs=("event",)),
        *(Step(name, sql.format(**words), gives=Gives.NOTHING) for name, sql in also),
    ]
    return Act(*steps)


def _families(which: str) -> str:
    """Locked in one order for everybody, as sessions are."""
    return FAMILIES.format(which=which, lock=dialect.lock("FOR NO KEY UPDATE"))


def _words(families: str) -> dict[str, str]:
    """What is in braces again is for the act: what its steps give."""
    return dialect.words() | {
        "event": "{event}",
        "then": "{then}",
        "families": families,
        "among": dialect.among("pks"),
        "ended": "%(ended)s",
        "person": "%(person)s",
        "moment": f"%(at)s{dialect.cast('timestamptz')}",
    }


def _deliveries(words: Mapping[str, str], page: bool, whole_user: bool) -> str:
    more = (FRAMES.format(**words) if page else "") + (REVOCATIONS.format(**words) if whole_user else "")
    why = WHY.format(elsewhere=(FRAMED if page else "") + (REVOKED if whole_user else ""))
    planned = {name: f"{condition} AS {name}" for name, condition in PLANNED.items()}
    return DELIVERIES.format(**words, **planned, why=why, more=more)
