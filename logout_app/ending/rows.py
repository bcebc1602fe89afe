"""What is written with an end: the refresh tokens that die with it, the event, its outbox rows (who hears, and by which channel,
is said in `delivery/channels/`) and its lines of the audit trail.

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
from idp.database.acts import Act, ActStep, Gives
from idp.models import Application, Connection, User
from idp.operations.tracing import switch as tracing
from idp.protocol.initiators import heard_as
from logout_app.delivery.channels import planning
from logout_app.delivery.channels.base import Occasion
from logout_app.models import IN_FRAMES, DeliveryState, LogoutEvent
from logout_app.protocol import silence
from sessions_app.audit import sql as audit
from sessions_app.audit.events import EventType, Fact
from sessions_app.models import RefreshTokenFamily, SSOSession

FAMILIES = f"""
UPDATE {RefreshTokenFamily._meta.db_table} SET revoked_at = %(at)s, revoke_reason = %(initiator)s
WHERE revoked_at IS NULL AND id IN (
    SELECT id FROM {RefreshTokenFamily._meta.db_table} WHERE revoked_at IS NULL AND ({{which}}) ORDER BY id{{lock}}
)
RETURNING id"""  # noqa: S608  constants only, here and below

# Not written if nothing ended and nothing was revoked.
EVENT = f"""
INSERT INTO {LogoutEvent._meta.db_table} (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
SELECT %(at)s, %(initiator)s, %(actor)s, person.id, coalesce(person.user_id, ''), {{ended}}, {{families}}, {{object}}({{carried}})
FROM (SELECT 1) act LEFT JOIN {User._meta.db_table} person ON person.id = CAST({{person}} AS bigint)
WHERE {{ended}} > 0 OR {{families}} > 0
RETURNING id, user_id, sub, families_revoked, {{commanded}}"""  # noqa: S608
# Where the act is in a trace, for the workers that go on with it (only where there are traces).
CARRIED = f"'{tracing.KEY}', CAST(%({tracing.KEY})s AS text)"
# Whether it is worth to ask whom a person's end is a command to. In the same statement, for nearly nobody takes commands.
COMMANDED = f"EXISTS (SELECT 1 FROM {Application._meta.db_table} WHERE command_endpoint <> '' AND enabled)"  # noqa: S608

TRAIL = audit.insert(
    EventType.ENDED,
    {
        Fact.SESSION: "session.sid",
        Fact.SUB: "person.user_id",
        Fact.CLIENT: "coalesce(application.client_id, '')",
        Fact.CONNECTION: "coalesce(connection.name, '')",
        Fact.INITIATOR: "%(initiator)s",
        Fact.ACTOR: "%(actor)s",
    },
    data={"event": "{event}"},
    source=f"""
FROM {SSOSession._meta.db_table} session
JOIN {User._meta.db_table} person ON person.id = session.user_id
LEFT JOIN {Application._meta.db_table} application ON application.id = session.last_application_id
LEFT JOIN {Connection._meta.db_table} connection ON connection.id = session.connection_id
WHERE session.id {{among}}""",
)


# What the act says of the sessions if one of them ends in it.
ENDED_HERE = {"among": "= {ended}", "ended": "{ended.count}", "person": "{ended.user_id}"}

_FRAMES = ", ".join(f"'{name}'" for name in IN_FRAMES)
# Of each row that is planned: whether somebody is to be told by it, and whether it is a frame of the sign-out page.
PLANNED = {
    "is_told": f"state = '{DeliveryState.PENDING}'",
    "is_frame": f"state = '{DeliveryState.PENDING}' AND channel IN ({_FRAMES})",
}


@dataclass(frozen=True, slots=True)
class Families:
    """Which families of refresh tokens die: an SQL condition and what it is given. `NO_FAMILIES`: offline ones outlive the session."""

    which: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FurtherRows:
    """Further rows of the same act: names and SQL, and what it is given beside the act's own values.

    The SQL may say {event}, the event's key or NULL, {then}, if it locks anything, and what else `_words` has.
    """

    statements: tuple[tuple[str, str], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """How many deliveries were planned, and how many of them are frames of the sign-out page. `commanded`: the end of everything of
    a person was written down, and there are applications that take commands."""

    deliveries: int
    frames: int
    commanded: bool = False


NO_FAMILIES, NO_FURTHER_ROWS, NO_DELIVERIES = Families(), FurtherRows(), Planned(0, 0)


def record(
    event: LogoutEvent,
    session_pks: Sequence[int],
    *,
    page: int | None,
    families: Families = NO_FAMILIES,
    whole_user: bool = False,
    also: FurtherRows = NO_FURTHER_ROWS,
) -> Planned:
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
    act = _act(families.which, page is not None, whole_user, also.statements, carried=tracing.KEY in given)
    return _planned(event, act.run(given))


def end_and_record(event: LogoutEvent, ending: str, given: Mapping[str, Any], *, page: int | None) -> Planned | None:
    """One session ends and all of it is recorded, in one act. The event names the person.

    `ending`: an UPDATE of at most one session that returns `id` and `user_id`. None: it found none, nothing was written.
    """
    given = {**given, **_facts(event, page)}
    found = _act("", page is not None, False, (), ending, carried=tracing.KEY in given).run(given)
    return None if found["event"] is None else _planned(event, found)


def _facts(event: LogoutEvent, page: int | None) -> dict[str, Any]:
    names = heard_as(event.initiator)
    return {
        "at": connection.ops.adapt_datetimefield_value(event.at),
        "initiator": event.initiator,
        "actor": event.actor,
        "listed": f'%"{names[0]}"%',
        "listed_too": f'%"{names[1]}"%',
        "deaf": silence.deaf(names[0]),
        "page": page,
        **tracing.kept(),
    }


def _planned(event: LogoutEvent, found: Mapping[str, Any]) -> Planned:
    """The event as it was written."""
    written = found["event"] or (None, None, "", 0, False)
    event.pk, event.user_id, event.sub, event.families_revoked, commanded = written
    event._state.adding = event.pk is None
    deliveries, frames = found["deliveries"]
    return Planned(deliveries, frames, bool(commanded))


@cache
def _act(
    families: str,
    page: bool,
    whole_user: bool,
    also: tuple[tuple[str, str], ...],
    ending: str = "",
    *,
    carried: bool,
) -> Act:
    """Families are locked before rows that `also` may wait for, by everybody."""
    words = _words("{families.count}" if families else "0") | (ENDED_HERE if ending else {})
    words["carried"] = CARRIED if carried else ""
    words["commanded"] = f"{COMMANDED if whole_user else 'false'} AS commanded"
    steps = [ActStep("ended", ending, columns=("id", "user_id"), gives=Gives.NOTHING)] if ending else []
    if families:
        steps.append(ActStep("families", _families(families), gives=Gives.NOTHING))
    steps += [
        ActStep("event", EVENT.format(**words), columns=("id", "user_id", "sub", "families_revoked", "commanded")),
        ActStep(
            "deliveries",
            _deliveries(words, page, whole_user),
            columns=tuple(PLANNED),
            gives=Gives.COUNTS,
            needs=("event",),
        ),
        ActStep("trail", TRAIL.format(**words), gives=Gives.NOTHING, needs=("event",)),
        *(ActStep(name, sql.format(**words), gives=Gives.NOTHING) for name, sql in also),
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
    planned = {name: f"{condition} AS {name}" for name, condition in PLANNED.items()}
    return planning.statement(Occasion(page, whole_user)).format(**words, **planned)
