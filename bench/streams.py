"""What a push and a poll stream of Shared Signals cost a storm of sign-outs: pairs of storms, without and with them, in one run.

    python bench/streams.py                                   300 sessions of 10 applications, 8 browsers at once, 10 pairs
    python bench/streams.py --sessions 60 --pairs 2           whether it runs

DATABASE_URL names an empty PostgreSQL database that may be overwritten; with REDIS_URL the worker is woken by the bell. Web server
and worker are processes of their own on one core; browsers, applications and the streams' receivers are on another. Which of a pair
comes first changes from pair to pair. Deliveries are those of applications, until the last of them; CPU is that of both processes
and of PostgreSQL until every receiver of a stream has heard of every sign-out too.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import drain, gtr, scim  # noqa: E402

AT_MOST = 120.0  # seconds for one storm
GOAL = 0.97  # of the deliveries/s without streams
REVOKED = scim.REVOKED
PUSHED = "stream"  # what the sink calls the receiver of pushes
OPENED = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}


@dataclass(frozen=True, slots=True)
class Storm:
    deliveries: float  # a second, of applications
    web: float  # CPU ms for one sign-out
    worker: float
    database: float
    answer: float  # ms, the median of what browsers waited
    behind: float  # seconds from the last application that was told to the last receiver of a stream; 0 without them

    @property
    def cpu(self) -> float:
        return self.web + self.worker + self.database


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--apps", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=8, help="browsers")
    parser.add_argument(
        "--alg", choices=["RS256", "ES256"], default="ES256", help="of logout tokens and of the streams"
    )
    parser.add_argument("--which", choices=["both", "push", "poll"], default="both", help="streams that are beside it")
    parser.add_argument("--cores", default="0:1", help="Curfew's core and everybody else's")
    parser.add_argument("--port", type=int, default=18341)
    options = parser.parse_args()
    ours, theirs = options.cores.split(":")
    os.sched_setaffinity(0, {int(theirs)})
    os.environ["ISSUER"] = f"http://127.0.0.1:{options.port}/"
    with tempfile.TemporaryDirectory(prefix="curfew-streams-") as folder, drain.sink(theirs) as base:
        drain.prepare(Path(folder), base, options)
        receiver = Receiver(*make_streams(base, options.alg), options)
        with gtr.processes(ours, options.port, folder), receiver.polling():
            bench = Bench(base, options, receiver)
            for streams in (True, False):  # keys, plans and connections
                bench.storm(streams=streams)
            ratios = [bench.pair(number) for number in range(options.pairs)]
    for name, values in zip(("deliveries/s", "CPU"), zip(*ratios, strict=True), strict=True):
        spread = f"{min(values):.3f} .. {max(values):.3f}"
        print(f"{name} with streams / without: median {statistics.median(values):.3f} ({spread})")
    slower = 1 - statistics.median(ratio for ratio, _ in ratios)
    verdict = "reached" if slower <= 1 - GOAL else "missed"
    print(f"slower by {slower:.1%} (goal: at most {1 - GOAL:.0%}: {verdict})", flush=True)


def make_streams(base: str, alg: str) -> tuple[str, str]:
    """One that is pushed and one that is polled; the id of the latter, and a token for it."""
    from datetime import timedelta

    from django.utils import timezone

    from idp.crypto import keys
    from idp.models import Application, ClientGrant, ResourceServer
    from idp.protocol.opaque import digest, new_secret
    from idp.tenants import signals_api
    from logout_app.models import EventStream
    from logout_app.streams import manage
    from sessions_app.models import AccessToken

    keys.ensure()
    signals_api.ensure()
    api = ResourceServer.objects.get(identifier=signals_api.audience())
    application = Application.objects.create(
        client_id="poller", name="poller", grant_types=["client_credentials"], client_secret=new_secret()
    )
    ClientGrant.objects.create(application=application, resource_server=api, scope=list(signals_api.SCOPES))
    raw, common = new_secret(), {"audiences": ["bench"], "events": [REVOKED], "algorithm": alg, "status": "disabled"}
    AccessToken.rows.bulk_create(
        [
            AccessToken(
                token="",
                token_checksum=digest(raw),
                scope=" ".join(signals_api.SCOPES),
                audience=signals_api.audience(),
                application=application,
                expires=timezone.now() + timedelta(days=1),
            )
        ]
    )
    endpoint = f"{base}/bcl/{PUSHED}"
    EventStream.objects.create(public_id=manage.new_public_id(), name="push", endpoint=endpoint, **common)
    polled = EventStream.objects.create(
        public_id=manage.new_public_id(), name="poll", method="poll", application=application, **common
    )
    return polled.public_id, raw


class Receiver:
    """Comes for its events again and again by long polls while its stream is on, as receivers do."""

    def __init__(self, stream: str, token: str, options: argparse.Namespace) -> None:
        self.url = f"http://127.0.0.1:{options.port}/ssf/poll/{stream}"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.on, self.ended = threading.Event(), threading.Event()
        self.heard: dict[str, float] = {}

    @contextmanager
    def polling(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            self.on.set()
            thread.join()

    def _run(self) -> None:
        session, taken = requests.Session(), list[str]()
        while True:
            self.on.wait()
            if self.ended.is_set():
                return
            # Once the stream is off again nothing is waited for, or the web server would be asked until the next storm.
            body = {"ack": taken, "returnImmediately": not self.on.is_set()}
            answer = session.post(self.url, json=body, headers=self.headers, timeout=60)
            if answer.status_code in (429, 503):
                time.sleep(float(answer.headers.get("Retry-After", 1)))
                continue
            answer.raise_for_status()
            now = time.monotonic()
            taken = list(answer.json()["sets"])
            self.heard |= {jti: self.heard.get(jti, now) for jti in taken}


class Bench:
    def __init__(self, base: str, options: argparse.Namespace, receiver: Receiver) -> None:
        self.base, self.options, self.receiver = base, options, receiver
        self.web = [pid for pid in scim.descendants() if "granian" in scim.command_of(pid)]
        self.worker = [pid for pid in scim.descendants() if "celery" in scim.command_of(pid)]

    def pair(self, number: int) -> tuple[float, float]:
        """What is left of the deliveries/s with streams, and how much more CPU a sign-out takes."""
        order = (False, True) if number % 2 == 0 else (True, False)
        found = {streams: self.storm(streams=streams) for streams in order}
        for streams in (False, True):
            each = found[streams]
            print(
                f"{'with' if streams else 'without':7} streams: {each.deliveries:5.0f} deliveries/s, CPU ms for a sign-out: web {each.web:.2f}, "
                f"worker {each.worker:.2f}, PostgreSQL {each.database:.2f}; answered after {each.answer:.0f} ms"
                + (f"; streams were {each.behind:.1f} s behind" if streams else ""),
                flush=True,
            )
        return found[True].deliveries / found[False].deliveries, found[True].cpu / found[False].cpu

    def storm(self, *, streams: bool) -> Storm:
        cookies = make_sessions(self.options.sessions, self.options.apps)
        expected = len(cookies) * self.options.apps
        told = self._switch(streams)
        drain.call(self.base, "reset", {})
        time.sleep(1.5)  # what was made is settled, and everybody sleeps
        before, began = self._cpu(), time.monotonic()
        with ThreadPoolExecutor(self.options.at_once) as pool:
            waited = list(pool.map(self._sign_out, cookies))
        self._until(lambda: drain.call(self.base, "count") >= expected + (len(cookies) if "push" in told else 0))
        if "poll" in told:
            self._until(lambda: len(self.receiver.heard) >= len(cookies))
        used = [(now - then) * 1000 / len(cookies) for now, then in zip(self._cpu(), before, strict=True)]
        log = drain.call(self.base, "log")
        ours = [at / 1e9 for at, client, *_ in log if client != PUSHED]
        last = max([*(at / 1e9 for at, *_ in log), *self.receiver.heard.values()])
        assert len(ours) == expected, f"{len(ours)} deliveries instead of {expected}"
        self._switch(False)
        gtr.clean()
        rate = expected / (max(ours) - began)
        return Storm(rate, *used, statistics.median(waited) * 1000, max(0.0, last - max(ours)))

    def _switch(self, streams: bool) -> set[str]:
        """Which of them are on from now on."""
        from logout_app.models import EventStream
        from sessions_app.audit import history

        names = {"push", "poll"} & ({self.options.which} if self.options.which != "both" else {"push", "poll"})
        EventStream.objects.update(status="disabled", after=history.newest())
        self.receiver.heard.clear()
        self.receiver.on.clear()
        if streams:
            EventStream.objects.filter(name__in=names).update(status="enabled")
            if "poll" in names:
                self.receiver.on.set()
        return names if streams else set()

    def _sign_out(self, cookie: str) -> float:
        from django.conf import settings

        began = time.monotonic()
        url = f"http://127.0.0.1:{self.options.port}/v2/logout?client_id=app-0"
        headers = OPENED | {"Cookie": f"{settings.SSO_COOKIE_NAME}={cookie}"}
        while (answer := requests.get(url, headers=headers, allow_redirects=False, timeout=60)).status_code == 503:
            time.sleep(1)  # as it asks for
        assert answer.status_code in (302, 303), (answer.status_code, answer.text)
        return time.monotonic() - began

    def _cpu(self) -> tuple[float, float, float]:
        """Seconds of the web server, the worker and PostgreSQL."""
        return cpu_of(self.web), cpu_of(self.worker), cpu_of(postgres())

    def _until(self, done: Any) -> None:
        until = time.monotonic() + AT_MOST
        while not done():
            if time.monotonic() > until:
                raise SystemExit(f"not everybody was told after {AT_MOST:.0f} s")
            time.sleep(0.05)


def cpu_of(pids: list[int]) -> float:
    """Seconds, with those of children that ended."""
    total = 0
    for pid in pids:
        try:
            total += sum(int(part) for part in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15])
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


def postgres() -> list[int]:
    """The server's processes, wherever it runs on this machine: those of our database, and what all of them share."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database() OR datname IS NULL")
        return [row[0] for row in cursor.fetchall()]


