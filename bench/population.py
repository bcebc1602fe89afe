"""A large installation in rows: a million people, two million sessions, ten million tokens, ten million lines of the trail.

    python bench/population.py                     all of it: about twenty minutes, 15 GB
    python bench/population.py --scale 0.01        a small one, to compare with
    python bench/population.py --sizes             what is there: rows and bytes of each table

DATABASE_URL names a PostgreSQL database of its own, which is made and overwritten (by a superuser, who alone may write without
asking foreign keys). `bench/scale.py` compares the hot statements of two such databases, `bench/purging.py` purges one.

Sessions opened evenly over the last 120 days; two of five are alive. Each has one or two applications, a code, a family of refresh
tokens with its generations and an access token for each, and five lines of the trail. Of those that ended an application was told.
What a browser or an application would hold is known, so that they can go on: the cookie of session 7 is `cookie-7`, the refresh
token of its family's second generation `refresh-7-1`, the access token `access-7-1`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import filling  # noqa: E402
from bench.filling import APPLICATIONS, CLIENTS, Rows  # noqa: E402

PEOPLE, SESSIONS, LINES_OF_SEAL = 1_000_000, 2_000_000, 500
DAYS, GENERATIONS = 120, 4
SPREAD = 7919  # whose session comes after whose
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
LONG = DAYS * 2 * 24 * 60  # minutes that sessions may live, so that the oldest of those that are alive are

# Session n of person {person} at {at}; it is alive, or it ended an hour later.
ALIVE, OFFLINE = "n % 5 < 2", "n % 2 = 0"
AT = f"now() - interval '{DAYS} days' * (1 - n::float / {{sessions}})"
NUMBERS = f"""(SELECT n, {AT} AS at, (1 + n::bigint * {SPREAD} % {{people}})::int AS person, {ALIVE} AS alive, {OFFLINE} AS offline,
    ('10.' || n % 200 || '.' || n % 250 || '.1')::inet AS ip, n % {GENERATIONS} AS newest
    FROM generate_series({{first}}, {{last}}) n) s"""
APPLICATION = "JOIN idp_application a ON a.client_id = 'app-' || n % {applications}"
CONNECTION = "(SELECT min(id) FROM idp_connection)"
SUB = "'auth0|' || lpad(to_hex(person), 24, '0')"


def digest(text: str) -> str:
    return f"encode(sha256(({text})::bytea), 'hex')"


# The trail's five lines of a session: type, seconds after it opened, and what is different for one that ended.
LINES = (
    "(VALUES (0, 'opened', 0), (1, 'joined', 0), (2, 'code_issued', 0), (3, 'tokens_issued', 1), (4, 'ended', 3600))"
)
ROWS = (
    Rows(
        f"""
INSERT INTO sessions_app_ssosession (id, sid, cookie_hash, created_at, auth_time, amr, last_seen_at, idle_expires_at, expires_at,
    initial_ip, initial_user_agent, last_ip, last_user_agent, upstream_sid, upstream, metadata, ended_at, end_initiator, end_actor,
    connection_id, identity_id, last_application_id, user_id)
SELECT n, 'sid-' || lpad(n::text, 28, '0'), {digest("'cookie-' || n")}, at, at, '[{{{{"name": "pwd"}}}}]', at,
    now() + interval '3 days', now() + interval '7 days', ip, '{AGENT}', ip, '{AGENT}', '', '{{{{}}}}', '{{{{}}}}',
    CASE WHEN NOT alive THEN at + interval '1 hour' END, CASE WHEN alive THEN '' ELSE 'rp-logout' END,
    CASE WHEN alive THEN '' ELSE 'user' END, {CONNECTION}, person, a.id, person
FROM {NUMBERS} {APPLICATION}""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO sessions_app_sessionclient (joined_at, application_id, session_id)
SELECT at, a.id, n FROM {NUMBERS} CROSS JOIN generate_series(0, 1) more
JOIN idp_application a ON a.client_id = 'app-' || (n + more * 7) % {{applications}} WHERE more = 0 OR n % 2 = 0 ORDER BY n""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO sessions_app_authorizationcode (id, code, expires, redirect_uri, scope, created, updated, code_challenge,
    code_challenge_method, nonce, claims, resource, audience, used_at, application_id, session_id, user_id)
