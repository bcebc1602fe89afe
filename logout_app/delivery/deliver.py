"""One delivery: its channel says where it goes, what is posted and what the answer means; here it is posted."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from idp.crypto import sealing
from idp.database.outage import OUTAGES
from idp.operations.tracing import switch as tracing
from idp.outbound.many import Fanout, Reply
from idp.tenants import configuration
from logout_app.delivery import turns
from logout_app.delivery.aside import described
from logout_app.delivery.channels.base import Message, NothingToTell, Route, Router
from logout_app.delivery.channels.registry import dispatch_of
from logout_app.delivery.outbox import Claimed, Result
from logout_app.protocol import retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    claimed: Claimed
    route: Route

    @property
    def in_order(self) -> bool:
        return dispatch_of(self.claimed.channel).in_order


@dataclass(frozen=True, slots=True)
class Sent:
    """A result, and what it says about the receiver's health."""

    result: Result
    decision: Decision


@dataclass(slots=True)
class Prepared:
    """What to send, what came of rows that are not sent, and receivers whose signing key cannot be unsealed: why."""

    jobs: list[Job] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    sealed: dict[str, str] = field(default_factory=dict)


def prepare(rows: Sequence[Claimed], at: datetime) -> Prepared:
    """Each row by itself: no configuration of one receiver keeps the others from hearing. In the database's thread."""
    prepared = Prepared()
    waiting = turns.blocked(rows, at)
    routers = _routers(rows)
    for row in rows:
        if row.id in waiting:
            prepared.results.append(postponed(row, waiting[row.id], at))
            continue
        try:
            _prepare(row, at, prepared, routers[row.channel])
        except OUTAGES:
            raise
        except sealing.CannotUnseal as error:
            prepared.sealed[row.receiver] = str(error)
        except Exception as error:
            log.exception("logout.delivery.failed", delivery=row.id)
            prepared.results.append(failed(row, described(error), at, timezone.now()))
    return prepared


def _routers(rows: Sequence[Claimed]) -> dict[str, Router]:
    """By channel. What cannot be read of all rows at once is read of each by itself, so that one of them keeps no other back."""
    by_channel: dict[str, list[Claimed]] = defaultdict(list)
    for row in rows:
        by_channel[row.channel].append(row)
    found: dict[str, Router] = {}
    for channel, ours in by_channel.items():
        dispatch = dispatch_of(channel)
        found[channel] = dispatch.route
        if dispatch.of_claim is not None:
            try:
                found[channel] = dispatch.of_claim(ours)
            except OUTAGES:
                raise
            except Exception as error:
                log.exception("logout.drain.reads_one_by_one", channel=channel, error=described(error))
    return found


def _prepare(row: Claimed, at: datetime, prepared: Prepared, router: Router) -> None:
    try:
        route = router(row, configuration.at(row.config_version))
    except NothingToTell as reason:
        prepared.results.append(Result(row, Outcome.DROPPED, str(reason), at, at))
    else:
        prepared.jobs.append(Job(row, route))


async def send(job: Job, fanout: Fanout) -> Sent:
    """One attempt with a fresh token, classified. Never raises for what the application does."""
    if (traces := tracing.traces) is None:
        return await _send(job, fanout)
    row = job.claimed
    with traces.attempt(f"tell {row.channel}", row.traceparent) as span:
        sent = await _send(job, fanout)
        span.set_attributes({"curfew.channel": row.channel, "curfew.client_id": row.client_id})
        span.set_attributes({"curfew.attempt": row.attempts, "curfew.outcome": sent.result.outcome.value})
        if sent.result.status is not None:
            span.set_attribute("http.response.status_code", sent.result.status)
        if sent.result.outcome is not Outcome.DELIVERED:
            traces.failed(span, sent.result.outcome.value)
    return sent


async def _send(job: Job, fanout: Fanout) -> Sent:
    started_at, begun = timezone.now(), time.monotonic()
    if job.route.refusal:
        answer, message = Answer(error="blocked", detail=job.route.refusal), None
    else:
        reply, message = await _post(job, fanout, started_at)
        answer = Answer(reply.status, reply.error, reply.detail or reply.body, reply.retry_after)
    ended_at = started_at + timedelta(seconds=time.monotonic() - begun)
    if settings.FAILPOINT == "after_post" and retry.is_success(answer.status):
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(job, answer, message, started_at, ended_at)


async def _post(job: Job, fanout: Fanout, at: datetime) -> tuple[Reply, Message]:
    """The reply, and the message that it is to."""
    message, begun = job.route.mint(job.claimed, at), time.monotonic()
    reply = await fanout.post(job.route.url, message.body, _headers(message))
    left = settings.DELIVERY_TIMEOUT - (time.monotonic() - begun)
    if reply.unheard and left > 0:
        # The application closed its connection just before. A new token: whoever did read the first refuses to see it twice.
        message = job.route.mint(job.claimed, timezone.now())
        reply = await fanout.post(job.route.url, message.body, _headers(message), timeout=left, anew=True)
    return reply, message


def _headers(message: Message) -> Mapping[str, str]:
    """With where we are in a trace only if the operator says so: others need not know our traces."""
    if tracing.traces is None or not settings.TRACE_DELIVERIES:
        return message.headers
    return {**message.headers, **tracing.kept()}


def _judge(job: Job, answer: Answer, message: Message | None, started_at: datetime, ended_at: datetime) -> Sent:
    row, history = job.claimed, _history(job.claimed, ended_at)
    jitter = random.random()  # noqa: S311  not a secret
    verdict = (message and message.verdict) or dispatch_of(row.channel).verdict
    decision = verdict(answer, history, at=ended_at, jitter=jitter)
    due_at = _due_at(decision, ended_at)
    result = Result(
        row,
        decision.outcome,
        decision.reason,
        started_at,
        ended_at,
        due_at,
        answer.status,
        job.route.url,
        message.jti if message else "",
    )
    return Sent(result, decision)


def _history(row: Claimed, at: datetime) -> History:
    longest = timedelta(seconds=settings.DELIVERY_MAX_AGE)
    return History(row.attempts, row.last_status, at - row.created_at, longest, row.initiator)


def _due_at(decision: Decision, ended_at: datetime) -> datetime | None:
    return None if decision.delay is None else ended_at + timedelta(seconds=decision.delay)


def failed(row: Claimed, problem: str, started_at: datetime, ended_at: datetime) -> Result:
    """An attempt that we could not make or judge: the application has no part in it."""
    decision = retry.unprocessable(problem, _history(row, ended_at))
    return Result(row, decision.outcome, decision.reason, started_at, ended_at, _due_at(decision, ended_at))


def postponed(row: Claimed, until: datetime, at: datetime) -> Result:
    """It was not tried: something that comes before it was not taken."""
    return Result(row, Outcome.POSTPONED, "", at, at, due_at=until)


def interrupted(job: Job, started_at: datetime, ended_at: datetime) -> Result:
    """An attempt that this worker's end cut short: another worker makes the next one at once."""
    reason = "the worker stopped before the answer"
    return Result(job.claimed, Outcome.RETRY, reason, started_at, ended_at, due_at=ended_at)
