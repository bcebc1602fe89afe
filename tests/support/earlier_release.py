"""What a web server and a worker of an earlier release write to the tables of deliveries, and nothing else of them.

The columns and conditions are spelt out as that release has them, and stay so when the models change: this file is written
anew when a release is out. As a program it is the worker: it claims, posts and records until it is killed.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import django
import requests

LEASE = timedelta(seconds=10)
BATCH = 20

END = "UPDATE sessions_app_ssosession SET ended_at = %s, end_initiator = 'rp-logout', end_actor = 'user' WHERE id = %s"
EVENT = """
INSERT INTO logout_app_logoutevent (at, initiator, actor, user_id, sub, sessions_ended, families_revoked, data)
SELECT %s, 'rp-logout', 'user', person.id, person.user_id, 1, 0, '{}'
FROM idp_user person JOIN sessions_app_ssosession session ON session.user_id = person.id WHERE session.id = %s
RETURNING id"""
PLAN = """
INSERT INTO logout_app_logoutdelivery (
    event_id, session_id, application_id, client_id, sub, sid, channel, state,
    created_at, due_at, fence, attempts, last_reason
)
SELECT %s, session.id, application.id, application.client_id, person.user_id, session.sid, 'backchannel', 'pending',
    %s, %s, 0, 0, ''
FROM sessions_app_sessionclient joined
JOIN sessions_app_ssosession session ON session.id = joined.session_id
JOIN idp_user person ON person.id = session.user_id
JOIN idp_application application ON application.id = joined.application_id
WHERE session.id = %s"""
CLAIM = """
WITH picked AS (
    SELECT id FROM logout_app_logoutdelivery
    WHERE state = 'pending' AND NOT (channel = 'frontchannel') AND (attempts = 0 OR due_at <= %s)
        AND (lease_until IS NULL OR lease_until <= %s)
    ORDER BY due_at, id LIMIT {batch} {lock}
)
UPDATE logout_app_logoutdelivery SET lease_until = %s, fence = fence + 1, attempts = attempts + 1
WHERE id IN (SELECT id FROM picked)
RETURNING id, fence, attempts, sub, sid,
    (SELECT backchannel_logout_uri FROM idp_application application WHERE application.id = application_id)"""
RECORD = """
UPDATE logout_app_logoutdelivery
SET state = 'delivered', lease_until = NULL, last_status = 200, last_reason = '', finished_at = %s
WHERE id = %s AND fence = %s AND state = 'pending'"""
ATTEMPT = """
INSERT INTO logout_app_deliveryattempt
    (delivery_id, number, started_at, duration_ms, status, outcome, reason, url, jti)
VALUES (%s, %s, %s, 1, 200, 'delivered', '', %s, %s)"""


def sign_out(session_pk: int, at: datetime) -> None:
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(END, [at, session_pk])
        cursor.execute(EVENT, [at, session_pk])
        event = cursor.fetchone()[0]
        cursor.execute(PLAN, [event, at, at, session_pk])


def claim() -> list[Any]:
    from django.db import connection
    from django.utils import timezone

    lock = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM.format(batch=BATCH, lock=lock), [now, now, now + LEASE])
        return cursor.fetchall()


def send(row: Any) -> str:
    """Returns the `jti`. Who reads the token here asks for no signature."""
    *_, sub, sid, url = row
    jti = secrets.token_urlsafe()
    claims = base64.urlsafe_b64encode(json.dumps({"sub": sub, "sid": sid, "jti": jti}).encode()).decode().rstrip("=")
    requests.post(url, data={"logout_token": f"e30.{claims}."}, timeout=5).raise_for_status()
    return jti


def record(row: Any, jti: str) -> None:
    from django.db import connection, transaction
    from django.utils import timezone

    number, fence, attempts, *_, url = row
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RECORD, [now, number, fence])
        cursor.execute(ATTEMPT, [number, attempts, now, url, jti])


def work() -> None:
    recorded = 0
    with ThreadPoolExecutor(BATCH) as pool:
        while True:
            rows = claim()
            for row, jti in zip(rows, pool.map(send, rows), strict=True):
                record(row, jti)
                recorded += 1
            if rows:
                sys.stdout.write(f"recorded {recorded}\n")
                sys.stdout.flush()
            else:
                time.sleep(0.1)


if __name__ == "__main__":
    django.setup()
    work()