SELECT n, {digest("'code-' || n")}, at + interval '1 minute', '{{callback}}', 'openid offline_access', at, at,
    left({digest("'verifier-' || n")}, 43), 'S256', left({digest("'nonce-' || n")}, 32), '', '[]', '', at + interval '1 second',
    a.id, n, person
FROM {NUMBERS} {APPLICATION}""",
        "sessions",
    ),
    Rows(  # that of a session that ended is dead with it; one that is asked for offline goes on until nobody refreshes it any more
        f"""
INSERT INTO sessions_app_refreshtokenfamily (id, public_id, offline, rotating, scope, audience, sid, auth_time, generation, rotated_at,
    created_at, last_exchanged_at, idle_expires_at, expires_at, initial_ip, initial_user_agent, last_ip, last_user_agent,
    revoke_reason, revoked_at, application_id, code_id, user_id, session_id)
SELECT n, 'rt_' || lpad(n::text, 24, '0'), offline, true, 'openid offline_access', '', 'sid-' || lpad(n::text, 28, '0'), at, newest,
    at + interval '1 hour' * newest, at, at + interval '1 hour' * newest,
    CASE WHEN alive THEN now() + interval '15 days' ELSE at + interval '15 days' END,
    CASE WHEN alive THEN now() + interval '30 days' ELSE at + interval '30 days' END,
    ip, '{AGENT}', ip, '{AGENT}', CASE WHEN n % 10 = 9 THEN 'rp-logout' ELSE '' END,
    CASE WHEN n % 10 = 9 THEN at + interval '1 hour' END, a.id, n, person, n
FROM {NUMBERS} {APPLICATION}""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO sessions_app_refreshtoken (token, token_checksum, resource, created, updated, generation, application_id, family_id, user_id)
SELECT '', {digest("'refresh-' || n || '-' || g")}, '[]', at + interval '1 hour' * g, at + interval '1 hour' * g, g, a.id, n, person
FROM {NUMBERS} {APPLICATION} CROSS JOIN generate_series(0, {GENERATIONS - 1}) g WHERE g <= newest ORDER BY n, g""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO sessions_app_accesstoken (token, token_checksum, expires, scope, resource, created, updated, audience, application_id,
    code_id, family_id, session_id, user_id)
SELECT '', {digest("'access-' || n || '-' || g")},
    CASE WHEN alive AND g = newest THEN now() + interval '1 day' ELSE at + interval '1 hour' * (g + 24) END,
    'openid offline_access', '[]', at + interval '1 hour' * g, at + interval '1 hour' * g, '', a.id, n, n, n, person
FROM {NUMBERS} {APPLICATION} CROSS JOIN generate_series(0, {GENERATIONS - 1}) g WHERE g <= newest ORDER BY n, g""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO sessions_app_sessionevent (id, at, type, sid, sub, client_id, connection, initiator, actor, ip, user_agent, data)
SELECT (n - 1) * 5 + 1 + line, at + interval '1 second' * later, CASE WHEN alive AND line = 4 THEN 'tokens_refreshed' ELSE type END,
    'sid-' || lpad(n::text, 28, '0'), {SUB}, 'app-' || n % {{applications}}, 'Bench',
    CASE WHEN NOT alive AND line = 4 THEN 'rp-logout' ELSE '' END, 'user', ip, '{AGENT}', '{{{{}}}}'
FROM {NUMBERS} CROSS JOIN {LINES} lines(line, type, later)""",
        "sessions",
    ),
    Rows(
        """
INSERT INTO sessions_app_auditseal (after, last, lines, newest_at, previous, digest, key_id, at)
SELECT min(id) - 1, max(id), count(*), max(at), md5(((id - 1) / {sealed})::text), md5(((id - 1) / {sealed} + 1)::text), 'bench', max(at)
FROM sessions_app_sessionevent WHERE id BETWEEN ({first} - 1) * 5 + 1 AND {last} * 5 GROUP BY (id - 1) / {sealed}""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO logout_app_logoutevent (id, at, initiator, actor, sub, sessions_ended, families_revoked, data, user_id)
SELECT n, at + interval '1 hour', 'rp-logout', 'user', {SUB}, 1, 0, '{{{{}}}}', person FROM {NUMBERS} WHERE NOT alive""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO logout_app_logoutdelivery (id, event_id, session_id, application_id, receiver, client_id, sub, sid, channel, state,
    created_at, due_at, finished_at, fence, attempts, last_status, last_reason)
