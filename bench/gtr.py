"""One Global Token Revocation request for a person with many sessions: how soon it is answered, and how soon everybody is told.

    python bench/gtr.py                                    1,000 sessions of 10 applications, ES256, 3 rounds
    python bench/gtr.py --sessions 100 --apps 5 --rounds 1

DATABASE_URL names an empty PostgreSQL database that may be overwritten; with REDIS_URL the worker is woken by the bell.
Curfew's web server and worker are processes of their own on one core, the applications on another. Each round compares, in
seconds that follow each other, with the bare cost of the same work: the same rows by hand-written SQL in one transaction,
and the bare aiohttp loop that signs and posts as many logout tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import drain  # noqa: E402

CONNECTION, CLIENT = "bench-okta", "0oabench"
AT_MOST = 120.0  # seconds until everybody is told
GOALS = (("T7 response / bare SQL", 1.3, 3.0), ("T6 all told / (bare SQL + bare posts)", 1.25, 2.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--apps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alg", choices=["RS256", "ES256"], default="ES256")
    parser.add_argument("--cores", default="0:1", help="Curfew's core and the applications'")
    parser.add_argument("--port", type=int, default=18321)
    options = parser.parse_args()
    options.rows = options.sessions * options.apps
    ours, theirs = options.cores.split(":")
    os.environ["ISSUER"] = f"http://127.0.0.1:{options.port}/"
    with tempfile.TemporaryDirectory(prefix="curfew-gtr-") as folder, drain.sink(theirs) as base:
        drain.prepare(Path(folder), base, options)
        with key_server() as (issuer, key):
            connect(issuer)
            print(
                f"{statements(issuer, key, 1)} statements for 1 session, {statements(issuer, key, 50)} for 50",
                flush=True,
            )
            with processes(ours, options.port, folder):
                warm_up(issuer, key)
                ratios = [measure(base, issuer, key, options) for _ in range(options.rounds)]
    for (name, goal, limit), values in zip(GOALS, zip(*ratios, strict=True), strict=True):
        median = statistics.median(values)
        verdict = "reached" if median <= goal else "within the limit" if median <= limit else "missed"
        print(f"{name}: {median:.2f} (goal {goal}, limit {limit}: {verdict})", flush=True)


# --- an identity provider that has keys and nothing else ---------------------------------------------------------------


@contextmanager
def key_server() -> Iterator[tuple[str, Any]]:
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048)
    document = json.dumps({"keys": [key.as_dict(private=False)]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", key
    finally:
        server.shutdown()


def connect(issuer: str) -> None:
    from idp.models import Connection

    endpoints = {name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    options = {"issuer": issuer, "client_id": CLIENT, **endpoints}
    Connection.objects.update_or_create(name=CONNECTION, defaults={"strategy": "okta", "options": options})


def request_for(issuer: str, key: Any, sub: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """URL, headers and body, as Okta sends them."""
    from django.conf import settings
    from joserfc import jwt

    url = f"{settings.ISSUER}oauth/global-token-revocation/connection/{CONNECTION}"
    now = int(time.time())
    claims = {
        "jti": secrets.token_urlsafe(12),
        "iss": issuer,
        "sub": CLIENT,
        "aud": url,
        "iat": now,
        "nbf": now - 300,
        "exp": now + 300,
    }
    token = jwt.encode({"alg": "RS256", "typ": "global-token-revocation+jwt"}, claims, key)
    body = {"sub_id": {"format": "iss_sub", "iss": issuer, "sub": sub}}
    return url, {"Authorization": f"Bearer {token}"}, body


# --- a person with many sessions ---------------------------------------------------------------------------------------


def make_person(sessions: int) -> Any:
    """Each session with every application, and a refresh token family for each of them."""
    from datetime import timedelta

    from django.utils import timezone

    from idp.connections.contract import Account
    from idp.models import Application, Connection
    from idp.people.identities import receive
    from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession

    now, apps = timezone.now(), list(Application.objects.order_by("pk"))
    connection = Connection.objects.get(name=CONNECTION)
    identity = receive(connection, Account(sub=f"00u{secrets.token_hex(6)}", email="ann@bench.example"), at=now)
    common = {
        "user": identity.user,
        "identity": identity,
        "connection": connection,
        "auth_time": now,
        "last_seen_at": now,
        "idle_expires_at": now + timedelta(days=3),
        "expires_at": now + timedelta(days=7),
    }
    rows = SSOSession.objects.bulk_create(
        [SSOSession(cookie_hash=secrets.token_hex(32), **common) for _ in range(sessions)], batch_size=1000
    )
    pairs = [(row, app) for row in rows for app in apps]
    SessionClient.objects.bulk_create((SessionClient(session=r, application=a) for r, a in pairs), batch_size=2000)
    RefreshTokenFamily.objects.bulk_create(
        (
            RefreshTokenFamily(user=identity.user, application=a, session=r, offline=False, auth_time=now)
            for r, a in pairs
        ),
        batch_size=2000,
    )
    return identity


def statements(issuer: str, key: Any, sessions: int) -> int:
    """SQL statements of one request, without those that begin and end transactions."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    for _ in range(2):  # the first one also learns keys and configuration
        identity = make_person(sessions)
        url, headers, body = request_for(issuer, key, identity.sub)
        path = "/" + url.split("/", 3)[3]
        with CaptureQueriesContext(connection) as captured:
            host = url.split("/", 3)[2]
            answer = Client(headers={"host": host}).post(path, body, content_type="application/json", headers=headers)
            assert answer.status_code == 204, answer.content
    from logout_app.models import LogoutDelivery

    LogoutDelivery.objects.all().delete()
    control = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
    return len([query for query in captured.captured_queries if not query["sql"].startswith(control)])


