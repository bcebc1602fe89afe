"""How long every listing of the Management API takes in a large installation: p50 and p95 of each, first pages and deep ones.

    python bench/listings.py                        100,000 people, 300,000 sessions, 3,000,000 lines of the trail; 40 times each
    python bench/listings.py --scale 0.01           whether it runs
    python bench/listings.py --keep --only logs     the rows that are there, and some of the listings

DATABASE_URL names a PostgreSQL database of its own, which is made and overwritten. Rows are written by SQL (`generate_series`): some
minutes. Requests go through the whole of Django in this process, each with other values. The goal is 50 ms at p95.
"""

from __future__ import annotations

import argparse
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import filling  # noqa: E402
from bench.filling import APPLICATIONS  # noqa: E402

GOAL = 50.0  # ms
PEOPLE, SESSIONS, LINES = 100_000, 300_000, 3_000_000
TYPES = ("opened", "joined", "code_issued", "tokens_issued", "tokens_refreshed", "ended", "sign_in_failed")
RARE = "invited"  # one line in ten thousand

# In braces: how many people, sessions and lines there are. Everything happened within a year, evenly; keys follow time.
ROWS = (
    """
INSERT INTO sessions_app_ssosession (id, sid, cookie_hash, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at,
    initial_user_agent, last_user_agent, upstream_sid, upstream, metadata, ended_at, end_initiator, end_actor, connection_id, user_id)
SELECT n, 'sid-' || n, md5(n::text) || md5(n::text || 'x'), at, at, '[]', at, now() + interval '3 days', now() + interval '7 days',
    'Mozilla/5.0', 'Mozilla/5.0', '', '{{}}', '{{}}', CASE WHEN n % 3 > 0 THEN at + interval '1 hour' END,
    CASE WHEN n % 3 > 0 THEN 'rp-logout' ELSE '' END, '', (SELECT min(id) FROM idp_connection), 1 + n % {people}
FROM (SELECT n, now() - interval '1 year' * (1 - n::float / {sessions}) AS at FROM generate_series(1, {sessions}) n) rows""",
    """
INSERT INTO sessions_app_sessionclient (joined_at, application_id, session_id)
SELECT now(), a.id, n FROM generate_series(1, {sessions}) n JOIN LATERAL (
    SELECT id FROM idp_application WHERE client_id LIKE 'app-%' ORDER BY id OFFSET n % {applications} LIMIT 1) a ON true""",
    """
INSERT INTO sessions_app_refreshtokenfamily (public_id, offline, rotating, scope, audience, sid, auth_time, generation, created_at,
    initial_user_agent, last_user_agent, revoke_reason, revoked_at, application_id, user_id, session_id)
SELECT 'rt-' || s.id, false, true, 'openid offline_access', '', s.sid, s.auth_time, 0, s.created_at, '', '',
    CASE WHEN ended_at IS NULL THEN '' ELSE 'rp-logout' END, ended_at, c.application_id, s.user_id, s.id
FROM sessions_app_ssosession s JOIN sessions_app_sessionclient c ON c.session_id = s.id""",
    """
INSERT INTO sessions_app_consent (scopes, granted_at, application_id, user_id)
SELECT '["openid"]', now(), a.id, n FROM generate_series(1, {people}) n JOIN LATERAL (
    SELECT id FROM idp_application WHERE client_id LIKE 'app-%' ORDER BY id OFFSET n % {applications} LIMIT 1) a ON true""",
    """
INSERT INTO sessions_app_sessionevent (at, type, sid, sub, client_id, connection, initiator, actor, ip, user_agent, data)
SELECT now() - interval '1 year' * (1 - n::float / {lines}), CASE WHEN n % 10000 = 0 THEN '{rare}' ELSE ({types})[1 + n % {kinds}] END,
    'sid-' || 1 + n % {sessions}, 'auth0|' || lpad(to_hex(1 + n % {people}), 24, '0'), 'app-' || n % {applications}, 'Bench', '', 'user',
    ('10.' || n % 200 || '.' || n % 250 || '.1')::inet, 'Mozilla/5.0', '{{}}'
FROM generate_series(1, {lines}) n""",
    """
INSERT INTO logout_app_logoutevent (id, at, initiator, actor, sub, sessions_ended, families_revoked, data, user_id)
SELECT id, ended_at, CASE WHEN id % 1000 = 1 THEN 'account-deleted' ELSE 'rp-logout' END, 'user',
    'auth0|' || lpad(to_hex(user_id), 24, '0'), 1, 1, '{{}}', user_id
FROM sessions_app_ssosession WHERE ended_at IS NOT NULL""",
    """
INSERT INTO logout_app_logoutdelivery (event_id, session_id, application_id, receiver, client_id, sub, sid, channel, state, created_at,
    due_at, finished_at, fence, attempts, last_status, last_reason)
SELECT e.id, e.id, a.id, 'app:' || a.id, a.client_id, e.sub, 'sid-' || e.id, 'backchannel',
    CASE WHEN (e.id + a.id) % 5000 = 0 THEN 'dead' ELSE 'delivered' END, e.at, e.at, e.at, 1, 1, 200, ''
FROM logout_app_logoutevent e JOIN LATERAL (
    SELECT id, client_id FROM idp_application WHERE client_id LIKE 'app-%' ORDER BY id OFFSET e.id % 10 LIMIT 5) a ON true""",
)
SEQUENCES = ("idp_user", "idp_identity", "sessions_app_ssosession", "logout_app_logoutevent")


