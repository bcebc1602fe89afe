"""Applications on sites of their own, `http://NAME.localhost`, each with its own way to take a front-channel logout.

Every name under localhost is a site of its own, and browsers trust it as they trust https.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests

from tests.rps.running import CLIENT_SECRET, web_application

ACKNOWLEDGE = """<!doctype html><title>out</title><script>
parent.postMessage({ type: "curfew:signed-out", sid: "%s" }, "%s");
</script>"""
HOSTILE = """<!doctype html><title>hostile</title><a id="file" href="data:text/plain,x" download="x">x</a>
<form id="away" action="http://evil.localhost/form" target="_top"></form><script>
const attempts = [
  () => { top.location = "http://evil.localhost/top"; },
  () => window.open("http://evil.localhost/popup"),
  () => alert("hello"),
  () => document.getElementById("file").click(),
  () => document.getElementById("away").submit(),
  () => parent.document.body.remove(),
];
for (const attempt of attempts) { try { attempt(); } catch { /* the sandbox said no */ } }
</script>"""


class Apps:
    """The server of all of them: `by_cookie`, `by_sid`, `both` (by cookie, and back channel), `mute`, `hostile`, `failing` (500 by both)."""

    NAMES = ("by-cookie", "by-sid", "both", "mute", "hostile", "failing")

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[str, str]] = {}  # cookie -> (application, sid)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.issuer = ""
        self.failing = True
        self.patience = threading.Event()
        handler = type("Handler", (_Handler,), {"apps": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.patience.set()
        self.server.shutdown()
        self.server.server_close()

    def site(self, name: str) -> str:
        return f"http://{name}.localhost:{self.port}"

    def registrations(self) -> list[dict[str, Any]]:
        return [self._registration(name) for name in self.NAMES]

    def _registration(self, name: str) -> dict[str, Any]:
        oidc_logout = {
            "frontchannel_logout_uri": f"{self.site(name)}/out",
            "frontchannel_logout_session_required": True,
        }
        if name in ("both", "failing"):
            # Our own process resolves no names under localhost.
            oidc_logout["backchannel_logout_urls"] = [f"http://127.0.0.1:{self.port}/backchannel"]  # type: ignore[assignment]
        return web_application(name, self.site(name), "/callback", oidc_logout=oidc_logout)

    def exchange(self, name: str, code: str) -> str:
        """The sid of the sign-in behind a code."""
        issuer = urlsplit(self.issuer)
        answer = requests.post(
            f"http://127.0.0.1:{issuer.port}/oauth/token",
            data={"grant_type": "authorization_code", "code": code, "redirect_uri": f"{self.site(name)}/callback"},
            auth=(name, CLIENT_SECRET),
            headers={"Host": issuer.netloc},
            timeout=20,
        )
        return str(_claims(answer.json()["id_token"])["sid"])

    def end(self, sid: str, name: str = "") -> bool:
        gone = [cookie for cookie, (app, known) in self.sessions.items() if known == sid and name in ("", app)]
        return bool([self.sessions.pop(cookie) for cookie in gone])


class _Handler(BaseHTTPRequestHandler):
    apps: Apps

    def do_GET(self) -> None:
        name = self.headers["Host"].partition(".")[0]
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        self.apps.requests.append((name, parts.path, dict(self.headers)))
        if parts.path == "/login":
            self._answer(303, Location=f"{self.apps.issuer}authorize?{urlencode(self._request(name))}")
        elif parts.path == "/callback":
            cookie = secrets.token_urlsafe()
            self.apps.sessions[cookie] = (name, self.apps.exchange(name, query["code"]))
            self._answer(303, Location="/", Set_Cookie=f"app={cookie}; Path=/; HttpOnly; Secure; SameSite=None")
        elif parts.path == "/out":
            self._sign_out(name, query.get("sid", ""))
        else:
            self._answer(200, "signed in" if self._cookie() in self.apps.sessions else "signed out")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        claims = _claims(parse_qs(body)["logout_token"][0])
        if claims["aud"] == "failing" and self.apps.failing:
            self._answer(500)
            return
        self.apps.end(claims["sid"], claims["aud"])
        self._answer(204)

    def _sign_out(self, name: str, sid: str) -> None:
        acknowledged = ACKNOWLEDGE % (sid, self.apps.issuer.rstrip("/"))
        if name == "failing":
            self._answer(500, "Something is broken here.")
        elif name == "mute":
            self.apps.patience.wait(60)
        elif name == "hostile":
            self._answer(200, HOSTILE)
        elif name == "by-sid":
            self.apps.end(sid, name)
            self._answer(200, acknowledged)
        else:  # whoever is signed in by the cookie of this frame; without one there is nothing to say
            known = self.apps.sessions.pop(self._cookie(), None)
            self._answer(200, acknowledged if known else "Who are you?")

    def _request(self, name: str) -> dict[str, str]:
        return {
            "client_id": name,
            "redirect_uri": f"{self.apps.site(name)}/callback",
            "response_type": "code",
            "scope": "openid",
            "state": str(time.time()),
        }

    def _cookie(self) -> str:
        found = SimpleCookie(self.headers.get("Cookie", "")).get("app")
        return found.value if found else ""

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "text/html", "Cache-Control": "no-store", **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))
