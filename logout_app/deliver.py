"""One delivery: where it goes and by which key, its token, the POST, and what the answer means."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from idp import configuration, keys, sealing
from idp.applications import rules
from idp.database.outage import AWAY
from idp.models import Application
from idp.outbound.fanout import FORM, Fanout, Reply
from logout_app.aside import described
from logout_app.models import Channel
from logout_app.outbox import Claimed, Result
from logout_app.protocol import gtr, gtr_request, logout_token, retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

log = structlog.get_logger(__name__)

CHANNELS = (Channel.BACKCHANNEL, Channel.GTR)  # what this worker can send; rows of other channels are never claimed
URL_FIELDS = {Channel.BACKCHANNEL: "backchannel_logout_uri", Channel.GTR: "global_token_revocation_uri"}
URLS = {Channel.BACKCHANNEL: "back-channel logout URL", Channel.GTR: "Global Token Revocation URL"}


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one application, as of one version of the configuration. `refusal`: why nothing may be sent there."""

    application: Application
    url: str
    key: keys.LoadedKey
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted in one attempt, and the `jti` of its token."""

    body: bytes
    headers: Mapping[str, str]
    jti: str


@dataclass(frozen=True, slots=True)
class Job:
    claimed: Claimed
    route: Route


@dataclass(frozen=True, slots=True)
class Sent:
    """A result, and what it says about the application's health."""

    result: Result
    decision: Decision


@dataclass(slots=True)
class Prepared:
    """What to send, what came of rows that are not sent, and applications whose signing key cannot be unsealed: why."""

    jobs: list[Job] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    sealed: dict[int, str] = field(default_factory=dict)


def prepare(rows: Sequence[Claimed], at: datetime) -> Prepared:
    """Each row by itself: no configuration of one application keeps the others from hearing. In the database's thread."""
    prepared = Prepared()
    for row in rows:
        try:
            _prepare(row, at, prepared)
        except AWAY:
            raise
        except sealing.CannotUnseal as error:
            prepared.sealed[row.application_id] = str(error)
        except Exception as error:
            log.exception("logout.delivery.failed", delivery=row.id)
            prepared.results.append(failed(row, described(error), at, timezone.now()))
    return prepared


def _prepare(row: Claimed, at: datetime, prepared: Prepared) -> None:
    snapshot = configuration.at(row.config_version)
    application = snapshot.application_by_pk(row.application_id)
    reason = _nothing_to_tell(application, row)
    if reason or application is None:
        prepared.results.append(Result(row, Outcome.DROPPED, reason, at, at))
    else:
        prepared.jobs.append(Job(row, _route(application, row.channel, snapshot)))


def _nothing_to_tell(application: Application | None, row: Claimed) -> str:
    """Configuration is read when a row is sent: what an administrator took away is not sent any more."""
    if application is None:
        return "the application was deleted"
    if not application.enabled:
        return "the application is disabled"
    if not getattr(application, URL_FIELDS[Channel(row.channel)]):
        return f"the application has no {URLS[Channel(row.channel)]}"
    if row.channel == Channel.BACKCHANNEL and not application.hears_of(row.initiator):
        return f"the application does not hear of {row.initiator}"
    return ""


def _route(application: Application, channel: str, snapshot: configuration.Snapshot) -> Route:
    routes: dict[tuple[int, str], Route] = snapshot.memo.setdefault("delivery routes", {})
    if (application.pk, channel) not in routes:
        field = URL_FIELDS[Channel(channel)]
        url = getattr(application, field)
        routes[application.pk, channel] = Route(
            application,
            url,
            keys.active(application.id_token_signed_response_alg, snapshot),
            rules.problem(application, field, url),
        )
    return routes[application.pk, channel]


