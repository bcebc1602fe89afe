"""The same small web application for SAML: it signs people in and out with Curfew as SharePoint's kind does.

Run it as `python -m examples.demo_app.saml_app`, with DEMO_APP (sharepoint), DEMO_PORT, DEMO_ISSUER, DEMO_CLIENT_ID, DEMO_SAML_KEY
and DEMO_SAML_CERTIFICATE in the environment.
"""

from __future__ import annotations

import json
import os

from examples.demo_app.service_provider import ACS, FAILURES, LOGOUT, SOAP, AskedLogout, ServiceProvider
from examples.demo_app.sessions import Session
from examples.demo_app.site import DemoSite
from examples.web import Request, Response, is_same, redirect, serve

XML = "text/xml; charset=utf-8"


class SamlApp(DemoSite):
    failures = FAILURES

    def __init__(self, slug: str, provider: ServiceProvider, peers: dict[str, str]) -> None:
        super().__init__(slug, provider.home, peers)
        self.provider = provider
        self.routes |= {
            ("POST", ACS): self.consume,
            ("GET", LOGOUT): self.single_logout,
            ("POST", SOAP): self.asked_by_soap,
        }

    def login(self, request: Request) -> Response:
        key, pending = self.store.begin()
        return redirect(self.provider.sign_on_url(request, pending)).cookie(self.login_cookie, key)

    def consume(self, request: Request) -> Response:
        pending = self.store.finish(request.cookies.get(self.login_cookie, ""))
        if pending is None or not is_same(pending.state, request.form.get("RelayState", "")):
            return self._problem("This sign-in was begun in another browser, or too long ago. Please sign in again.")
        session = self.provider.sign_on(request, pending)
        return redirect("/").cookie(self.session_cookie, self.store.open(session)).cookie(self.login_cookie, "")

    def leave(self, session: Session, request: Request) -> Response:
        key, pending = self.store.begin()
        return redirect(self.provider.sign_out_url(request, session, pending)).cookie(self.login_cookie, key)

    def single_logout(self, request: Request) -> Response:
        """The browser brings the answer to our request; or in a frame of the sign-out page a request, which we answer."""
        if "SAMLRequest" in request.query:
            return self._asked_by_browser(request)
        pending = self.store.finish(request.cookies.get(self.login_cookie, ""))
        if pending is None:
            return redirect("/signed-out")
        self.provider.check_signed_out(request, pending)  # whatever became of the others, we are signed out
        return redirect("/signed-out").cookie(self.login_cookie, "")

    def _asked_by_browser(self, request: Request) -> Response:
        """The name and the index are enough: a browser that blocks third-party cookies keeps ours back."""
        self._misbehave()
        if self.mode == "fail":
            return Response("This app failed, as you asked.", "500 Internal Server Error")
        answer_url, asked = self.provider.asked_by_browser(request)
        self._end(asked)
        return redirect(answer_url).cookie(self.session_cookie, "")

    def _end(self, asked: AskedLogout) -> None:
        """Somebody who is signed out already is a success."""
        for index in asked.indexes or [""]:
            self.store.end(sid=index, sub=asked.name_id)

    def asked_by_soap(self, request: Request) -> Response:
        """A LogoutRequest from server to server."""
        self._misbehave()
        no_store = [("Cache-Control", "no-store")]
        if self.mode == "fail":
            return Response("This app failed, as you asked.", "500 Internal Server Error", no_store, "text/plain")
        try:
            asked = self.provider.asked_by_soap(request)
        except FAILURES as error:
            return Response(str(error), "400 Bad Request", no_store, "text/plain")
        self._end(asked)
        return Response(self.provider.answer_by_soap(asked.id), headers=no_store, content_type=XML)


def main() -> None:
    port = int(os.environ["DEMO_PORT"])
    provider = ServiceProvider(
        f"http://localhost:{port}/",
        f"{os.environ['DEMO_ISSUER']}samlp/metadata/{os.environ['DEMO_CLIENT_ID']}",
        os.environ["DEMO_SAML_KEY"],
        os.environ["DEMO_SAML_CERTIFICATE"],
    )
    serve(SamlApp(os.environ["DEMO_APP"], provider, json.loads(os.environ.get("DEMO_PEERS", "{}"))), port)


if __name__ == "__main__":
    main()
