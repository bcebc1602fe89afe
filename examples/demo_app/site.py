"""What the demo's applications share, however they sign people in: pages, sessions, and buttons that make them misbehave."""

from __future__ import annotations

import string
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import requests

from examples.demo_app.sessions import Session, Store
from examples.web import Request, Response, Site, is_same, redirect

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


class DemoSite(Site):
    failures: tuple[type[Exception], ...] = (requests.RequestException,)

    def __init__(self, slug: str, home: str, peers: dict[str, str]) -> None:
        self.slug, self.look, self.address, self.peers = slug, LOOKS[slug], home, peers
        self.store = Store()
        self.mode = "good"
        # Cookies on localhost are shared by all ports: every application needs names of its own.
        name = f"demo_{slug}_{urlsplit(home).port}"
        self.session_cookie, self.login_cookie = name, f"{name}_login"
        self.routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/"): self.home,
            ("GET", "/login"): self.login,
            ("GET", "/signed-out"): self.signed_out,
            ("POST", "/sign-out"): self.sign_out,
            ("POST", "/trouble"): self.trouble,
            ("GET", "/logout"): self.plain_logout,
            ("GET", "/ping"): lambda _: Response("ok", content_type="text/plain"),
        }

    @abstractmethod
    def login(self, request: Request) -> Response:
        """Send the browser to the identity provider."""

    @abstractmethod
    def leave(self, session: Session, request: Request) -> Response:
        """Send the browser where it signs out of everything; our own session has ended."""

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
        """What the page of this application shows; more than it needs does no harm."""
        name = str(session.claims.get("name") or session.claims.get("email") or session.sub)
        return {"person": escape(name), "csrf": session.csrf}

    # --- signing out ----------------------------------------------------------------------------------------------

    def sign_out(self, request: Request) -> Response:
        """End our own session, then everybody else's: the browser goes to the identity provider."""
        session = self._session(request)
        if session is None or not self._meant(request, session):
            return redirect("/")
        self.store.close(request.cookies[self.session_cookie])
        return self.leave(session, request).cookie(self.session_cookie, "")

    def plain_logout(self, request: Request) -> Response:
        """A logout page for a GET, as logout applications of one's own expect (see examples/logout_app)."""
        self._misbehave()
        self.store.close(request.cookies.get(self.session_cookie, ""))
        policy = ("Content-Security-Policy", "default-src 'none'; frame-ancestors http://localhost:*")
        body = f"<!doctype html><title>Signed out</title><p>Signed out of {self.look.name}.</p>"
        return Response(body, headers=[policy, ("Cache-Control", "no-store")]).cookie(self.session_cookie, "")

    def trouble(self, request: Request) -> Response:
        if request.origin in ("", self.address.rstrip("/")) and request.form.get("mode") in MODES:
            self.mode = request.form["mode"]
        return redirect("/")

    # --- helpers --------------------------------------------------------------------------------------------------

    def _misbehave(self) -> None:
        if self.mode == "hang":
            time.sleep(HANG_SECONDS)

    def _session(self, request: Request) -> Session | None:
        return self.store.get(request.cookies.get(self.session_cookie, ""))

    def _meant(self, request: Request, session: Session) -> bool:
        return is_same(session.csrf, request.form.get("csrf", ""))

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
        except self.failures as error:
            return self._problem(f"That did not work: {error}")