def make_sessions(count: int, apps: int) -> list[str]:
    """As many people, each with a session that all applications share; the cookies."""
    from datetime import timedelta

    from django.utils import timezone

    from idp.models import Application, Connection, User
    from idp.protocol.opaque import digest, new_secret
    from sessions_app.models import SessionClient, SSOSession

    now, cookies = timezone.now(), [new_secret() for _ in range(count)]
    applications = list(Application.objects.filter(client_id__startswith="app-").order_by("pk")[:apps])
    connection = Connection.objects.order_by("pk")[0]
    people = User.objects.bulk_create([User(user_id=f"auth0|{secrets.token_hex(12)}", created_at=now) for _ in cookies])
    times = {
        "auth_time": now,
        "last_seen_at": now,
        "idle_expires_at": now + timedelta(days=3),
        "expires_at": now + timedelta(days=7),
    }
    sessions = SSOSession.objects.bulk_create(
        [
            SSOSession(user=user, connection=connection, cookie_hash=digest(cookie), **times)
            for user, cookie in zip(people, cookies, strict=True)
        ]
    )
    SessionClient.objects.bulk_create(
        [SessionClient(session=row, application=each) for row in sessions for each in applications], batch_size=2000
    )
    return cookies


if __name__ == "__main__":
    main()
