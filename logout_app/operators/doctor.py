"""`manage.py doctor`: what is broken, what will be, and what is as it should be, in sentences.

Each question is asked apart, with a limit of its own: one that fails is an answer, and keeps no other from being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core import mail
from django.core.mail.backends import smtp
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count

from idp.connections.options import secret_context
from idp.crypto import keys, lifetimes, sealing
from idp.database.standby import watch
from idp.models import Connection, KeyStatus, SigningKey
from idp.redis import health
from idp.tenants import configuration
from logout_app.delivery import metrics, readiness, reports
from logout_app.ending import purging
from logout_app.evidence import overdue
from logout_app.models import DeliveryState, LogoutDelivery
from logout_app.operators import encryption_keys
from logout_app.protocol.retry import SET_ASIDE
from sessions_app.audit import chain
from sessions_app.models import ImportJob, JobStatus, MailRequest
from sessions_app.transfer import turns

GOOD, WARNING, BROKEN = "ok", "warning", "broken"
LATELY = timedelta(days=1)
LATE_MAIL = timedelta(minutes=2)
OLD_KEY = timedelta(days=1)  # since its successor was due
MOST = 5  # names in a sentence
PATIENCE = 5  # seconds for a mail server
NO_PURGE = 3600.0  # seconds: six runs


@dataclass(frozen=True, slots=True)
class Diagnosis:
    topic: str
    level: str
    sentence: str

    @property
    def row(self) -> dict[str, str]:
        return {"topic": self.topic, "level": self.level, "sentence": self.sentence}


Answers = Iterator[tuple[str, str]]


def examine(at: Callable[[], datetime]) -> Iterator[Diagnosis]:
    """`at` reads the clock, anew for each question. Without a database most other questions cannot be asked."""
    database = list(_asked("database", _database, at))
    yield from database
    is_there = all(each.level != BROKEN for each in database)
    for topic, ask in TOPICS.items():
        if is_there or topic in WITHOUT_DATABASE:
            yield from _asked(topic, ask, at)
        else:
            yield Diagnosis(topic, WARNING, "Not known: the database cannot be asked.")


def _asked(topic: str, ask: Callable[[datetime], Answers], at: Callable[[], datetime]) -> Iterator[Diagnosis]:
    try:
        for level, sentence in ask(at()):
            yield Diagnosis(topic, level, sentence)
    except Exception as error:  # noqa: BLE001  whatever it is: the other questions are asked all the same
        yield Diagnosis(
            topic, BROKEN, f"Asking failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )


def _database(at: datetime) -> Answers:
    connection.ensure_connection()
    waiting = MigrationExecutor(connection)
    missing = waiting.migration_plan(waiting.loader.graph.leaf_nodes())
    if missing:
        yield BROKEN, f"{len(missing)} migrations are not applied: run manage.py up --prepare-only."
        return
    if failure := readiness.database():
        yield BROKEN, f"The database answers and {failure}."
        return
    yield GOOD, f"{connection.display_name} answers, takes writes and has every migration."


def _clock(at: datetime) -> Answers:
    difference = metrics.clock_difference(at)
    if difference > metrics.CLOCK_TOLERANCE:
        yield (
            BROKEN,
            f"This clock and the database's are {difference.total_seconds():.0f} s apart: applications refuse tokens with a wrong time.",
        )
    else:
        yield GOOD, "This clock and the database's agree."


def _standby(at: datetime) -> Answers:
    if not watch.is_configured():
        yield GOOD, "No standby is configured: lists of administrators are read from the database itself."
    elif problem := watch.look().problem:
        yield (
            WARNING,
            f"The standby is not used ({problem}): lists of administrators are read from the primary meanwhile.",
        )
    else:
        yield GOOD, "The standby has everything that the primary has: lists of administrators are read there."


def _redis(at: datetime) -> Answers:
    if not settings.REDIS_URL:
        yield GOOD, "No Redis is configured: cache and queue are in the database and a folder."
        return
    if failure := health.write_failure():
        yield BROKEN, f"Redis is {failure}: deliveries go on once a second without the bell, scheduled tasks wait."
        return
    policy = health.eviction()
    if not policy:
        yield WARNING, "Redis takes writes, and does not say whether it evicts: maxmemory-policy must be noeviction."
    elif policy != health.KEEPS_ALL:
        yield BROKEN, f"Redis may throw away what waits (maxmemory-policy {policy}): it must be noeviction."
    else:
        yield GOOD, "Redis takes writes and evicts nothing."


def _mail(at: datetime) -> Answers:
    backend = mail.get_connection(fail_silently=False, timeout=PATIENCE)
    if not isinstance(backend, smtp.EmailBackend):
        yield WARNING, "Mail is not sent (CURFEW_EMAIL_URL): nobody can set a forgotten password."
        return
    try:
        backend.open()
        backend.close()
    except OSError as error:  # smtplib's errors are, too
        yield BROKEN, f"The mail server {backend.host}:{backend.port} does not take mail: {error}."
        return
    yield GOOD, f"The mail server {backend.host}:{backend.port} lets us in."


def _waiting_mail(at: datetime) -> Answers:
    late = MailRequest.objects.filter(requested_at__lt=at - LATE_MAIL).count()
    if late:
        yield (
            BROKEN,
            f"{late} mails wait for more than two minutes: the worker, or the mail server, does not send them.",
        )
    else:
        yield GOOD, "No mail waits."


def _keys(at: datetime) -> Answers:
    snapshot = configuration.current()
    for algorithm in keys.ALGORITHMS:
        keys.active(algorithm, snapshot)
    rows = SigningKey.objects.filter(status=KeyStatus.ACTIVE)
    old = [row.algorithm for row in rows if lifetimes.ages(row) + OLD_KEY < at]
    if old:
        yield (
            WARNING,
            f"Keys of {', '.join(sorted(old))} sign for more than {settings.SIGNING_KEY_DAYS} days: the worker does not rotate them.",
        )
    else:
        yield GOOD, f"There is a key that signs for each of {', '.join(keys.ALGORITHMS)}, and it can be unsealed."


def _secrets(at: datetime) -> Answers:
    lost = [row.name for row in Connection.objects.all() if not _opens(row)]
    if lost:
        yield BROKEN, f"Secrets of {_named(lost)} cannot be unsealed: a key of CURFEW_ENCRYPTION_KEYS is missing."
    else:
        yield GOOD, "Every secret of a connection can be unsealed."


def _encryption_keys(at: datetime) -> Answers:
    lacking, old = encryption_keys.missing(), encryption_keys.old_ones()
    yield from ((BROKEN, sentence) for sentence in lacking)
    yield from ((WARNING, sentence) for sentence in old)
    if not lacking and not old:
        yield GOOD, encryption_keys.verdict()


def _opens(row: Connection) -> bool:
    try:
        for option, envelope in row.sealed_options.items():
            sealing.unseal(envelope, secret_context(row.name, option))
    except sealing.CannotUnseal:
        return False
    return True


def _connections(at: datetime) -> Answers:
    silent = list(Connection.objects.filter(enabled=True, silent_since__isnull=False).values_list("name", flat=True))
    if silent:
        yield (
            BROKEN,
            f"{_named(silent)} {'does' if len(silent) == 1 else 'do'} not answer us: nobody signs in through it.",
        )
    else:
        yield GOOD, "No connection is known to be silent."


def _workers(at: datetime) -> Answers:
    drains = reports.look()
    if drains.silent_for is None:
        yield WARNING, "No worker has ever reported here."
    elif not drains.running:
        yield BROKEN, f"No worker has reported for {_span(drains.silent_for)}: no application hears of a sign-out."
    elif drains.stuck_for:
        yield BROKEN, f"Workers cannot record what applications answer ({drains.reason}): {drains.held} answers wait."
    elif drains.idle_too_long:
        yield (
            BROKEN,
            f"No scheduled task ran for {drains.idle_too_long:.0f} s: the beat is away, or the queue stands still.",
        )
    else:
        yield GOOD, f"{drains.running} worker{'s' * (drains.running != 1)} reported within half a minute."


def _queue(at: datetime) -> Answers:
    age = metrics.backlog(at).age
    if age > metrics.OLD_BACKLOG:
        worst = [f"{name} ({count})" for name, count, _ in metrics.backlog_of_applications()]
        yield BROKEN, f"The oldest delivery is overdue by {_span(age)}. Most wait for {_named(worst)}."
    else:
        yield GOOD, "No delivery is overdue by more than a minute."


def _trail(at: datetime) -> Answers:
    since = chain.unsealed_since()
    if since is not None and at - since > chain.LATE:
        yield WARNING, f"No line of the audit trail was sealed for {_span(at - since)}: the worker does so each minute."
    else:
        yield GOOD, "The audit trail is sealed. Whether it is unaltered, manage.py audit verify says."


def _ends(at: datetime) -> Answers:
    found = overdue.incomplete(at)
    if found.oldest is not None:
        yield (
            BROKEN,
            (
                f"{found.ends}{'+' * found.more} sign-outs are not confirmed by everybody, the oldest for {_span(at - found.oldest)}: "
                f"{_named(list(found.applications))}. manage.py told --application NAME says why."
            ),
        )
    else:
        yield (
            GOOD,
            "Every sign-out of the last day is confirmed by the applications that hear of it, or is younger than five minutes.",
        )


def _dead(at: datetime) -> Answers:
    rows = LogoutDelivery.objects.filter(state=DeliveryState.DEAD, finished_at__gt=at - LATELY)
    aside = rows.filter(last_reason__startswith=SET_ASIDE).count()
    if aside:
        yield BROKEN, f"{aside} deliveries were set aside within a day, because no worker could process them."
    counted = rows.order_by().values_list("client_id").annotate(n=Count("pk")).order_by("-n")[: MOST + 1]
    names = [f"{client_id} ({count})" for client_id, count in counted]
    if names:
        yield (
            WARNING,
            f"Deliveries were given up within a day, to {_named(names)}. manage.py redeliver --application NAME sends them again.",
        )
    elif not aside:
        yield GOOD, "No delivery was given up within a day."


def _imports(at: datetime) -> Answers:
    rows = ImportJob.objects.filter(status=JobStatus.PROCESSING)
    stopped = [job.public_id for job in rows if turns.is_silent(job, at)]
    if stopped:
        yield WARNING, f"Imports stopped on the way: {_named(stopped)}. The same command goes on with them."
    else:
        yield GOOD, "No import of people is stopped."


def _purge(at: datetime) -> Answers:
    failing, ended = purging.failing(), purging.last_ended()
    if failing:
        since = at - datetime.fromtimestamp(min(failing.values()), UTC)
        yield (
            WARNING,
            f"What is old is not deleted for {_span(since)}, of {_named(sorted(failing))}: the worker's log says why (purge.failed).",
        )
    elif ended is not None and at.timestamp() - ended > NO_PURGE:
        since = at - datetime.fromtimestamp(ended, UTC)
        yield (
            WARNING,
            f"No purge has ended for {_span(since)}, and the worker begins one every ten minutes: ask its log.",
        )
    else:
        yield GOOD, "The purge fails at nothing."


TOPICS: dict[str, Callable[[datetime], Answers]] = {
    "clock": _clock,
    "standby": _standby,
    "redis": _redis,
    "mail server": _mail,
    "mail": _waiting_mail,
    "signing keys": _keys,
    "secrets": _secrets,
    "encryption keys": _encryption_keys,
    "connections": _connections,
    "workers": _workers,
    "queue": _queue,
    "sign-outs": _ends,
    "given up": _dead,
    "imports": _imports,
    "audit trail": _trail,
    "purge": _purge,
}
WITHOUT_DATABASE = frozenset({"redis", "mail server"})


def _named(names: list[str]) -> str:
    return ", ".join(names[:MOST]) + (" and others" if len(names) > MOST else "")


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
