"""Everything at once for as long as one likes: people who sign in, refresh and sign out, a source that provisions, a transmitter that
signals, and programs that die meanwhile. What was ended is checked at once and in the end; what it took is written down.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import psutil
import requests
from django.conf import settings
from django.db import Error, connection

from idp.models import Application, Connection
from logout_app.protocol.percentiles import spread
from tests.protocol.gtr.support import make_federated_user
from tests.protocol.scim.support import PATCH, Scim, person
from tests.support.factories import PASSWORD, make_session
from tests.support.oauth import VERIFIER, credentials, request_params
from tests.support.processes import Program
from tests.support.sign_in import TOKEN
from tests.support.upstreams.scripted_transmitter import CAEP, ScriptedTransmitter

REVOKED = f"{CAEP}session-revoked"
PATIENCE = 90.0  # seconds for which one request is tried again while programs die
AGAIN = 0.3
OFF = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}


class GaveUp(Exception):
    """Of what a fault had left in doubt: a code that may be used up, a refresh token that may be exchanged."""


@dataclass
class Record:
    """What was seen, by all threads."""

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: list[tuple[float, str, str]] = field(default_factory=list)  # when (monotonic), what, why
    ended: set[str] = field(default_factory=set)  # sids whose end was answered
    alive: list[str] = field(default_factory=list)  # what an ended session could still do
    given_up: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # threads that ended by what nobody expected

    def table(self) -> dict[str, dict[str, float]]:
        return {
            what: {"count": len(found), "p50": of.p50, "p95": of.p95, "p99": of.p99, "slowest": of.slowest}
            for what, found in sorted(self.took.items())
            if (of := spread(found))
        }

    def outside(self, faults: list[tuple[str, float, float]], grace: float) -> list[str]:
        """Failures that no fault explains."""
        return [
            f"{what}: {why}"
            for at, what, why in self.failed
            if not any(begun <= at <= over + grace for _, begun, over in faults)
        ]


@dataclass
class Load:
    """`ports`: of the web servers, any of which is asked."""

    ports: list[int]
    application: Application
    people: list[str]
    scim: Scim
    signals: Connection
    transmitter: ScriptedTransmitter
    pause: float  # seconds between two walks of a thread
    record: Record = field(default_factory=Record)
    over: threading.Event = field(default_factory=threading.Event)
    _numbers: Any = field(default_factory=count)

    @contextmanager
    def running(self, walkers: int) -> Iterator[None]:
        walks = [*[self.signs_in] * walkers, self.is_provisioned, self.is_signalled]
        threads = [threading.Thread(target=self._walk, args=(walk,), name=walk.__name__) for walk in walks]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(PATIENCE + 30)

    def _walk(self, walk: Callable[[int], None]) -> None:
        try:
            while not self.over.is_set():
                try:
                    walk(next(self._numbers))
                except (GaveUp, Error) as failure:
                    self.record.given_up[f"{walk.__name__}: {str(failure)[:60]}"] += 1
                self.over.wait(self.pause)
        except Exception as error:
            self.record.broken.append(f"{walk.__name__}: {error!r}")
            raise
        finally:
            connection.close()

    # --- walks ---------------------------------------------------------------------------------------------------------
    def signs_in(self, number: int) -> None:
        browser = Browser(self, number)
        tokens = browser.signs_in(self.people[number % len(self.people)])
        tokens = self._refreshed(self._refreshed(tokens))
        browser.ask("sign-out", "GET", f"/v2/logout?{urlencode({'client_id': self.application.client_id})}")
        self._ended(tokens)

    def is_provisioned(self, number: int) -> None:
        browser = Browser(self, number)
        name = f"s{number}-{time.time_ns()}@acme.example"
        made = browser.ask("SCIM create", "POST", f"{self.scim.base}/Users", json=person(name), headers=self._bearer)
        if made.status_code == 409:
            raise GaveUp("made by the try before, whose answer was lost")
        key = made.json()["id"]
        tokens = self._refreshed(self._joined(browser, self.scim.user(key)))
        self._patch(
            browser, key, {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "x"}]}
        )
        self._patch(browser, key, OFF)
        self._ended(tokens)

    def is_signalled(self, number: int) -> None:
        browser, sub = Browser(self, number), f"t{number}"
        tokens = self._joined(browser, make_federated_user(self.signals, sub, f"{sub}@signals.example"))
        event = self.transmitter.token(REVOKED, sub_id=self.transmitter.subject(sub))
        headers = {"Content-Type": "application/secevent+jwt"}
        browser.ask("event", "POST", f"/ssf/{self.signals.name}/events", data=event, headers=headers)
        self._ended(tokens)

    # --- steps ---------------------------------------------------------------------------------------------------------
    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.scim.token}"}

    def _patch(self, browser: Browser, key: str, body: dict[str, Any]) -> None:
        browser.ask("SCIM change", "PATCH", f"{self.scim.base}/Users/{key}", json=body, headers=self._bearer)

    def _joined(self, browser: Browser, user: Any) -> dict[str, str]:
        """Tokens in a session as a sign-in upstream would have begun it."""
        session = make_session(user)
        browser.http.cookies.set(settings.SSO_COOKIE_NAME, session.raw_cookie)  # type: ignore[attr-defined]
        return browser.tokens(browser.asked("single sign-on", request_params(self.application, prompt="none")))

    def _refreshed(self, tokens: dict[str, str]) -> dict[str, str]:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            **credentials(self.application),
        }
        answer = Browser(self, next(self._numbers)).ask("refresh", "POST", "/oauth/token", data=form, fine={400})
        if answer.status_code == 400:
            raise GaveUp("a refresh token that was exchanged by the try before, whose answer was lost")
        return {**tokens, **answer.json()}

    def _ended(self, tokens: dict[str, str]) -> None:
        """At once nothing of it lives, at whichever server is asked."""
        self.record.ended.add(sid_of(tokens["id_token"]))
        browser = Browser(self, next(self._numbers))
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        if browser.ask("(dead access token)", "GET", "/userinfo", headers=headers, fine={401}).status_code != 401:
            self.record.alive.append(f"access token of {sid_of(tokens['id_token'])}")
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            **credentials(self.application),
        }
        if browser.ask("(dead refresh token)", "POST", "/oauth/token", data=form, fine={400}).status_code != 400:
            self.record.alive.append(f"refresh token of {sid_of(tokens['id_token'])}")


class Browser:
    """One client, which asks again, at whichever server answers, while programs die."""

    def __init__(self, load: Load, number: int) -> None:
        self.load, self.turn = load, number
        self.http = requests.Session()
        self.http.trust_env = False

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        *,
        fine: frozenset[int] | set[int] = frozenset(),
        once: bool = False,
        **more: Any,
    ) -> requests.Response:
        """An answer below 400, or one that is `fine`. Raises GaveUp for others, after PATIENCE or where `once` says so."""
        last = time.monotonic() + PATIENCE
        while True:
            address = f"http://localhost:{self.load.ports[self.turn % len(self.load.ports)]}"
            begun = time.monotonic()
            try:
                answer = self.http.request(method, urljoin(address, path), allow_redirects=False, timeout=30, **more)
            except requests.RequestException as error:
                why = type(error).__name__
            else:
                if answer.status_code < 400 or answer.status_code in fine:
                    self.load.record.took[what].append(time.monotonic() - begun)
                    return answer
                why = str(answer.status_code)
                if answer.status_code < 500 and answer.status_code != 409:
                    self.load.record.broken.append(f"{what}: {why} {answer.text[:200]}")
                    raise GaveUp(f"{what}: {why}")
            self.load.record.failed.append((time.monotonic(), what, why))
            if once or time.monotonic() > last or self.load.over.is_set():
                raise GaveUp(f"{what}: {why}")
            self.turn += 1
            time.sleep(AGAIN)

    def signs_in(self, email: str) -> dict[str, str]:
        asked = request_params(self.load.application)
        begun = time.monotonic()
        page = self.ask("(authorize)", "GET", f"/authorize?{urlencode(asked)}")
        path = page.headers["Location"]
        page = self.ask("(login page)", "GET", path)
        token = TOKEN.search(page.text)
        if token is None:
            raise GaveUp(f"no form at {path[:60]}")
        fields = {"username": email, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        fields |= dict(parse_qsl(urlsplit(path).query))
        referer = {"Referer": urljoin(f"http://localhost:{self.load.ports[self.turn % len(self.load.ports)]}", path)}
        answer = self.ask("(password)", "POST", path, data=fields, headers=referer, once=True)
        tokens = self.tokens(self._followed("(way back)", answer))
        self.load.record.took["sign-in"].append(time.monotonic() - begun)
        return tokens

    def asked(self, what: str, params: dict[str, Any]) -> str:
        """The code that an authorization request gives."""
        return self._followed(what, self.ask(what, "GET", f"/authorize?{urlencode(params)}"))

    def _followed(self, what: str, answer: requests.Response) -> str:
        for _ in range(6):
            where = answer.headers.get("Location", "")
            if where.startswith(self.load.application.callbacks[0]):
                said = dict(parse_qsl(urlsplit(where).query))
                if "code" not in said:
                    raise GaveUp(f"{what}: {said.get('error')}")
                return said["code"]
            if not where:
                raise GaveUp(f"{what}: {answer.status_code} {answer.url}")
            answer = self.ask(what, "GET", where)
        raise GaveUp(f"{what} goes round")

    def tokens(self, code: str) -> dict[str, str]:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        form |= {"redirect_uri": self.load.application.callbacks[0], **credentials(self.load.application)}
        found: dict[str, str] = self.ask("code", "POST", "/oauth/token", data=form, once=True).json()
        return found


def sid_of(id_token: str) -> str:
    from tests.support.receiver import claims_of

    return str(claims_of(id_token)["sid"])


class Sizes:
    """Resident memory of programs and all that they started, in MiB, by name; a row each time that it is asked."""

    def __init__(self, file: Path) -> None:
        self.file, self.begun = file, time.monotonic()
        self.rows: list[tuple[float, dict[str, float]]] = []

    def note(self, programs: dict[str, Program | int]) -> None:
        row = {
            name: _resident(program if isinstance(program, int) else program.process.pid)
            for name, program in programs.items()
        }
        self.rows.append((time.monotonic() - self.begun, row))
        with self.file.open("a") as file:
            file.write(json.dumps({"seconds": round(self.rows[-1][0]), **row}) + "\n")

    def around(self, seconds: float) -> dict[str, float]:
        return min(self.rows, key=lambda row: abs(row[0] - seconds))[1]


def _resident(pid: int) -> float:
    try:
        first = psutil.Process(pid)
        return round(sum(each.memory_info().rss for each in (first, *first.children(recursive=True))) / 2**20, 1)
    except psutil.Error:
        return 0.0
