"""The hot acts on rows of `bench/population.py`, and what each of their steps costs; `bench/scale.py` compares two databases by them."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import gtr, population, profiling
from bench.filling import APPLICATIONS, CALLBACK, CLIENTS

MOST = 8_000  # sessions of one run
SAMPLE = 400  # sessions and families that single sign-on and refresh take turns with
DELIVERIES = 50  # of one claim
SESSIONS_OF_SOMEBODY = 3  # whom a revocation request names


@dataclass
class Cost:
    """Of one step, time after time: ms."""

    cpu: list[float] = field(default_factory=list)
    sql: list[float] = field(default_factory=list)
    backend: list[float] = field(default_factory=list)
    wal: list[float] = field(default_factory=list)  # bytes, of everybody who writes to the server

    @property
    def as_figures(self) -> dict[str, float]:
        """CPU as a mean, because a clock tick is long; time as a median, because somebody else had the core in between."""
        middle = {"sql": statistics.median(self.sql)}
        if self.cpu:
            middle |= {"cpu": statistics.fmean(self.cpu), "backend": statistics.fmean(self.backend)}
            middle |= {"wal": statistics.median(self.wal)}
        return middle


class Meter:
    def __init__(self) -> None:
        self.costs: dict[str, Cost] = defaultdict(Cost)
        self._sql = 0.0
        self._step = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        from django.db import connection

        self._sql, self._step = 0.0, name
        wal, cpu, backend = _wal(), time.process_time(), backend_ms()
        with connection.execute_wrapper(self._timed):
            yield
        cost = self.costs[name]
        cost.cpu.append((time.process_time() - cpu) * 1000)
        cost.backend.append(backend_ms() - backend)
        cost.sql.append(self._sql)
        cost.wal.append(_wal() - wal)

    def _timed(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, *arguments)
        finally:
            took = (time.perf_counter() - began) * 1000
            self._sql += took
            self.costs[f"  {self._step}: {' '.join(str(sql).split())[:160]}"].sql.append(took)

    def read(self) -> dict[str, dict[str, float]]:
        found = {name: cost.as_figures for name, cost in self.costs.items()}
        self.costs.clear()
        return found


def backend_ms() -> float:
    """CPU of this connection's process in PostgreSQL, which is on this machine."""
    from django.db import connection

    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def _wal() -> int:
    from django.db import connection

    connection.ensure_connection()
    row = connection.connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')").fetchone()
    return int(row[0])


