"""Two Curfews that tell each other: a sign-out in one ends the session in the other, and is not told to and fro for ever."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import wait_until
from tests.support.stack import Stack, embedded

pytestmark = pytest.mark.once
WITHIN = 2.0  # seconds, as promised
MARGIN = 3  # for a machine that is slower

BEGIN = """
import json
from django.utils import timezone
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.models import Connection, Identity, User
from logout_app.shared_signals import connect
from idp.connections import shared_signals
from logout_app.ending.end import Selection, end_sessions
from idp.protocol.initiators import Initiator
from tests.support import event_streams
from tests.support.factories import make_session, make_user
"""
RECEIVER = """
application = event_streams.make_receiver("The other Curfew")
person = make_user("told@fabrikamcorp.com")
print(json.dumps({"token": event_streams.bearer(application), "sub": person.user_id}))
"""
CONNECTION = """
signals = {"issuer": given["issuer"], "method": "push"}
endpoints = {n: given["issuer"] + n for n in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
row = Connection(name="other", strategy="oidc", options={"issuer": given["issuer"], "client_id": "x", **endpoints, "shared_signals": signals})
row.sealed_options = {"shared_signals_token": seal(given["token"], secret_context("other", "shared_signals_token"))}
row.save()
person = User.objects.get(email="told@fabrikamcorp.com")
Identity.objects.create(user=person, connection=row, sub=given["sub"], login=None, email="")
stream = connect.connect(row, shared_signals.of(row), actor="admin:boss", at=timezone.now())
session = make_session(person, identity=person.identities.get(connection=row), connection=row)
print(json.dumps({"sid": session.sid, "stream": stream.stream_id}))
"""
SIGN_OUT = """
from sessions_app.models import SSOSession
pk = SSOSession.objects.get(sid=given["sid"]).pk
end_sessions(Selection.sessions([pk]), initiator=Initiator.RP_LOGOUT, actor="user", at=timezone.now(), offline_tokens=False)
print(json.dumps({}))
"""


def act(stack: Stack, script: str, **given: str) -> dict[str, Any]:
    said = stack.run("shell", "--verbosity", "0", "-c", f"given = {given!r}\n{BEGIN}{script}")
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return found


def read(stack: Stack, sql: str, *values: str) -> list[Any]:
    with sqlite3.connect(f"file:{next(stack.data.glob('*.sqlite3'))}?mode=ro", uri=True) as database:
        return [row[0] for row in database.execute(sql, values)]


def ended_at(stack: Stack, sid: str) -> datetime | None:
    [at] = read(stack, "SELECT ended_at FROM sessions_app_ssosession WHERE sid = ?", sid)
    return datetime.fromisoformat(at) if at else None


def test_a_sign_out_in_one_ends_the_session_in_the_other_within_two_seconds_and_never_loops(tmp_path: Path) -> None:
    settings = {"CURFEW_DEMO": "0", "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128"}
    with embedded(tmp_path / "one", **settings) as one, embedded(tmp_path / "two", **settings) as two:
        known = {stack.port: act(stack, RECEIVER) for stack in (one, two)}
        here, there = (
            act(stack, CONNECTION, issuer=other.issuer, **known[other.port])
            for stack, other in ((one, two), (two, one))
        )
        act(one, SIGN_OUT, sid=here["sid"])
        wait_until(lambda: ended_at(two, there["sid"]), 30)
        first, second = ended_at(one, here["sid"]), ended_at(two, there["sid"])
        assert first
        assert second
        assert 0 < (second - first).total_seconds() < WITHIN * MARGIN
        assert read(two, "SELECT end_initiator FROM sessions_app_ssosession WHERE sid = ?", there["sid"]) == [
            "shared-signal"
        ]
        echoes = "SELECT effect FROM logout_app_receivedsignal WHERE type LIKE '%session-revoked'"
        wait_until(lambda: read(one, echoes), 30)  # what the other one says in turn ends nothing any more
        quiet_from = time.monotonic() + WITHIN
        wait_until(lambda: time.monotonic() > quiet_from, WITHIN * MARGIN)
        assert len(read(one, echoes)) == len(read(two, echoes)) == 1
        assert len(read(one, "SELECT id FROM logout_app_logoutevent")) == 1
