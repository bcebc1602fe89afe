"""The whole of production on one machine: rolled without a request that fails, failed over without a delivery that is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import expect

from tests.support.chromium import chromium, new_page
from tests.support.receiver import Receiver, wait_until
from tests.support.sign_in import TOKEN
from tests.support.topology import Topology

pytestmark = pytest.mark.once
PEOPLE, PASSWORD = 4, "correct horse battery staple"
SECRET = secrets.token_urlsafe(32)
TENANT = """
connections: [{{name: People, strategy: auth0}}]
clients:
- client_id: app
  name: Timesheet
  app_type: regular_web
  client_secret: {secret}
  callbacks: ["{callback}"]
  allowed_logout_urls: ["{out}"]
  grant_types: [authorization_code, refresh_token]
  oidc_logout: {{backchannel_logout_urls: ["{logout}"], backchannel_logout_initiators: {{mode: all}}}}
users:
{users}
"""

SEAL = """
from datetime import timedelta
from django.utils import timezone
from sessions_app.audit import chain
chain.seal_next(timezone.now())
while chain.seal_next(timezone.now() + timedelta(hours=1)):
    pass
"""
PENDING = "SELECT count(*) FROM logout_app_logoutdelivery WHERE state = 'pending'"


@pytest.fixture
def production(tmp_path: Path) -> Iterator[tuple[Topology, Receiver]]:
    with (
        tempfile.TemporaryDirectory(prefix="curfew-") as folder,  # PostgreSQL's user may not pass through pytest's
        Receiver(tmp_path) as receiver,
        Topology(Path(folder)) as topology,
    ):
        tenant = tmp_path / "tenant.yaml"
        users = "\n".join(
            f"- {{connection: People, email: p{number}@fabrikamcorp.com, password: {PASSWORD}}}"
            for number in range(PEOPLE)
        )
        addresses = {name: receiver.url(name) for name in ("callback", "out", "logout")}
        tenant.write_text(TENANT.format(secret=SECRET, users=users, **addresses))
        topology.run("manage.py", "apply", str(tenant))
        topology.run("manage.py", "shell", "-c", SEAL)  # begins with what comes now
        yield topology, receiver


class Visit:
    """One person in one browser, by HTTP through nginx."""

    def __init__(self, topology: Topology, receiver: Receiver, number: int) -> None:
        self.issuer, self.receiver, self.email = topology.issuer, receiver, f"p{number % PEOPLE}@fabrikamcorp.com"
        self.http = requests.Session()
        self.http.trust_env, self.http.verify = False, str(topology.authority)

    def authorize_url(self, verifier: str) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {"client_id": "app", "redirect_uri": self.receiver.url("callback"), "response_type": "code"}
        pkce = {"code_challenge": challenge, "code_challenge_method": "S256", "state": "s"}
        return f"{self.issuer}authorize?{urlencode({**asked, **pkce, 'scope': 'openid offline_access'})}"

    def sign_in(self) -> dict[str, str]:
        """The tokens."""
        verifier = secrets.token_urlsafe(32)
        page = self.answered(self.http.get(self.authorize_url(verifier), timeout=30))
        token, fields = TOKEN.search(page.text), {"username": self.email, "password": PASSWORD}
        assert token, page.text[:500]
        form = {**fields, "csrfmiddlewaretoken": token[1], **parse_first(page.url)}
        answer = self.http.post(page.url, form, headers={"Referer": page.url}, allow_redirects=False, timeout=30)
        while not answer.headers.get("Location", "").startswith(self.receiver.url("callback")):
            self.answered(answer)
            assert answer.is_redirect, (answer.status_code, answer.text[:2000])
            where = requests.compat.urljoin(self.issuer, answer.headers["Location"])
            answer = self.http.get(where, allow_redirects=False, timeout=30)
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        return self.token(
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.receiver.url("callback"),
            code_verifier=verifier,
        )

    def token(self, **fields: str) -> dict[str, str]:
        body = {**fields, "client_id": "app", "client_secret": SECRET}
        found: dict[str, str] = self.answered(self.http.post(f"{self.issuer}oauth/token", body, timeout=30)).json()
        return found

    def sign_out(self) -> None:
        left = {"client_id": "app", "returnTo": self.receiver.url("out")}
        self.answered(self.http.get(f"{self.issuer}v2/logout?{urlencode(left)}", allow_redirects=False, timeout=30))

    @staticmethod
    def answered(response: requests.Response) -> requests.Response:
        assert response.status_code < 400, (response.url, response.status_code, response.text[:500])
        return response


class Crowd:
    """People who sign in, refresh and sign out, again and again, until the block ends."""

    def __init__(self, topology: Topology, receiver: Receiver) -> None:
        self.topology, self.receiver = topology, receiver
        self.over = threading.Event()
        self.left: set[str] = set()  # the sids of sessions whose end was answered
        self.failures: list[str] = []

    def __enter__(self) -> Crowd:
        self.threads = [threading.Thread(target=self.walk, args=(number,)) for number in range(2)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(120)

    def walk(self, number: int) -> None:
        for turn in range(2000):
            if self.over.is_set():
                return
            try:
                self.left.add(self.visit(number * 2 + turn % 2))
            except (AssertionError, requests.RequestException) as failure:
                self.failures.append(str(failure))
                time.sleep(0.2)

    def visit(self, person: int) -> str:
        visit = Visit(self.topology, self.receiver, person)
        tokens = visit.sign_in()
        tokens |= visit.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        visit.sign_out()
        return str(claims(tokens["id_token"])["sid"])


def parse_first(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_production_is_rolled_failed_over_and_restored(production: tuple[Topology, Receiver]) -> None:
    topology, receiver = production

    def told() -> set[str]:
        return {token["sid"] for token in receiver.tokens("logout")}

    mary_signs_out_in_a_browser(topology, receiver)

    with Crowd(topology, receiver) as crowd:
        topology.roll_web()
        topology.roll_workers()
    assert crowd.failures == []
    assert len(crowd.left) > 5
    wait_until(lambda: crowd.left <= told(), 60, f"{len(crowd.left - told())} ends of {len(crowd.left)} were not told")

    with Crowd(topology, receiver) as crowd:
        wait_until(lambda: len(crowd.left) > 3, 60)
        topology.postgres.fail_over()
        topology.redis.fail_over()
        before = len(crowd.left)
        wait_until(lambda: len(crowd.left) > before + 3, 90, f"nobody could sign in again: {crowd.failures[-3:]}")
    wait_until(lambda: crowd.left <= told(), 60, f"{len(crowd.left - told())} ends of {len(crowd.left)} were not told")
    wait_until(lambda: topology.postgres.ask(PENDING) == [(0,)], 60, "deliveries wait")

    topology.run("manage.py", "shell", "-c", SEAL)
    topology.postgres.copy_into("restored")
    said = topology.run("manage.py", "audit", "verify", DATABASE_URL=topology.postgres.url("restored"))
    assert "VERIFIED" in said
    assert re.search(r"^[1-9]\d* lines in [1-9]\d* seals", said, re.M), said


def mary_signs_out_in_a_browser(topology: Topology, receiver: Receiver) -> None:
    visit = Visit(topology, receiver, 0)
    with chromium() as browser, new_page(browser, ignore_https_errors=True) as page:
        page.goto(visit.authorize_url("v" * 43))
        page.locator("[name=username]").fill(visit.email)
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{receiver.url('callback')}*", wait_until="commit")
        page.goto(f"{topology.issuer}oidc/logout?client_id=app")
        page.locator("[name=logout][value=yes]").click()
        expect(page.get_by_role("heading", name="You are signed out everywhere")).to_be_visible()
