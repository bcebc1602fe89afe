"""A test sign-out: what a worker would post to an application, once, about a session and a person that there never were. An
application with a command endpoint is asked which commands it takes, which is about nobody either.

It goes the way of every delivery (route, token, transport, verdict), and leaves no row: it ends nothing, is nobody's
evidence, and counts towards no breaker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from idp import outbound
from idp.models import Application
from idp.outbound.many import Fanout
from idp.protocol.initiators import EVERY
from idp.protocol.opaque import new_secret
from idp.tenants import configuration
from logout_app.delivery import deliver
from logout_app.delivery.channels import backchannel, command, gtr
from logout_app.delivery.channels.applications import url_of
from logout_app.delivery.channels.registry import BY_NAME
from logout_app.delivery.outbox import Claimed, Result
from logout_app.delivery.receiver import of_application
from logout_app.models import Channel
from logout_app.protocol import trial
from logout_app.protocol.commands import Command, about
from logout_app.protocol.preflight import PreflightFinding
from logout_app.protocol.retry import Outcome

NOBODY = "test|"  # how the subject of a test begins: no person's does
Meaning = Callable[[Outcome, int | None, str], PreflightFinding]
MEANINGS: Mapping[Channel, Meaning] = {
    Channel.BACKCHANNEL: trial.back_channel,
    Channel.GTR: trial.revocation,
    Channel.COMMAND: trial.commands,
}
FIELDS: Mapping[Channel, str] = {
    Channel.BACKCHANNEL: backchannel.FIELD,
    Channel.GTR: gtr.FIELD,
    Channel.COMMAND: command.FIELD,
}


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What came back by one channel. `sub` and `sid` are what the application may find in its own log."""

    channel: str
    url: str
    finding: PreflightFinding
    answer: str
    seconds: float
    jti: str
    sub: str
    sid: str


def channels(application: Application) -> list[Channel]:
    """Those by which a worker could tell it."""
    return [channel for channel in MEANINGS if url_of(application, FIELDS[channel])]


def run(application: Application, at: datetime) -> list[TrialReport]:
    """One request for each channel, each answered within `CURFEW_DELIVERY_TIMEOUT`. Not within an event loop."""
    return [_report(application, row, _send(row, at)) for row in _rows(application, at)]


def _rows(application: Application, at: datetime) -> Iterator[Claimed]:
    version = configuration.current().version
    initiator = next((one for one in EVERY if application.hears_of(one)), EVERY[0])
    sub, sid = f"{NOBODY}{new_secret()[:16]}", new_secret()
    for channel in channels(application):
        yield Claimed(
            id=0,
            fence=0,
            attempts=1,
            receiver=of_application(application.pk),
            application_id=application.pk,
            client_id=application.client_id,
            sub=sub,
            sid="" if BY_NAME[channel].of_person else sid,
            channel=channel,
            created_at=at,
            last_status=None,
            initiator=about(Command.METADATA) if channel is Channel.COMMAND else initiator,
            config_version=None if version < 0 else version,
        )


def _send(row: Claimed, at: datetime) -> Result:
    prepared = deliver.prepare([row], at)
    if prepared.results:
        return prepared.results[0]
    if prepared.sealed:
        return Result(row, Outcome.UNPROCESSABLE, next(iter(prepared.sealed.values())), at, at)
    return asyncio.run(_post(prepared.jobs[0]))


async def _post(job: deliver.Job) -> Result:
    async with Fanout(outbound.rules(), timeout=settings.DELIVERY_TIMEOUT) as fanout:
        return (await deliver.send(job, fanout)).result


def _report(application: Application, row: Claimed, result: Result) -> TrialReport:
    channel, meaning = BY_NAME[row.channel], MEANINGS[Channel(row.channel)]
    stored = url_of(application, FIELDS[Channel(row.channel)])
    return TrialReport(
        channel.title,
        result.url or stored,
        meaning(result.outcome, result.status, result.reason),
        result.reason,
        (result.ended_at - result.started_at).total_seconds(),
        result.jti,
        row.sub,
        row.sid,
    )