def warm_up(issuer: str, key: Any) -> None:
    """The first requests of a process learn keys, configuration and SQL."""
    for _ in range(5):
        url, headers, body = request_for(issuer, key, make_person(1).sub)
        requests.post(url, json=body, headers=headers, timeout=60).raise_for_status()
    time.sleep(1)
    clean()


# --- the two measurements ----------------------------------------------------------------------------------------------


def measure(base: str, issuer: str, key: Any, options: argparse.Namespace) -> tuple[float, float]:
    sql = bare_sql(make_person(options.sessions))
    posts = options.rows / drain.asyncio_run(drain.bare_loop(base, options))
    identity = make_person(options.sessions)
    drain.call(base, "reset", {})
    url, headers, body = request_for(issuer, key, identity.sub)
    began = time.monotonic()
    answer = requests.post(url, json=body, headers=headers, timeout=60)
    response = time.monotonic() - began
    assert answer.status_code == 204, answer.text
    while drain.call(base, "count") < options.rows and time.monotonic() - began < AT_MOST:
        time.sleep(0.01)
    log = drain.call(base, "log")
    told = max(at for at, *_ in log) / 1e9 - began
    distinct = len({(client, token) for _, client, token, _ in log})
    print(
        f"{options.sessions} sessions x {options.apps} applications, {options.alg}: response {response * 1000:.0f} ms "
        f"(bare SQL {sql * 1000:.0f} ms), all {distinct} of {options.rows} told in {told:.2f} s "
        f"(bare SQL + bare posts {sql + posts:.2f} s)",
        flush=True,
    )
    assert distinct == options.rows, "somebody was not told"
    clean()
    return response / sql, told / (sql + posts)


def bare_sql(identity: Any) -> float:
    """The same rows in one transaction, written by hand; the outbox rows are due tomorrow, so that no worker takes them."""
    from django.db import connection, transaction

    given = {"user": identity.user_id, "sub": identity.user.user_id}
    with connection.cursor() as cursor:
        began = time.monotonic()
        with transaction.atomic():
            cursor.execute("UPDATE idp_user SET revoked_before = now() WHERE id = %(user)s", given)
            cursor.execute(
                "UPDATE sessions_app_ssosession SET ended_at = now(), end_initiator = 'idp-logout', end_actor = 'bench' "
                "WHERE user_id = %(user)s AND ended_at IS NULL",
                given,
            )
            cursor.execute(
                "UPDATE sessions_app_refreshtokenfamily SET revoked_at = now(), revoke_reason = 'idp-logout' "
                "WHERE user_id = %(user)s AND revoked_at IS NULL",
                given,
            )
            cursor.execute(
                "INSERT INTO logout_app_logoutevent (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data) "
                "VALUES (now(), 'idp-logout', 'bench', %(user)s, %(sub)s, 0, 0, '{}') RETURNING id",
                given,
            )
            given["event"] = cursor.fetchone()[0]
            cursor.execute(
                "INSERT INTO logout_app_logoutdelivery (event_id, session_id, application_id, receiver, client_id, sub, sid, channel, "
                "state, created_at, due_at, fence, attempts, last_reason) "
                "SELECT %(event)s, s.id, a.id, 'app:' || a.id, a.client_id, %(sub)s, s.sid, 'backchannel', 'pending', now(), "
                "now() + interval '1 day', 0, 1, '' FROM sessions_app_ssosession s "
                "JOIN sessions_app_sessionclient c ON c.session_id = s.id JOIN idp_application a ON a.id = c.application_id "
                "WHERE s.user_id = %(user)s",
                given,
            )
            cursor.execute(
                "INSERT INTO sessions_app_sessionevent (at, type, sid, sub, client_id, connection, initiator, actor, user_agent, data) "
                "SELECT now(), 'ended', sid, %(sub)s, '', '', 'idp-logout', 'bench', '', '{}' "
                "FROM sessions_app_ssosession WHERE user_id = %(user)s",
                given,
            )
        took = time.monotonic() - began
    clean()
    return took


def clean() -> None:
    from logout_app.models import DeliveryAttempt, LogoutDelivery

    DeliveryAttempt.objects.all().delete()
    LogoutDelivery.objects.all().delete()


@contextmanager
def processes(core: str, port: int, folder: str) -> Iterator[None]:
    """Web server and worker of the product, on one core."""
    python = Path(sys.executable).parent
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PORT": str(port), "CURFEW_LOG_LEVEL": "WARNING"}
    server = f"--interface asginl --http 1 --loop uvloop --no-ws --workers 1 --host 127.0.0.1 --port {port} --no-access-log --log-level warning"
    commands = (
        [str(python / "granian"), *server.split(), "idp.http.serving.application:application"],
        [
            str(python / "celery"),
            "-A",
            "idp",
            "worker",
            "--loglevel",
            "warning",
            "--without-gossip",
            "--without-mingle",
        ],
    )
    running = [
        subprocess.Popen(["taskset", "-c", core, *command], cwd=PROJECT, env=environment) for command in commands
    ]
    try:
        wait_for(f"http://127.0.0.1:{port}/livez")
        time.sleep(3)  # the worker begins to drain
        yield
    finally:
        for program in running:
            program.terminate()
        for program in running:
            program.wait(20)


def wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    main()
