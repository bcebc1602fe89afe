"""Keycloak's own transmitter of Shared Signals: people who sign in through it are signed out here by what it really sends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support.receiver import wait_until
from tests.support.stack import ROOT, Stack, embedded
from tests.support.upstreams import keycloak
from tests.support.upstreams.keycloak import REALM, Keycloak

pytestmark = pytest.mark.once
NAME = "corporate"
WITHIN = 180.0  # seconds; a second for its drain, 15 for a poll of ours

BEGIN = """
import json, sys, time, django; django.setup()
from django.utils import timezone
from idp.connections import shared_signals
from idp.connections.contract import UpstreamFault
from idp.models import Connection
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import connect
from sessions_app.models import SSOSession
row = Connection.objects.get(name="corporate")
options, now = shared_signals.of(row), timezone.now()
"""
# It is slow at first, and says 429 to who asks for a second test event within a second: an administrator presses again.
CONNECT = """
for press in range(20):
    try:
        connect.connect(row, options, actor="admin:boss", at=now)
        connect.verify(row, options, at=now)
        break
    except UpstreamFault as fault:
        print(fault.reason, file=sys.stderr)
        time.sleep(2)
else:
    sys.exit(1)
print(json.dumps(SignalStream.objects.values("stream_id", "method").get()))
"""
DISCONNECT = """
print(json.dumps(connect.disconnect(row, options, actor="admin:boss", at=now)))
"""
TOLD = """
stream = SignalStream.objects.first()
print(json.dumps({
    "verified": bool(stream and stream.verified_at), "status": stream.status if stream else "",
    "heard": list(ReceivedSignal.objects.order_by("pk").values_list("type", "effect", "sessions", "error", "reason")),
    "ended": [s.end_initiator for s in SSOSession.objects.order_by("pk")],
    "stale": [s.is_stale for s in SSOSession.objects.order_by("pk")],
}))
"""


def act(stack: Stack, script: str) -> Any:
    loopback = {"CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128"}  # as `up` lets the demo through
    environment = {**stack.environment, **loopback, "DJANGO_SETTINGS_MODULE": "idp.settings"}
    argv = [sys.executable, "-c", BEGIN + script]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{stack.log()}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def configure(stack: Stack, upstream: Keycloak, method: str) -> None:
    signals = {"issuer": upstream.issuer, "client_id": keycloak.RECEIVER, "method": method}
    options = {
        "issuer": upstream.issuer,
        "discovery_url": f"{upstream.issuer}/.well-known/openid-configuration",
        "client_id": keycloak.CLIENT,
        "client_secret": keycloak.SECRET,
        "shared_signals": signals,
        "shared_signals_secret": keycloak.SECRET,
    }
    file = stack.data / "keycloak.yaml"
    file.write_text(yaml.safe_dump({"connections": [{"name": NAME, "strategy": "oidc", "options": options}]}))
    stack.run("apply", str(file))


def signed_in(stack: Stack, upstream: Keycloak) -> requests.Session:
    browser = keycloak.browser()
    page = browser.get(f"{stack.issuer}login/upstream/{NAME}", timeout=60)
    upstream.sign_in(browser, page)
    assert is_in(stack, browser)
    return browser


def is_in(stack: Stack, browser: requests.Session) -> bool:
    return bool(browser.get(f"{stack.issuer}user/ssodata", timeout=60).json().get("sso"))


def test_what_keycloak_sends_signs_people_out_here(tmp_path: Path) -> None:
    with (
        embedded(tmp_path / "curfew") as stack,
        Keycloak(tmp_path, callback=f"{stack.issuer}login/callback", receiver=f"{stack.issuer}ssf/{NAME}/") as upstream,
    ):
        configure(stack, upstream, "push")
        assert act(stack, CONNECT)["method"] == "push"
        wait_until(lambda: act(stack, TOLD)["verified"], WITHIN)

        one, two = signed_in(stack, upstream), signed_in(stack, upstream)
        upstream.sign_out(one)
        wait_until(lambda: not is_in(stack, one), WITHIN)
        assert is_in(stack, two)  # the event named the other session

        mary = upstream.person
        again = {"type": "password", "value": keycloak.PASSWORD, "temporary": False}
        upstream.admin("PUT", f"/{REALM}/users/{mary}/reset-password", again)
        wait_until(lambda: act(stack, TOLD)["stale"] == [False, True], WITHIN)

        upstream.admin("POST", f"/{REALM}/users/{mary}/logout")  # names the session "ALL"
        wait_until(lambda: not is_in(stack, two), WITHIN)
        told = act(stack, TOLD)
        assert told["ended"] == ["shared-signal", "shared-signal"]
        assert not [line for line in told["heard"] if line[3]], told

        configure(stack, upstream, "poll")  # the stream that is there is changed
        assert act(stack, CONNECT)["method"] == "poll"
        three = signed_in(stack, upstream)
        upstream.admin("POST", f"/{REALM}/users/{mary}/logout")
        wait_until(lambda: not is_in(stack, three), WITHIN)
        told = act(stack, TOLD)
        assert told["verified"]
        assert not [line for line in told["heard"] if line[3]], told
        assert act(stack, DISCONNECT) == ""