@dataclass(frozen=True, slots=True)
class Listing:
    name: str
    path: Callable[[], str]
    pages: int = 0  # checkpoints that are followed before it is asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--keep", action="store_true", help="ask what is in the database already")
    parser.add_argument("--only", default="", help="listings whose name has this in it")
    options = parser.parse_args()
    filling.prepare("curfew_listings")
    size = {"people": PEOPLE, "sessions": SESSIONS, "lines": LINES}
    size = {name: max(2000, int(count * options.scale)) for name, count in size.items()}
    if not options.keep:
        fill(size)
    ask = Asker()
    asked = (listing for listing in listings(size) if options.only in listing.name)
    slow = [listing.name for listing in asked if ask.measured(listing, options.times) > GOAL]
    print(f"slower than {GOAL:.0f} ms at p95: {', '.join(slow) or 'none'}", flush=True)


def fill(size: dict[str, int]) -> None:
    types = "ARRAY[" + ", ".join(f"'{name}'" for name in TYPES) + "]"
    given = size | {"types": types, "kinds": len(TYPES), "rare": RARE}
    filling.empty_database()
    filling.configure()
    with filling.unbounded():
        filling.write((*filling.PEOPLE, *map(filling.Rows, ROWS)), given)
        filling.go_on(SEQUENCES)
    print(size, flush=True)


class Asker:
    """A program that may read everything."""

    def __init__(self) -> None:
        from django.test import Client
        from django.utils import timezone

        from idp.applications import management_api
        from idp.limits.limiter import Limit
        from idp.models import Application, ClientGrant
        from idp.protocol.opaque import digest, new_secret
        from idp.tenants import management
        from logout_app.api.frame import pace
        from sessions_app.models import AccessToken

        pace.LIMIT = Limit("bench", 10**9, 2)
        pace.FREE = 10**9  # requests of a moment that are not counted
        raw, scopes = new_secret(), list(management_api.SCOPES)
        program = Application.objects.create(
            client_id=f"program-{secrets.token_hex(4)}", name="program", app_type="non_interactive", client_secret=raw
        )
        ClientGrant.objects.create(application=program, resource_server=management.ensure(), scope=scopes)
        AccessToken.rows.bulk_create(
            [
                AccessToken(
                    token="",
                    token_checksum=digest(raw),
                    scope=" ".join(scopes),
                    audience=management_api.audience(),
                    application=program,
                    expires=timezone.now() + timedelta(days=1),
                )
            ]
        )
        self.client = Client(headers={"host": "127.0.0.1:18351", "authorization": f"Bearer {raw}"})

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v2/{path}")
        assert answer.status_code == 200, (path, answer.status_code, answer.content[:300])
        return answer.json()

    def measured(self, listing: Listing, times: int) -> float:
        """p95 in ms. The first two are not counted: plans, and what is read once."""
        took = []
        for number in range(times + 2):
            path = self._beyond(listing.path(), listing.pages)
            began = time.perf_counter()
            found = self.get(path)
            if number > 1:
                took.append((time.perf_counter() - began) * 1000)
        quantiles = statistics.quantiles(took, n=20)
        print(
            f"{listing.name:58} p50 {quantiles[9]:7.1f} ms  p95 {quantiles[18]:7.1f} ms{'  slow' if quantiles[18] > GOAL else ''}"
            f"   {rows_of(found)} rows",
            flush=True,
        )
        return quantiles[18]

    def _beyond(self, path: str, pages: int) -> str:
        for _ in range(pages):
            found = self.get(path)
            if "next" not in found:
                break
            path = f"{path.partition('&from=')[0]}&from={found['next']}"
        return path


