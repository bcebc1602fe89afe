"""Keycloak with its experimental Shared Signals transmitter, where its distribution is at hand.

At hand is what Maven keeps: `mvn dependency:get -Dtransitive=false -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip`, or a
folder that `KEYCLOAK_HOME` names. Nothing is downloaded for a test; without it, or without Java, the test is skipped. What it
sends is in `keycloak_recorded.py` for everybody else.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.support.processes import Program, free_port

VERSION = "26.7.3"
KEPT = Path.home() / f".m2/repository/org/keycloak/keycloak-quarkus-dist/{VERSION}/keycloak-quarkus-dist-{VERSION}.zip"
READY_WITHIN = 600.0  # seconds: it is built for the feature at its first start, and fills a database
REALM, CLIENT, RECEIVER = "acme", "curfew", "curfew-signals"
SECRET = "keycloak-fixture-secret"  # a test fixture
ADMIN = "admin"
PERSON, PASSWORD, EMAIL = "mary", "marys-keycloak-password", "mary@fabrikamcorp.com"
SCOPES = ("ssf.read", "ssf.manage")


def unpacked(folder: Path) -> Path:
    """Where Keycloak is. Skips the test where it is not."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    if home := os.environ.get("KEYCLOAK_HOME"):
        return Path(home)
    if not KEPT.exists():
        pytest.skip(f"Keycloak {VERSION} is not among what Maven keeps")
    subprocess.run(["unzip", "-q", str(KEPT), "-d", str(folder)], check=True, timeout=300)
    return folder / f"keycloak-{VERSION}"


class _Trusting(HTTPAdapter):
    """Keycloak's cookies are Secure, also where it is http://localhost, which browsers trust as they trust https."""

    def send(self, *arguments: Any, **more: Any) -> requests.Response:
        answer = super().send(*arguments, **more)
        headers = answer.raw._original_response.msg
        cookies = headers.get_all("Set-Cookie") or []
        del headers["Set-Cookie"]
        for cookie in cookies:
            headers["Set-Cookie"] = re.sub(r";\s*secure", "", cookie, flags=re.IGNORECASE)
        return answer


def browser() -> requests.Session:
    session = requests.Session()
    session.mount("http://", _Trusting())
    return session


class Keycloak:
    """Context manager: the server, with a realm whose transmitter may push to `receiver` (a URL, with everything below it)."""

    def __init__(self, folder: Path, *, callback: str, receiver: str) -> None:
        self.port = free_port()
        self.base = f"http://localhost:{self.port}"
        self.issuer = f"{self.base}/realms/{REALM}"
        self._folder, self._callback, self._receiver = folder, callback, receiver

    def __enter__(self) -> Keycloak:
        options = {
            "features": "ssf",
            "db": "dev-mem",
            "cache": "local",
            "http-host": "127.0.0.1",
            "http-port": self.port,
            "http-management-port": free_port(),
            "hostname": self.base,
            "spi-ssf-transmitter--default--allow-insecure-push-targets": "true",
            "spi-ssf-transmitter--default--outbox-drainer-interval": "1s",
            "spi-ssf-transmitter--default--min-verification-interval-seconds": "1",
        }
        argv = [str(unpacked(self._folder) / "bin" / "kc.sh"), "start-dev"]
        argv += [f"--{name}={value}" for name, value in options.items()]
        named = {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN}
        self.program = Program(argv, {**os.environ, **named}, self._folder / "keycloak.log")
        try:
            self._wait()
            self._lay_out()
            self._warm_up()
        except BaseException:
            self.program.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    def admin(self, method: str, path: str, document: Any = None) -> Any:
        """The admin API below the realm."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN}
        url = f"{self.base}/realms/master/protocol/openid-connect/token"
        token = requests.post(url, data=form, timeout=60).json()["access_token"]
        address = f"{self.base}/admin/realms{path}"
        answer = requests.request(
            method, address, json=document, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @property
    def person(self) -> str:
        return str(self.admin("GET", f"/{REALM}/users?username={PERSON}")[0]["id"])

    def sign_in(self, browser: requests.Session, page: requests.Response) -> requests.Response:
        """On its form, which this page is."""
        return self._submit(browser, page, username=PERSON, password=PASSWORD)

    def sign_out(self, browser: requests.Session) -> None:
        """What the person does there, who is asked whether they mean it."""
        question = browser.get(f"{self.issuer}/protocol/openid-connect/logout", timeout=60)
        done = self._submit(browser, question, confirmLogout="Logout")
        assert "logged out" in done.text.lower(), done.text[-2000:]

    def _submit(self, browser: requests.Session, page: requests.Response, **typed: str) -> requests.Response:
        form = re.search(r"<form[^>]*action=\"([^\"]+)\".*?</form>", page.text, re.DOTALL)
        assert form, f"{page.status_code} {page.url} {page.text[:2000]}"
        hidden = re.findall(r"<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"", form[0])
        action = requests.compat.urljoin(page.url, html.unescape(form[1]))
        return browser.post(action, data={**dict(hidden), **typed}, timeout=60)

    def _warm_up(self) -> None:
        """Whatever is asked for the first time takes seconds there, more than a receiver has patience."""
        form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
        url = f"{self.issuer}/protocol/openid-connect/token"
        token = requests.post(url, data=form, auth=(RECEIVER, SECRET), timeout=120).json()["access_token"]
        metadata = requests.get(f"{self.issuer}/.well-known/ssf-configuration", timeout=120).json()
        streams = metadata["configuration_endpoint"]
        assert requests.get(streams, headers={"Authorization": f"Bearer {token}"}, timeout=120).json() == []
        requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=120)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                if requests.get(f"{self.base}/realms/master", timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                pass
            if self.program.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.program.text[-4000:])
            time.sleep(0.2)

    def _lay_out(self) -> None:
        """As its guide says (docs/guides/securing-apps/ssf-support.adoc); default subjects are NONE otherwise."""
        of_receiver = {
            "ssf.enabled": "true",
            "ssf.defaultSubjects": "ALL",
            "ssf.validPushUrls": f"{self._receiver}*",
        }
        people = {"type": "password", "value": PASSWORD}
        self.admin(
            "POST",
            "",
            {
                "realm": REALM,
                "enabled": True,
                "attributes": {"ssf.transmitterEnabled": "true"},
                "clients": [
                    {"clientId": CLIENT, "secret": SECRET, "redirectUris": [self._callback]},
                    {
                        "clientId": RECEIVER,
                        "secret": SECRET,
                        "serviceAccountsEnabled": True,
                        "standardFlowEnabled": False,
                        "attributes": of_receiver,
                    },
                ],
                "users": [
                    {
                        "username": PERSON,
                        "enabled": True,
                        "email": EMAIL,
                        "emailVerified": True,
                        "firstName": "Mary",
                        "lastName": "Major",
                        "credentials": [people],
                    }
                ],
            },
        )
        [receiver] = self.admin("GET", f"/{REALM}/clients?clientId={RECEIVER}")
        for scope in self.admin("GET", f"/{REALM}/client-scopes"):
            if scope["name"] in SCOPES:
                self.admin("PUT", f"/{REALM}/clients/{receiver['id']}/optional-client-scopes/{scope['id']}")