class Visitor(profiling.Browser):
    """Each request is a step of the act that goes on."""

    meter = Meter()
    act = ""

    def send(
        self, method: str, path: str, form: dict[str, str] | None = None, signal: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        with self.meter.step(f"{self.act}: {method} {path.partition('?')[0]}"):
            return super().send(method, path, form, signal)


class Acts:
    """Sessions, families and people are those of the population, other ones each time."""

    def __init__(self, application: Callable[..., Any]) -> None:
        from django.conf import settings

        from idp.models import User

        self.application = application
        self.cookie = settings.SSO_COOKIE_NAME
        self.people = User.objects.filter(email__endswith="@Bench.example").count()
        picked = iter(self._untouched())
        self.joins = itertools.cycle(itertools.product(CLIENTS, list(itertools.islice(picked, SAMPLE))))
        self.refreshed = {n: population.refresh_token_of(n) for n in itertools.islice(picked, SAMPLE)}
        self.turns = itertools.cycle(list(self.refreshed))
        self.leaving = picked
        self.until_exit = ExitStack()
        self.issuer, self.key = self.until_exit.enter_context(gtr.key_server())
        gtr.connect(self.issuer)

    def _untouched(self) -> list[int]:
        """Sessions that no earlier run signed out, nor refreshed a token of."""
        from django.db.models import F

        from sessions_app.models import RefreshTokenFamily, SSOSession

        sessions = SSOSession.objects.filter(sid__startswith="sid-").order_by("-pk").values_list("pk", flat=True)[0]
        living = population.living(sessions, self.people)
        picked = random.sample(living, min(len(living), MOST))
        as_made = RefreshTokenFamily.objects.filter(pk__in=picked, session__ended_at=None, revoked_at=None)
        return list(
            as_made.annotate(made=F("pk") % population.GENERATIONS)
            .filter(generation=F("made"))
            .order_by("?")
            .values_list("pk", flat=True)
        )

    @property
    def names(self) -> dict[str, Callable[[], None]]:
        return {
            "login": self.login,
            "single sign-on": self.single_sign_on,
            "refresh": self.refresh,
            "introspection": self.introspection,
            "sign-out": self.sign_out,
            "deliveries": self.deliveries,
            "revocation of everything": self.revocation,
        }

    def run(self, name: str, count: int) -> dict[str, dict[str, float]]:
        Visitor.act = name
        Visitor.meter.costs.clear()
        for _ in range(count):
            self.names[name]()
        return Visitor.meter.read()

    def visitor(self, session: int = 0) -> Visitor:
        visitor = Visitor(self.application)
        if session:
            visitor.cookies[self.cookie] = f"cookie-{session}"
            visitor.client = population.client_of(session)
        return visitor

    def login(self) -> None:
        visitor = self.visitor()
        number = random.randrange(self.people - 50) // 50 * 50 + random.randrange(1, 50)  # each fiftieth is blocked
        visitor.username, visitor.client = f"person{number}@bench.example", random.choice(CLIENTS)
        visitor.authorize()

    def single_sign_on(self) -> None:
        client, session = next(self.joins)
        visitor = self.visitor(session)
        visitor.client = client
        visitor.authorize()

    def refresh(self) -> None:
        number = next(self.turns)
        form = {"grant_type": "refresh_token", "refresh_token": self.refreshed[number]}
        self.refreshed[number] = self.visitor(number).token(form)["refresh_token"]

    def introspection(self) -> None:
        number = random.choice(list(self.refreshed))
        answer = self.visitor(number).ask("/oauth/introspect", {"token": population.access_token_of(number)})
        assert answer["active"], answer

    def sign_out(self) -> None:
        number = next(self.leaving)
        visitor = self.visitor(number)
        query = {"client_id": visitor.client["client_id"], "returnTo": CALLBACK}
        status, headers, _ = visitor.send("GET", f"/v2/logout?{urlencode(query)}")
        assert status < 400, (status, headers)

    def deliveries(self) -> None:
        """As a worker claims what is due, and writes down what the applications answered."""
        from django.utils import timezone

        from logout_app.delivery import outbox
        from logout_app.protocol.retry import Outcome

        plan_deliveries(DELIVERIES)
        now = timezone.now()
        with Visitor.meter.step(f"deliveries: claim of {DELIVERIES}"):
            rows = outbox.claim(
                channels=["backchannel"], rooms={}, cap=50, limit=DELIVERIES, at=now, lease=timedelta(minutes=1)
            )
        results = [outbox.Result(row, Outcome.DELIVERED, "", now, now, status=200, url=CALLBACK) for row in rows]
        with Visitor.meter.step(f"deliveries: record of {DELIVERIES}"):
            outbox.record(results)

    def revocation(self) -> None:
        from django.test import Client

        identity = gtr.make_person(SESSIONS_OF_SOMEBODY)
        url, headers, body = gtr.request_for(self.issuer, self.key, identity.sub)
        host, path = url.split("/", 3)[2:]
        client = Client(headers={"host": host})
        with Visitor.meter.step("revocation of everything"):
            answer = client.post(f"/{path}", body, content_type="application/json", headers=headers)
        assert answer.status_code == 204, answer.content


def plan_deliveries(count: int) -> None:
    """Due since long ago: claimed before what sign-outs have planned."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO logout_app_logoutdelivery (application_id, receiver, client_id, sub, sid, channel, state, created_at, due_at,"
            " fence, attempts, last_reason) SELECT a.id, 'app:' || a.id, a.client_id, 'auth0|1', 'sid-claimed', 'backchannel',"
            " 'pending', now(), now() - interval '1 day', 0, 0, '' FROM generate_series(1, %s) n"
            " JOIN idp_application a ON a.client_id = 'app-' || n %% %s",
            [count, APPLICATIONS],
        )