def rows_of(found: Any) -> int:
    if isinstance(found, list):
        return len(found)
    if isinstance(found, dict):
        return next((len(value) for value in found.values() if isinstance(value, list)), 1)
    return 1


def listings(size: dict[str, int]) -> Iterator[Listing]:
    def person() -> str:
        return f"auth0%7C{random.randint(1, size['people']):024x}"

    def one() -> int:
        return random.randint(1, size["people"])

    last = size["people"] // 100 - 1
    ends = size["sessions"] * 2 // 3
    yield from people(person, one, last)
    yield from lines(person, one, size)
    yield Listing("a person's sessions", lambda: f"users/{person()}/sessions?take=50")
    yield Listing("a person's refresh tokens", lambda: f"users/{person()}/refresh-tokens?take=50")
    yield Listing("refresh tokens of a person", lambda: f"refresh-tokens?user_id={person()}&take=50")
    yield Listing("device credentials of a person", lambda: f"device-credentials?user_id={person()}&type=refresh_token")
    yield Listing("grants", lambda: "grants?per_page=100&include_totals=true")
    yield Listing("grants, last page", lambda: f"grants?per_page=100&page={last}&include_totals=true")
    yield Listing("grants of a person", lambda: f"grants?user_id={person()}")
    yield Listing(
        "grants of an application", lambda: f"grants?client_id=app-{one() % APPLICATIONS}&include_totals=true"
    )
    yield Listing("logout events", lambda: "logout-events?take=100")
    yield Listing("logout events, from the middle on", lambda: f"logout-events?take=100&from={checkpoint(ends // 2)}")
    yield Listing("logout events of a person", lambda: f"logout-events?take=100&user_id={person()}")
    yield Listing("logout events of a rare initiator", lambda: "logout-events?take=100&initiator=account-deleted")
    yield Listing("logout events of no such initiator", lambda: "logout-events?take=100&initiator=nothing")
    yield Listing("deliveries", lambda: "deliveries?take=100")
    yield Listing("deliveries, from the middle on", lambda: f"deliveries?take=100&from={checkpoint(ends * 5 // 2)}")
    yield Listing("deliveries that are dead", lambda: "deliveries?take=100&state=dead")
    yield Listing("deliveries that wait", lambda: "deliveries?take=100&state=pending")
    yield Listing("deliveries to an application", lambda: f"deliveries?take=100&client_id=app-{one() % APPLICATIONS}")
    yield Listing("deliveries to nobody", lambda: "deliveries?take=100&client_id=nobody")
    yield Listing("deliveries about a person", lambda: f"deliveries?take=100&user_id={person()}")
    yield Listing("deliveries of a session", lambda: f"deliveries?take=100&session_id=sid-{one()}")
    yield Listing("deliveries of an end", lambda: f"deliveries?take=100&event_id={one()}")
    yield Listing("dead deliveries about a person", lambda: f"deliveries?take=100&state=dead&user_id={person()}")
    yield Listing("stats/active-users", lambda: "stats/active-users")
    yield Listing("stats/daily, a month", lambda: "stats/daily")
    for name in ("clients", "client-grants", "connections", "resource-servers", "roles"):
        yield Listing(name, lambda name=name: f"{name}?per_page=100&include_totals=true")  # type: ignore[misc]
    for name in ("log-streams", "event-streams", "user-blocks?identifier=person1@bench.example"):
        yield Listing(name.partition("?")[0], lambda name=name: name)  # type: ignore[misc]


