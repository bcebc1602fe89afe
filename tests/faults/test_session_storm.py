"""A session is ended while everybody uses it, at two real web processes: afterwards nothing of it is alive, in any process.

What a storm waits for are the locks of one database; what another process knows is the same on both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import redis as redis_client
import requests
from django.conf import settings
from django.utils import timezone

from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import VERIFIER, code_for, credentials, exchange, refresh, request_params, tokens_for
from tests.support.processes import Installation, free_port

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 50
BEFORE, AFTER = 1.0, 2.0  # seconds of storm before and after the door


class Web:
    """One web process, as SDKs and a browser with the session's cookie see it."""

    def __init__(self, port: int) -> None:
        self.base = f"http://localhost:{port}"
        self.local = threading.local()

    @property
    def http(self) -> requests.Session:
        """A connection of its own for every thread."""
        if not hasattr(self.local, "http"):
            self.local.http = requests.Session()
        http: requests.Session = self.local.http
        return http

    def get(self, path: str, session: SSOSession, **params: str) -> requests.Response:
        cookie = {"Cookie": f"{settings.SSO_COOKIE_NAME}={session.raw_cookie}"}  # type: ignore[attr-defined]
        return self.http.get(f"{self.base}{path}", params=params, headers=cookie, allow_redirects=False, timeout=30)

    def post(self, path: str, **form: str) -> requests.Response:
        return self.http.post(f"{self.base}{path}", data=form, timeout=30)

    def refresh(self, app: Any, raw: str) -> requests.Response:
        return self.post("/oauth/token", grant_type="refresh_token", refresh_token=raw, **credentials(app))

    def introspect(self, app: Any, raw: str) -> bool:
        return bool(self.post("/oauth/introspect", token=raw, **credentials(app)).json()["active"])

    def userinfo(self, raw: str) -> int:
        return self.http.get(
            f"{self.base}/userinfo", headers={"Authorization": f"Bearer {raw}"}, timeout=30
        ).status_code

    def silent(self, app: Any, session: SSOSession, **changes: str) -> dict[str, str]:
        """The answer to prompt=none: a code, or an error."""
        answer = self.get("/authorize", session, **request_params(app, prompt="none", **changes))
        assert answer.status_code == 303, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@pytest.fixture
def webs(installation: Installation) -> Iterator[list[Web]]:
    ports = [installation.port, free_port()]
    for port in ports:
        installation.web(port)
    return [Web(port) for port in ports]


@pytest.mark.parametrize("offline", [False, True], ids=["logout", "everything"])
def test_nothing_is_alive_after_a_storm(installation: Installation, webs: list[Web], redis: Any, offline: bool) -> None:
    """50 threads refresh, introspect, sign in silently and ask ssodata while the session is ended.

    What began after the door had answered never succeeds; what was under way may, and has made nothing that lives.
    """
    app, user = make_application(), make_user()
    session = make_session(user)
    scope = "openid offline_access" if offline else "openid"
    given = [tokens_for(session, app, scope=scope) for _ in range(THREADS)]
    made: list[dict[str, str]] = list(given)
    wrong: list[str] = []
    worked: set[str] = set()
    ended, stop = threading.Event(), time.monotonic() + BEFORE + AFTER + 20

    def refreshing(web: Web, mine: dict[str, str]) -> bool:
        answer = web.refresh(app, mine["refresh_token"])
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            mine.update(answer.json())
            made.append(dict(mine))
        return answer.status_code == 200

    def introspecting(web: Web, mine: dict[str, str]) -> bool:
        return any([web.introspect(app, mine["access_token"]), web.introspect(app, mine["refresh_token"])])

    def signing_in(web: Web, mine: dict[str, str]) -> bool:
        answer = web.silent(app, session, scope=scope)
        if "code" not in answer:
            assert answer["error"] == "login_required"
            return False
        params = {"grant_type": "authorization_code", "redirect_uri": app.callbacks[0], "code": answer["code"]}
        exchanged = web.post("/oauth/token", code_verifier=VERIFIER, **params, **credentials(app))
        assert exchanged.status_code in (200, 400), exchanged.text
        if exchanged.status_code == 200:
            made.append(exchanged.json())
        return True

    def asking(web: Web, mine: dict[str, str]) -> bool:
        return bool(web.get("/user/ssodata", session).json()["sso"])

    acts: list[Callable[[Web, dict[str, str]], bool]] = [refreshing, introspecting, signing_in, asking]

    def hammer(number: int) -> None:
        web, act, mine = webs[number % 2], acts[number // 2 % len(acts)], dict(given[number])
        after = 0.0
        while time.monotonic() < stop and (not after or time.monotonic() < after + AFTER):
            known = ended.is_set()
            if known and not after:
                after = time.monotonic()
            if act(web, mine):
                worked.add(act.__name__)
                if known:
                    wrong.append(f"{act.__name__} at {web.base} after the door had answered")

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(hammer, number) for number in range(THREADS)]
        time.sleep(BEFORE)
        if offline:
            end_everything(user.pk)
        else:
            gone = webs[0].get("/v2/logout", session, client_id=app.client_id)
            assert gone.status_code == 302, gone.text
        ended.set()
        for future in running:
            future.result(60)
    assert worked == {act.__name__ for act in acts}
    assert wrong == []
    assert SSOSession.objects.get().ended_at
    redis_client.Redis.from_url(redis[1]).flushall()
    fresh = Web(free_port())
    installation.web(int(urlsplit(fresh.base).port or 0))
    assert alive(fresh, app, session, made) == []
    for web in webs:
        assert alive(web, app, session, made[-THREADS:]) == []