async def send(job: Job, fanout: Fanout) -> Sent:
    """One attempt with a fresh token, classified. Never raises for what the application does."""
    started_at, begun = timezone.now(), time.monotonic()
    if job.route.refusal:
        answer, jti = Answer(error="blocked", detail=job.route.refusal), ""
    else:
        reply, jti = await _post(job, fanout, started_at)
        answer = Answer(reply.status, reply.error, reply.detail or reply.body, reply.retry_after)
    ended_at = started_at + timedelta(seconds=time.monotonic() - begun)
    if settings.FAILPOINT == "after_post" and retry.is_success(answer.status):
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(job, answer, jti, started_at, ended_at)


async def _post(job: Job, fanout: Fanout, at: datetime) -> tuple[Reply, str]:
    """The reply, and the `jti` of the token that it is to."""
    message, begun = mint(job, at), time.monotonic()
    reply = await fanout.post(job.route.url, message.body, message.headers)
    left = settings.DELIVERY_TIMEOUT - (time.monotonic() - begun)
    if reply.unheard and left > 0:
        # The application closed its connection just before. A new token: whoever did read the first refuses to see it twice.
        message = mint(job, timezone.now())
        reply = await fanout.post(job.route.url, message.body, message.headers, timeout=left, anew=True)
    return reply, message.jti


def mint(job: Job, at: datetime) -> Message:
    """New tokens for each attempt, signed with the key of the application's ID tokens."""
    return _revocation_request(job, at) if job.claimed.channel == Channel.GTR else _logout_token(job, at)


def _logout_token(job: Job, at: datetime) -> Message:
    """Back-Channel Logout 1.0 section 2.5."""
    row, application = job.claimed, job.route.application
    claims = logout_token.claims(
        issuer=settings.ISSUER,
        client_id=row.client_id,
        sub=row.sub,
        sid=row.sid,
        include_sub=application.backchannel_logout_include_sub,
        at=at,
    )
    token = keys.sign_with(job.route.key, claims, typ=application.backchannel_logout_token_typ)
    return Message(b"logout_token=" + token.encode(), FORM, claims["jti"])


def _revocation_request(job: Job, at: datetime) -> Message:
    """Global Token Revocation, with a token of the profile that we accept ourselves."""
    claims = gtr_request.claims(issuer=settings.ISSUER, client_id=job.claimed.client_id, url=job.route.url, at=at)
    token = keys.sign_with(job.route.key, claims, typ=gtr.TYP)
    body = gtr_request.body(issuer=settings.ISSUER, sub=job.claimed.sub)
    return Message(body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}, claims["jti"])


def _judge(job: Job, answer: Answer, jti: str, started_at: datetime, ended_at: datetime) -> Sent:
    row, history = job.claimed, _history(job.claimed, ended_at)
    jitter = random.random()  # noqa: S311  not a secret
    if row.channel == Channel.GTR:
        decision = retry.decide(
            gtr_request.explained(answer), history, at=ended_at, jitter=jitter, final=gtr_request.FINAL
        )
    else:
        decision = retry.decide(answer, history, at=ended_at, jitter=jitter)
    due_at = _due_at(decision, ended_at)
    result = Result(
        row, decision.outcome, decision.reason, started_at, ended_at, due_at, answer.status, job.route.url, jti
    )
    return Sent(result, decision)


def _history(row: Claimed, at: datetime) -> History:
    return History(row.attempts, row.last_status, at - row.created_at, timedelta(seconds=settings.DELIVERY_MAX_AGE))


def _due_at(decision: Decision, ended_at: datetime) -> datetime | None:
    return None if decision.delay is None else ended_at + timedelta(seconds=decision.delay)


def failed(row: Claimed, problem: str, started_at: datetime, ended_at: datetime) -> Result:
    """An attempt that we could not make or judge: the application has no part in it."""
    decision = retry.unprocessable(problem, _history(row, ended_at))
    return Result(row, decision.outcome, decision.reason, started_at, ended_at, _due_at(decision, ended_at))


def interrupted(job: Job, started_at: datetime, ended_at: datetime) -> Result:
    """An attempt that this worker's end cut short: another worker makes the next one at once."""
    reason = "the worker stopped before the answer"
    return Result(job.claimed, Outcome.RETRY, reason, started_at, ended_at, due_at=ended_at)
