"""One delivery: where it goes and by which key, its token, the POST, and what the answer means."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from idp import configuration, keys, outbound
from idp.models import Application
from idp.outbound import policy
from idp.outbound.fanout import Fanout
from logout_app.models import Channel
from logout_app.outbox import Claimed, Result
from logout_app.protocol import logout_token, retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

CHANNELS = (Channel.BACKCHANNEL,)  # what this worker can send; rows of other channels are never claimed


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one application, as of one version of the configuration. `refusal`: why nothing may be sent there."""

    application: Application
    key: keys.LoadedKey
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Job:
    claimed: Claimed
    route: Route


@dataclass(frozen=True, slots=True)
class Sent:
    """A result, and what it says about the application's health."""

    result: Result
    decision: Decision


def prepare(rows: Sequence[Claimed], at: datetime) -> tuple[list[Job], list[Result]]:
    """What to send, and the rows that have nothing left to tell. Reads configuration: runs in the database's thread."""
    jobs, dropped = [], []
    for row in rows:
        snapshot = configuration.at(row.config_version)
        application = snapshot.application_by_pk(row.application_id)
        reason = _nothing_to_tell(application, row)
        if reason or application is None:
            dropped.append(Result(row, Outcome.DROPPED, reason, at, at))
        else:
            jobs.append(Job(row, _route(application, snapshot)))
    return jobs, dropped


def _nothing_to_tell(application: Application | None, row: Claimed) -> str:
    """Configuration is read when a row is sent: what an administrator took away is not sent any more."""
    if application is None:
        return "the application was deleted"
    if not application.enabled:
        return "the application is disabled"
    if not application.backchannel_logout_uri:
        return "the application has no back-channel logout URL"
    if not application.hears_of(row.initiator):
        return f"the application does not hear of {row.initiator}"
    return ""


def _route(application: Application, snapshot: configuration.Snapshot) -> Route:
    routes: dict[int, Route] = snapshot.memo.setdefault("delivery routes", {})
    if application.pk not in routes:
        rules = outbound.rules().only_to(application.outbound_hosts)
        routes[application.pk] = Route(
            application,
            keys.active(application.id_token_signed_response_alg, snapshot),
            policy.check_url(application.backchannel_logout_uri, rules),
        )
    return routes[application.pk]


async def send(job: Job, fanout: Fanout) -> Sent:
    """One attempt with a fresh token, classified. Never raises for what the application does."""
    started_at, begun = timezone.now(), time.monotonic()
    url = job.route.application.backchannel_logout_uri
    if job.route.refusal:
        answer, jti = Answer(error="blocked", detail=job.route.refusal), ""
    else:
        token, jti = mint(job, started_at)
        reply = await fanout.post_form(url, b"logout_token=" + token.encode())
        answer = Answer(reply.status, reply.error, reply.detail or reply.body, reply.retry_after)
    ended_at = started_at + timedelta(seconds=time.monotonic() - begun)
    if settings.FAILPOINT == "after_post" and retry.is_success(answer.status):
        os.kill(os.getpid(), signal.SIGKILL)
    return _judge(job, answer, url, jti, started_at, ended_at)


def mint(job: Job, at: datetime) -> tuple[str, str]:
    """A logout token for one application and its `jti`: new ones for each attempt (Back-Channel Logout 1.0 section 2.4)."""
    row, application = job.claimed, job.route.application
    claims = logout_token.claims(
        issuer=settings.ISSUER,
        client_id=row.client_id,
        sub=row.sub,
        sid=row.sid,
        include_sub=application.backchannel_logout_include_sub,
        at=at,
    )
    return keys.sign_with(job.route.key, claims, typ=application.backchannel_logout_token_typ), claims["jti"]


def _judge(job: Job, answer: Answer, url: str, jti: str, started_at: datetime, ended_at: datetime) -> Sent:
    row = job.claimed
    history = History(
        row.attempts, row.last_status, ended_at - row.created_at, timedelta(seconds=settings.DELIVERY_MAX_AGE)
    )
    decision = retry.decide(answer, history, at=ended_at, jitter=random.random())  # noqa: S311  not a secret
    due_at = None if decision.delay is None else ended_at + timedelta(seconds=decision.delay)
    result = Result(row, decision.outcome, decision.reason, started_at, ended_at, due_at, answer.status, url, jti)
    return Sent(result, decision)


def interrupted(job: Job, started_at: datetime, ended_at: datetime) -> Result:
    """An attempt that this worker's end cut short: another worker makes the next one at once."""
    reason = "the worker stopped before the answer"
    return Result(job.claimed, Outcome.RETRY, reason, started_at, ended_at, due_at=ended_at)
