"""A small web application that signs people in with Curfew and ends its sessions when Curfew says so.

Run it as `python -m examples.demo_app.app`, with DEMO_APP (debugger, sharepoint, timesheet), DEMO_PORT, DEMO_ISSUER,
DEMO_CLIENT_ID and DEMO_CLIENT_SECRET in the environment. It is for trying Curfew out on one machine: http, sessions in memory.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError

from examples.demo_app.provider import FAILURES, Provider
from examples.demo_app.sessions import Session, Store
from examples.web import Request, Response, Site, redirect, serve

HERE = Path(__file__).parent
HANG_SECONDS = 20
MODES = ("good", "hang", "fail")
STATIC = {"/static/app.css": "text/css", "/static/ack.js": "text/javascript"}


@dataclass(frozen=True)
class Look:
    name: str
    tagline: str
    auth0_style: bool  # signs out at /v2/logout; otherwise by OpenID Connect


LOOKS = {
    "debugger": Look("JWT Debugger", "See the tokens that your identity provider makes for you.", True),
    "sharepoint": Look("SharePoint Intranet", "News, documents and everything that Fabrikam wants you to know.", False),
    "timesheet": Look("Timesheet SaaS", "Five minutes on Friday, and the week is booked.", False),
}


def page(template: str, /, **values: str) -> str:
    """A template from `pages/`; values that are not markup of ours must be escaped by the caller."""
    return string.Template((HERE / "pages" / f"{template}.html").read_text()).substitute(values)


class DemoApp(Site):
    def __init__(self, slug: str, provider: Provider, peers: dict[str, str]) -> None:
        self.slug, self.look, self.provider, self.peers = slug, LOOKS[slug], provider, peers
        self.store = Store()
        self.mode = "good"
        # Cookies on localhost are shared by all ports: every application needs names of its own.
        self.session_cookie, self.login_cookie = f"demo_{slug}", f"demo_{slug}_login"
        self.routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/"): self.home,
            ("GET", "/login"): self.login,
            ("GET", "/callback"): self.callback,
            ("GET", "/signed-out"): self.signed_out,
            ("POST", "/refresh"): self.refresh,
            ("POST", "/sign-out"): self.sign_out,
            ("POST", "/trouble"): self.trouble,
            ("GET", "/logout"): self.plain_logout,
            ("GET", "/frontchannel-logout"): self.frontchannel_logout,
            ("POST", "/backchannel-logout"): self.backchannel_logout,
            ("GET", "/ping"): lambda _: Response("ok", content_type="text/plain"),
        }

    # --- pages ---------------------------------------------------------------------------------------------------

    def home(self, request: Request, notice: str = "") -> Response:
        session = self._session(request)
        if session is None:
            return self._signed_out_page(notice)
        body = page(self.slug, **self._facts(session), trouble=self._trouble())
        account = page("account", email=escape(str(session.claims.get("email", session.sub))), csrf=session.csrf)
        return self._layout(notice + body, account)

    def signed_out(self, request: Request) -> Response:
        if self._session(request):
            return redirect("/")
        return self._signed_out_page('<p class="notice" role="status">You are signed out.</p>')

    def _signed_out_page(self, notice: str) -> Response:
        look = self.look
        return self._layout(
            page("signed_out", name=look.name, tagline=look.tagline, notice=notice, trouble=self._trouble()), ""
        )

    def _layout(self, body: str, account: str) -> Response:
        look = self.look
        return Response(
            page("layout", name=look.name, slug=self.slug, initial=look.name[0], account=account, body=body)
        )

    def _trouble(self) -> str:
        peers = " ".join(f'<a class="button small" href="{escape(u)}">{escape(n)}</a>' for n, u in self.peers.items())
        return page("trouble", peers=peers, **{mode: str(mode == self.mode).lower() for mode in MODES})

    def _facts(self, session: Session) -> dict[str, str]:
        """What the page of this application shows; more than one of them needs does no harm."""
        one, two, three = session.id_token.split(".")
        name = str(session.claims.get("name") or session.claims.get("email") or session.sub)
        began = time.strftime("%H:%M:%S", time.localtime(session.began_at))
        again = session.refreshed_at and time.strftime("%H:%M:%S", time.localtime(session.refreshed_at))
        return {
            "part1": one,
            "part2": two,
            "part3": three,
            "header": escape(_pretty(one)),
            "payload": escape(_pretty(two)),
            "person": escape(name),
            "csrf": session.csrf,
            "began": began,
            "refreshed": f" Tokens refreshed at {again}." if again else "",
        }

    # --- signing in and out ---------------------------------------------------------------------------------------

    def login(self, request: Request) -> Response:
        key, pending = self.store.begin()
        return redirect(self.provider.authorization_url(pending)).cookie(self.login_cookie, key)

    def callback(self, request: Request) -> Response:
        pending = self.store.finish(request.cookies.get(self.login_cookie, ""))
        if pending is None or not hmac.compare_digest(pending.state, request.query.get("state", "")):
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

    def sign_out(self, request: Request) -> Response:
        """End our own session, then everybody else's: the browser goes to the identity provider."""
        session = self._session(request)
        if session is None or not self._meant(request, session):
            return redirect("/")
        self.store.close(request.cookies[self.session_cookie])
        target = self.provider.logout_url(session, auth0_style=self.look.auth0_style)
        return redirect(target).cookie(self.session_cookie, "")

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

    def plain_logout(self, request: Request) -> Response:
        """A logout page for a GET, as logout applications of one's own expect (see examples/logout_app)."""
        self._misbehave()
        self.store.close(request.cookies.get(self.session_cookie, ""))
        policy = ("Content-Security-Policy", "default-src 'none'; frame-ancestors http://localhost:*")
        body = f"<!doctype html><title>Signed out</title><p>Signed out of {self.look.name}.</p>"
        return Response(body, headers=[policy, ("Cache-Control", "no-store")]).cookie(self.session_cookie, "")

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

    def trouble(self, request: Request) -> Response:
        if request.origin in ("", self.provider.home.rstrip("/")) and request.form.get("mode") in MODES:
            self.mode = request.form["mode"]
        return redirect("/")

    # --- helpers --------------------------------------------------------------------------------------------------

    def _misbehave(self) -> None:
        if self.mode == "hang":
            time.sleep(HANG_SECONDS)

    def _session(self, request: Request) -> Session | None:
        return self.store.get(request.cookies.get(self.session_cookie, ""))

    def _meant(self, request: Request, session: Session) -> bool:
        return hmac.compare_digest(session.csrf, request.form.get("csrf", ""))

    def _problem(self, message: str) -> Response:
        response = self._signed_out_page(f'<p class="notice bad" role="alert">{escape(message)}</p>')
        response.status = "400 Bad Request"
        return response

    def answer(self, request: Request) -> Response:
        if request.method == "GET" and request.path in STATIC:
            return Response((HERE / request.path.lstrip("/")).read_text(), content_type=STATIC[request.path])
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        handler = self.routes.get((request.method, request.path))
        if handler is None:
            return Response("Not found.", "404 Not Found", content_type="text/plain")
        try:
            return handler(request)
        except (*FAILURES, AuthlibBaseError, requests.RequestException) as error:
            return self._problem(f"Signing in did not work: {error}")


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