def people(person: Callable[[], str], one: Callable[[], int], last: int) -> Iterator[Listing]:
    for name, query in (("", ""), (" with totals", "&include_totals=true")):
        yield Listing(f"users{name}", lambda query=query: f"users?per_page=100{query}")  # type: ignore[misc]
        yield Listing(f"users, last page{name}", lambda query=query: f"users?per_page=100&page={last}{query}")  # type: ignore[misc]
        for field in ("created_at", "updated_at", "email", "user_id"):
            for page in (0, last):
                yield Listing(
                    f"users by {field}, page {page}{name}",
                    lambda field=field, page=page, query=query: (  # type: ignore[misc]
                        f"users?per_page=100&page={page}&sort={field}:-1{query}"
                    ),
                )
    yield Listing("users, from the middle on", lambda: f"users?take=100&from={checkpoint(last * 50)}")
    asked = {
        "email": lambda: f"email:person{one()}@bench.example",
        "email that begins": lambda: f"email:person{one()}*",
        "name": lambda: f'name:"Person {one()}"',
        "name that begins": lambda: "name:Person*",
        "given_name": lambda: f"given_name:given{one() % 500}",
        "family_name that begins": lambda: f"family_name:family{one() % 5000}*",
        "nickname": lambda: f"nickname:p{one()}",
        "user_id": lambda: f'user_id:"{person().replace("%7C", "|")}"',
        "an account's user_id": lambda: f"identities.user_id:{one():024x}",
        "a connection": lambda: "identities.connection:Bench",
        "blocked": lambda: "blocked:true",
        "not verified, not blocked": lambda: "email_verified:false AND NOT blocked:true",
        "nobody": lambda: "email:nobody@bench.example",
        "nobody's name": lambda: "name:nobody",
    }
    for name, q in asked.items():
        yield Listing(
            f"users by q: {name}",
            lambda q=q: f"users?q={quoted(q())}&per_page=100&include_totals=true",  # type: ignore[misc]
        )
    yield Listing(
        "users by q and sort, last page",
        lambda: f"users?q={quoted('email_verified:true')}&sort=email:1&per_page=100&page={last * 2 // 3 - 1}",
    )
    yield Listing("users-by-email", lambda: f"users-by-email?email=person{one()}@bench.example")


def lines(person: Callable[[], str], one: Callable[[], int], size: dict[str, int]) -> Iterator[Listing]:
    yield Listing("logs", lambda: "logs?per_page=100&include_totals=true")
    yield Listing("logs, page 9", lambda: "logs?per_page=100&page=9&include_totals=true")
    yield Listing("logs by a checkpoint in the middle", lambda: f"logs?take=100&from={size['lines'] // 2}")
    asked = {
        "type": lambda: "type:s",
        "a rare type": lambda: f"type:{RARE}",
        "no such type": lambda: "type:nothing",
        "user_id": lambda: f'user_id:"{person().replace("%7C", "|")}"',
        "client_id": lambda: f"client_id:app-{one() % APPLICATIONS}",
        "no such client_id": lambda: "client_id:nobody",
        "connection": lambda: "connection:Bench",
        "no such connection": lambda: "connection:nothing",
        "ip": lambda: f"ip:10.{one() % 200}.{one() % 250}.1",
        "no such ip": lambda: "ip:192.0.2.1",
        "session_id": lambda: f"session_id:sid-{one()}",
        "no such actor": lambda: "actor:nobody",
        "type and user_id": lambda: f'type:s AND user_id:"{person().replace("%7C", "|")}"',
        "type and no such client_id": lambda: "type:s AND client_id:nobody",
    }
    for name, q in asked.items():
        yield Listing(f"logs by q: {name}", lambda q=q: f"logs?q={quoted(q())}&per_page=100&include_totals=true")  # type: ignore[misc]
        yield Listing(
            f"logs by q from a checkpoint: {name}",
            lambda q=q: f"logs?q={quoted(q())}&take=100&from={size['lines'] // 2}",  # type: ignore[misc]
        )
    yield Listing("logs of a person", lambda: f"users/{person()}/logs?per_page=100&include_totals=true")


def quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def checkpoint(key: int) -> str:
    """As `logout_app/api/frame/paging.py` writes one."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(f"k{key}".encode()).decode().rstrip("=")


if __name__ == "__main__":
    main()