SELECT n, n, n, a.id, 'app:' || a.id, a.client_id, {SUB}, 'sid-' || lpad(n::text, 28, '0'), 'backchannel',
    CASE WHEN n % 1000 = 7 THEN 'dead' ELSE 'delivered' END, at + interval '1 hour', at + interval '1 hour', at + interval '1 hour',
    1, 1, 200, '' FROM {NUMBERS} {APPLICATION} WHERE NOT alive""",
        "sessions",
    ),
    Rows(
        f"""
INSERT INTO logout_app_deliveryattempt (delivery_id, number, started_at, duration_ms, status, outcome, reason, url, jti)
SELECT n, 1, at + interval '1 hour', 30, 200, 'delivered', '', 'http://127.0.0.1:9/logout', left({digest("'jti-' || n")}, 22)
FROM {NUMBERS} WHERE NOT alive""",
        "sessions",
    ),
)
TABLES = (
    "idp_user",
    "idp_identity",
    "sessions_app_ssosession",
    "sessions_app_sessionclient",
    "sessions_app_authorizationcode",
    "sessions_app_refreshtokenfamily",
    "sessions_app_refreshtoken",
    "sessions_app_accesstoken",
    "sessions_app_sessionevent",
    "sessions_app_auditseal",
    "logout_app_logoutevent",
    "logout_app_logoutdelivery",
    "logout_app_deliveryattempt",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--sizes", action="store_true", help="only say what is there")
    options = parser.parse_args()
    filling.prepare("curfew_population")
    if not options.sizes:
        filling.empty_database()
        configure()
        with filling.unbounded():
            write(size(options.scale))
    print_sizes()


def size(scale: float) -> dict[str, int]:
    return {"people": max(100, int(PEOPLE * scale)), "sessions": max(200, int(SESSIONS * scale))}


def configure() -> None:
    filling.configure(
        session_lifetime_in_minutes=LONG, idle_session_lifetime_in_minutes=LONG, max_sessions_per_user=10_000
    )


def write(size: dict[str, int], step: int = filling.STEP) -> None:
    given = {**size, "callback": filling.CALLBACK, "sealed": LINES_OF_SEAL}
    with filling.unasked(TABLES):
        filling.write((*filling.PEOPLE, *ROWS), given, step)
    filling.go_on(TABLES)


def client_of(session: int) -> dict[str, str]:
    """The application that this session's code and tokens are for."""
    return CLIENTS[session % APPLICATIONS]


def refresh_token_of(session: int) -> str:
    return f"refresh-{session}-{session % GENERATIONS}"


def access_token_of(session: int) -> str:
    return f"access-{session}-{session % GENERATIONS}"


def living(sessions: int, people: int) -> list[int]:
    """Numbers of sessions that are alive, with a family that is: each fiftieth person is blocked, each tenth family revoked."""
    return [n for n in range(1, sessions + 1) if n % 5 < 2 and n % 10 != 9 and person_of(n, people) % 50]


def person_of(session: int, people: int) -> int:
    return 1 + session * SPREAD % people


def print_sizes() -> None:
    from django.db import connection

    print(f"{'table':38}{'rows':>12}{'bytes/row':>12}{'with indexes':>14}{'MB':>9}{'indexes':>9}")
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                f"SELECT count(*), pg_table_size('{table}'), pg_indexes_size('{table}'), "
                f"(SELECT count(*) FROM pg_indexes WHERE tablename = '{table}') FROM {table}"
            )
            rows, heap, indexes, number = cursor.fetchone()
            per = max(rows, 1)
            print(
                f"{table:38}{rows:>12,}{heap / per:>12.0f}{(heap + indexes) / per:>14.0f}{(heap + indexes) / 1e6:>9.0f}{number:>9}"
            )


if __name__ == "__main__":
    main()