def end_everything(user_pk: int) -> None:
    """As an administrator's "revoke" or a Global Token Revocation does."""
    end_sessions(
        Selection.user(user_pk),
        initiator=Initiator.SESSION_REVOKED,
        actor="administrator",
        at=timezone.now(),
        offline_tokens=True,
    )


def alive(web: Web, app: Any, session: SSOSession, made: list[dict[str, str]]) -> list[str]:
    """What of these tokens and of the session's cookie is still worth something at this process."""
    found = [web.base + what for what, lives in (
        ("silent sign-in", "code" in web.silent(app, session)),
        ("ssodata", web.get("/user/ssodata", session).json()["sso"]),
    ) if lives]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        found += [f"{web.base}: access token" for live in pool.map(
            lambda body: web.userinfo(body["access_token"]) != 401 or web.introspect(app, body["access_token"]), made
        ) if live]  # fmt: skip
        found += [f"{web.base}: refresh token" for live in pool.map(
            lambda body: web.introspect(app, body["refresh_token"]) or web.refresh(app, body["refresh_token"]).ok, made
        ) if live]  # fmt: skip
    return found


@pytest.mark.once
def test_a_deleted_session_is_dead_at_the_next_request_in_every_process(webs: list[Web]) -> None:
    """No process keeps a copy."""
    app, session = make_application(), make_session(make_user())
    for web in webs:
        assert web.get("/user/ssodata", session).json()["sso"]
        assert "code" in web.silent(app, session)
    SSOSession.objects.filter(pk=session.pk).delete()
    for web in webs:
        assert web.get("/user/ssodata", session).json() == {"sso": False}
        assert web.silent(app, session)["error"] == "login_required"


@pytest.mark.once
def test_a_disabled_application_is_refused_at_once_in_every_process(webs: list[Web]) -> None:
    """The cached configuration of a process does not outlive a change at another one."""
    app, session = make_application(), make_session(make_user())
    for web in webs:
        assert "code" in web.silent(app, session)
    body = tokens_for(session, app)
    app.enabled = False
    app.save()
    for web in webs:
        assert web.refresh(app, body["refresh_token"]).json()["error"] == "invalid_client"


@pytest.mark.once
def test_a_spent_refresh_token_is_still_reuse_after_everything_was_restarted(
    installation: Installation, redis: Any
) -> None:
    """What was used is written in the database, not remembered by a process or by Redis."""
    app, session = make_application(), make_session(make_user())
    spent = tokens_for(session, app)["refresh_token"]
    newest = refresh(app, refresh(app, spent).json()["refresh_token"]).json()["refresh_token"]
    code = code_for(session, app)
    assert exchange(app, code).status_code == 200
    program = installation.web()
    worker = installation.worker()
    program.kill()
    worker.kill()
    redis_client.Redis.from_url(redis[1]).flushall()
    installation.web()
    web = Web(installation.port)
    assert web.refresh(app, spent).json()["error"] == "invalid_grant"
    assert web.refresh(app, newest).json()["error"] == "invalid_grant"
    assert RefreshTokenFamily.objects.filter(revoke_reason="reused").count() == 1
    replayed = web.post(
        "/oauth/token",
        grant_type="authorization_code",
        code=code,
        redirect_uri=app.callbacks[0],
        code_verifier=VERIFIER,
        **credentials(app),
    )
    assert replayed.json()["error"] == "invalid_grant"
    assert RefreshTokenFamily.objects.filter(revoke_reason="code_replayed").count() == 1
