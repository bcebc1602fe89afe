"""A small web application that signs people in with Curfew by OpenID Connect and ends its sessions when Curfew says so.

Run it as `python -m examples.demo_app.app`, with DEMO_APP (debugger, timesheet), DEMO_PORT, DEMO_ISSUER, DEMO_CLIENT_ID and
DEMO_CLIENT_SECRET in the environment. It is for trying Curfew out on one machine: http, sessions in memory.
"""

from __future__ import annotations

import base64
import json
import os
import time
from html import escape
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError

from examples.demo_app.provider import FAILURES, Provider
from examples.demo_app.sessions import Session
from examples.demo_app.site import DemoSite, page
from examples.web import Request, Response, is_same, redirect, serve


class DemoApp(DemoSite):
    failures = (*FAILURES, AuthlibBaseError, requests.RequestException)

    def __init__(self, slug: str, provider: Provider, peers: dict[str, str]) -> None:
        super().__init__(slug, provider.home, peers)
        self.provider = provider
        self.routes |= {
            ("GET", "/callback"): self.callback,
            ("POST", "/refresh"): self.refresh,
            ("GET", "/frontchannel-logout"): self.frontchannel_logout,
            ("POST", "/backchannel-logout"): self.backchannel_logout,
        }

    def _facts(self, session: Session) -> dict[str, str]:
        one, two, three = session.id_token.split(".")
        again = session.refreshed_at and time.strftime("%H:%M:%S", time.localtime(session.refreshed_at))
        return {
            **super()._facts(session),
            "part1": one,
            "part2": two,
            "part3": three,
            "header": escape(_pretty(one)),
            "payload": escape(_pretty(two)),
            "began": time.strftime("%H:%M:%S", time.localtime(session.began_at)),
            "refreshed": f" Tokens refreshed at {again}." if again else "",
        }

    def login(self, request: Request) -> Response:
        key, pending = self.store.begin()
        return redirect(self.provider.authorization_url(pending)).cookie(self.login_cookie, key)

    def callback(self, request: Request) -> Response:
        pending = self.store.finish(request.cookies.get(self.login_cookie, ""))
        if pending is None or not is_same(pending.state, request.query.get("state", "")):
            return self._problem("This sign-in was begun in another browser, or too long ago. Please sign in again.")
        if "error" in request.query:
            return self._problem(request.query.get("error_description") or request.query["error"])
        session = self.provider.sign_in(pending, request.query.get("code", ""))
        return redirect("/").cookie(self.session_cookie, self.store.open(session)).cookie(self.login_cookie, "")

    def refresh(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or not self._meant(request, session):
            return redirect("/")
        try:
            self.provider.refresh(session)
        except AuthlibBaseError as error:
            self.store.close(request.cookies[self.session_cookie])
            return self._problem(f"The identity provider says: {error.description or error.error}")
        return redirect("/")

    def leave(self, session: Session, request: Request) -> Response:
        return redirect(self.provider.logout_url(session, auth0_style=self.look.auth0_style))

    def frontchannel_logout(self, request: Request) -> Response:
        """Front-Channel Logout 1.0: loaded in a frame of the identity provider's sign-out page."""
        self._misbehave()
        if self.mode == "fail":
            return Response("This app failed, as you asked.", "500 Internal Server Error")
        session, sid = self._session(request), request.query.get("sid", "")
        if request.query.get("iss", self.provider.issuer) != self.provider.issuer:
            return Response("Another issuer.", "400 Bad Request")
        if session is not None and sid in ("", session.sid):
            self.store.close(request.cookies[self.session_cookie])
        if sid:  # a browser that blocks third-party cookies kept ours back: the sid is enough to keep our word below
            self.store.end(sid=sid)
        origin = self.provider.issuer.rstrip("/")
        body = page("frontchannel", name=self.look.name, origin=escape(origin), sid=escape(sid))
        headers = [
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", f"default-src 'none'; script-src 'self'; frame-ancestors {origin}"),
        ]
        return Response(body, headers=headers).cookie(self.session_cookie, "")

    def backchannel_logout(self, request: Request) -> Response:
        """Back-Channel Logout 1.0: a POST from server to server. Somebody who is signed out already is a success."""
        self._misbehave()
        no_store = [("Cache-Control", "no-store")]
        if self.mode == "fail":
            return Response("{}", "500 Internal Server Error", no_store, "application/json")
        try:
            claims = self.provider.logout_token(request.form.get("logout_token", ""))
        except FAILURES as error:
            body = json.dumps({"error": "invalid_request", "error_description": str(error)})
            return Response(body, "400 Bad Request", no_store, "application/json")
        if self.store.first_time(claims["jti"]):
            self.store.end(sid=str(claims.get("sid", "")), sub=str(claims.get("sub", "")))
        return Response("", headers=no_store)


def _pretty(part: str) -> str:
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    return json.dumps(json.loads(decoded), indent=2, ensure_ascii=False)


def main() -> None:
    port = int(os.environ["DEMO_PORT"])
    issuer = os.environ["DEMO_ISSUER"]
    if urlsplit(issuer).scheme == "http":
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    provider = Provider(
        issuer, os.environ["DEMO_CLIENT_ID"], os.environ["DEMO_CLIENT_SECRET"], f"http://localhost:{port}/"
    )
    app = DemoApp(os.environ["DEMO_APP"], provider, json.loads(os.environ.get("DEMO_PEERS", "{}")))
    serve(app, port)


if __name__ == "__main__":
    main()
