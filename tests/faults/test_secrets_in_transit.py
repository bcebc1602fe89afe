"""What real processes say to their logs and to Redis, and what they do when Redis is gone."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import Any

import pytest
import redis as redis_client
import requests
from django.conf import settings

from idp.celery import app as celery
from idp.limits.limiter import ACCOUNT, KNOWN
from idp.processes import children
from logout_app import tasks
from tests.delivery.conftest import application, receiver  # noqa: F401  the same fixtures
from tests.faults.conftest import wait_for_delivered
from tests.support.factories import PASSWORD, make_application, make_session, make_user
from tests.support.oauth import refresh, request_params, tokens_for
from tests.support.processes import Installation
from tests.support.receiver import is_ready, wait_until

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]
MARY = "mary@fabrikamcorp.com"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def try_password(base: str, http: requests.Session, password: str) -> requests.Response:
    """One attempt at the login page, as a browser makes it."""
    page = http.get(f"{base}/login", timeout=30)
    fields = {"username": MARY, "password": password, "csrfmiddlewaretoken": TOKEN.findall(page.text)[0]}
    headers = {"Origin": base, "Referer": f"{base}/login"}
    return http.post(f"{base}/login", data=fields, headers=headers, allow_redirects=False, timeout=30)


def test_no_log_of_a_web_process_carries_what_travels_in_addresses(installation: Installation) -> None:
    """The request log, and granian's access log even when its variable is set. 4xx are logged as warnings."""
    app, session = make_application(), make_session(make_user())
    installation.environment["GRANIAN_LOG_ACCESS_ENABLED"] = "true"
    settings_of_port = {"DJANGO_SETTINGS_MODULE": "tests.settings", "CURFEW_LOG_LEVEL": "DEBUG"}
    argv = children.web().argv[1:]
    argv[argv.index("--port") + 1] = str(installation.port)
    program = installation.start("web", argv, **settings_of_port)
    base = f"http://localhost:{installation.port}"
    wait_until(lambda: is_ready(f"{base}/readyz"), 30, "the web server did not start")
    hint = tokens_for(session, app)["id_token"]
    cookie = {"Cookie": f"{settings.SSO_COOKIE_NAME}={session.raw_cookie}"}  # type: ignore[attr-defined]
    bad = request_params(app, state="secret-state", id_token_hint=hint, redirect_uri="https://secret.example/")
    for path, params in (
        ("/authorize", request_params(app, state="secret-state", nonce="secret-nonce", id_token_hint=hint)),
        ("/authorize", bad),
        ("/activate", {"user_code": "SECR-TCDE"}),
        ("/oidc/logout", {"id_token_hint": hint, "state": "secret-state", "logout_hint": session.sid}),
        ("/v2/logout", {"client_id": app.client_id, "returnTo": "https://secret.example/"}),
        ("/login", {"next": "/authorize?state=secret-state", "login_hint": "secret@fabrikamcorp.com"}),
        ("/account/password/reset/key/1-secret-key/", {}),
        ("/logout/secret-capability-of-a-sign-out-page-43-characters/status", {}),
        ("/nowhere", {"code": "secret-code"}),
    ):
        requests.get(f"{base}{path}", params=params, headers=cookie, allow_redirects=False, timeout=30)
    assert program.terminate(15) == 0
    assert '"event": "request_finished"' in program.text
    assert "GET /nowhere" in program.text
    for secret in ("secret", "SECR", hint, hint.split(".")[1], session.sid, session.raw_cookie):  # type: ignore[attr-defined]
        assert secret not in program.text, re.findall(f".*{re.escape(secret)}.*", program.text)


def test_redis_sees_no_token_no_person_and_no_session(
    installation: Installation,
    application: Any,  # noqa: F811
    receiver: Any,  # noqa: F811
    redis: Any,
) -> None:
    """MONITOR during a sign-in, a refresh, a sign-out, its deliveries, and Celery's tasks."""
    app, user = application(), make_user()
    session = make_session(user, app)
    seen: list[str] = []
    watcher = redis_client.Redis.from_url(redis[1], socket_timeout=None).monitor()

    def watch() -> None:
        with watcher as monitor, contextlib.suppress(redis_client.ConnectionError):  # Redis ends before we do
            seen.extend(str(command["command"]) for command in monitor.listen())

    threading.Thread(target=watch, daemon=True).start()
    installation.put_static_files()
    installation.web()
    worker = installation.worker()
    base = f"http://localhost:{installation.port}"
    with requests.Session() as http:
        assert try_password(base, http, "wrong").status_code == 200
        signed_in = try_password(base, http, PASSWORD)
        assert signed_in.status_code == 302
        secret_cookie = http.cookies[settings.SSO_COOKIE_NAME]
        body = tokens_for(session, app)
        newer = refresh(app, body["refresh_token"]).json()
        cookie = {"Cookie": f"{settings.SSO_COOKIE_NAME}={session.raw_cookie}"}  # type: ignore[attr-defined]
        requests.get(f"{base}/v2/logout", headers=cookie, allow_redirects=False, timeout=30)
    wait_for_delivered(1)
    with celery.connection_for_write(redis[1]) as broker:
        for task in (tasks.expire_sessions, tasks.purge_history):  # as beat sends them
            task.apply_async(connection=broker)
    wait_until(lambda: any("purge_history" in command for command in seen), 20, "no task was sent")
    assert worker.process.poll() is None
    traffic = "\n".join(seen)
    assert "curfew:bell" in traffic
    secrets = [*body.values(), *newer.values(), secret_cookie, session.sid, session.cookie_hash, user.user_id, PASSWORD]
    for secret in (str(value) for value in secrets):
        if len(secret) > 10 and not secret.startswith("openid"):
            assert secret not in traffic
    assert MARY not in traffic
    assert "fabrikamcorp" not in traffic
    assert tasks.expire_sessions.name in traffic


def test_guessing_is_limited_without_redis(installation: Installation, redis: Any) -> None:
    """The limiter is in the database; nothing becomes unlimited, and nobody is locked out, when Redis is gone."""
    make_user()
    installation.put_static_files()
    installation.web()
    base = f"http://localhost:{installation.port}"
    redis[0].kill()
    redis[0].wait()
    with requests.Session() as http:
        assert try_password(base, http, PASSWORD).status_code == 302
    answers = []
    begun = time.monotonic()
    for _ in range(ACCOUNT.count + KNOWN.count + 5):
        with requests.Session() as http:
            answers.append(try_password(base, http, "wrong").status_code)
    assert answers[-5:] == [429] * 5
    assert answers.count(200) == ACCOUNT.count + KNOWN.count  # this network is known: it has a budget of its own
    assert time.monotonic() - begun < 60
