"""A small Okta organisation, to be tried with Curfew: people sign in here, and an administrator signs them out of everything,
or deactivates them.

Run it as `python -m examples.okta_org.app`, beside `make run`, with OKTA_CLIENT_SECRET in the environment. Optional:
OKTA_PORT (default 8004), OKTA_CLIENT_ID, OKTA_CURFEW (default http://localhost:8000/), OKTA_CONNECTION (default acme-okta),
OKTA_NAME (default Acme), OKTA_SCIM_TOKEN (of `manage.py create_scim_token`), OKTA_SID=1 for a `sid` in ID tokens. It pretends: no passwords, everything in memory, http.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import string
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from examples.okta_org import provisioning, universal_logout
from examples.okta_org.organisation import Application, Organisation, Person, Session
from examples.okta_org.provisioning import ScimClient
from examples.okta_org.tokens import ALGORITHM, TOKEN_SECONDS, Signer, challenge_of, claims_of
from examples.web import Request, Response, Site, redirect, serve

HERE = Path(__file__).parent
COOKIE = "okta_org"
SCOPES = ("openid", "profile", "email")
NOT_ASSIGNED = "User is not assigned to the client application."
DEACTIVATED = "Unable to sign in: this account is deactivated."
SUBJECT_FORMATS = ("email", "iss_sub")


class Refused(Exception):
    """A request that must not go back to its redirect_uri, because that cannot be believed."""


def page(template: str, /, **values: str) -> str:
    """A template from `pages/`; values that are not markup of ours must be escaped by the caller."""
    return string.Template((HERE / "pages" / f"{template}.html").read_text()).substitute(values)


class OktaOrg(Site):
    def __init__(
        self, home: str, organisation: Organisation, application: Application, scim: ScimClient, *, with_sid: bool
    ) -> None:
        self.home, self.organisation, self.application, self.scim = home, organisation, application, scim
        self.issuer = home.rstrip("/")  # as Okta's: without a slash at the end
        self.signer = Signer(self.issuer, with_sid=with_sid)
        self.routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/.well-known/openid-configuration"): self.discovery,
            ("GET", "/oauth2/v1/keys"): lambda _: _json(self.signer.jwks),
            ("GET", "/oauth2/v1/authorize"): self.authorize,
            ("POST", "/signin"): self.sign_in,
            ("POST", "/oauth2/v1/token"): self.token,
            ("GET", "/oauth2/v1/userinfo"): self.userinfo,
            ("GET", "/oauth2/v1/logout"): self.logout,
            ("GET", "/"): self.console,
            ("POST", "/clear-sessions"): self.clear_sessions,
            ("POST", "/lifecycle"): self.lifecycle,
            ("GET", "/ping"): lambda _: Response("ok", content_type="text/plain"),
            ("GET", "/static/app.css"): lambda _: Response(
                (HERE / "static/app.css").read_text(), content_type="text/css"
            ),
        }

    def answer(self, request: Request) -> Response:
        handler = self.routes.get((request.method, request.path))
        if handler is None:
            return Response("Not found.", "404 Not Found", content_type="text/plain")
        try:
            return handler(request)
        except Refused as error:
            return self._page("error", "400 Bad Request", message=escape(str(error)))

    # --- OpenID Connect ------------------------------------------------------------------------------------------------

    def discovery(self, request: Request) -> Response:
        api = f"{self.issuer}/oauth2/v1"
        return _json(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{api}/authorize",
                "token_endpoint": f"{api}/token",
                "userinfo_endpoint": f"{api}/userinfo",
                "jwks_uri": f"{api}/keys",
                "end_session_endpoint": f"{api}/logout",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "scopes_supported": list(SCOPES),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def authorize(self, request: Request) -> Response:
        wanted = request.query
        self._check_application(wanted)
        session = self.organisation.session(request.cookies.get(COOKIE, ""))
        if error := _mistake(wanted):
            return self._back(wanted, error="invalid_request", error_description=error)
        prompts = wanted.get("prompt", "").split()
        if session is None or _is_stale(session, wanted) or "login" in prompts or "select_account" in prompts:
            if "none" in prompts:
                return self._back(
                    wanted,
                    error="login_required",
                    error_description="The client specified not to prompt, but the user is not logged in.",
                )
            return self._sign_in_page(wanted.get("login_hint", ""), request.query_string)
        return self._finish(wanted, session)

    def sign_in(self, request: Request) -> Response:
        """The sign-in page's form: a person, and the authorization request that waits for them."""
        person = self.organisation.person(request.form.get("person", ""))
        wanted = {name: values[0] for name, values in parse_qs(request.form.get("request", "")).items()}
        self._check_application(wanted)
        if person is None or not self._is_own_form(request):
            raise Refused("Please sign in again.")
        if not self.organisation.is_active(person):
            raise Refused(DEACTIVATED)
        self.organisation.sign_out(request.cookies.get(COOKIE, ""))
        cookie, session = self.organisation.sign_in(person)
        return self._finish(wanted, session).cookie(COOKIE, cookie)

    def token(self, request: Request) -> Response:
        if not self._is_application(request):
            return _json(
                {"error": "invalid_client", "error_description": "Client authentication failed."}, "401 Unauthorized"
            )
        code = self.organisation.use_code(request.form.get("code", ""))
        if (
            request.form.get("grant_type") != "authorization_code"
            or code is None
            or code.redirect_uri != request.form.get("redirect_uri")
            or (code.challenge and code.challenge != challenge_of(request.form.get("code_verifier", "")))
        ):
            description = "The authorization code is invalid or has expired."
            return _json({"error": "invalid_grant", "error_description": description}, "400 Bad Request")
        access_token = self.organisation.issue_access_token(code.session)
        return _json(
            {
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "access_token": access_token,
                "scope": code.scope,
                "id_token": self.signer.id_token(
                    self.application, code.session, nonce=code.nonce, access_token=access_token
                ),
            }
        )

    def userinfo(self, request: Request) -> Response:
        person = self.organisation.holder(request.authorization.removeprefix("Bearer "))
        if person is None:
            response = _json({"error": "invalid_token"}, "401 Unauthorized")
            response.headers.append(("WWW-Authenticate", 'Bearer error="invalid_token"'))
            return response
        return _json(claims_of(person))

    def logout(self, request: Request) -> Response:
        """RP-Initiated Logout 1.0: ends the browser's session here if the hint is about it."""
        cookie = request.cookies.get(COOKIE, "")
        session, hint = self.organisation.session(cookie), request.query.get("id_token_hint", "")
        subject = self.signer.subject_of(hint) if hint else ""
        if not subject and request.query.get("client_id") != self.application.client_id:
            raise Refused("'id_token_hint' or 'client_id' must name an application that you signed in to.")
        target = request.query.get("post_logout_redirect_uri", "")
        if target not in ("", self.application.logout_redirect_uri):
            raise Refused("'post_logout_redirect_uri' must be a Logout redirect URI in the client app settings.")
        if session is not None and subject in ("", session.person.id):
            self.organisation.sign_out(cookie)
        if not target:
            return self._page("signed_out").cookie(COOKIE, "")
        query = urlencode({"state": request.query["state"]}) if "state" in request.query else ""
        return redirect(_with_query(target, query)).cookie(COOKIE, "")

    # --- the admin console ---------------------------------------------------------------------------------------------

    def console(self, request: Request, outcome: str = "") -> Response:
        people = "".join(
            page(
                "person_row",
                id=person.id,
                name=escape(person.name),
                email=escape(person.email),
                initial=person.initial,
                sessions=str(self.organisation.sessions_of(person)),
                assigned="" if person.assigned else "Not assigned to the application",
                **self._lifecycle_of(person),
            )
            for person in self.organisation.people
        )
        log = "".join(
            f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(at))}</td><td>{escape(event)}</td><td>{escape(about)}</td></tr>"
            for at, event, about in self.organisation.recent()
        )
        return self._page(
            "console",
            outcome=outcome,
            people=people,
            log=log,
            endpoint=escape(self.application.revocation_url),
            scim=escape(self.scim.base_url),
        )

    def _lifecycle_of(self, person: Person) -> dict[str, str]:
        if self.organisation.is_active(person):
            return {"status": "Active", "lifecycle": "deactivate", "lifecycle_label": "Deactivate"}
        return {"status": "Deactivated", "lifecycle": "activate", "lifecycle_label": "Activate"}

    def lifecycle(self, request: Request) -> Response:
        """*More actions → Deactivate*, and back: here at once, and in the application if the person is assigned to it."""
        person = self.organisation.person(request.form.get("person", ""))
        act = request.form.get("lifecycle", "")
        if person is None or act not in ("activate", "deactivate") or not self._is_own_form(request):
            raise Refused("There is no such person.")
        (self.organisation.activate if act == "activate" else self.organisation.deactivate)(person)
        if not person.assigned:
            return self.console(request)
        outcome = self.scim.set_active(person, active=act == "activate")
        self.organisation.note(f"application.user_membership.{act}", person.email)
        return self.console(request, _provisioned(f"{act.capitalize()}d", person, outcome))

    def clear_sessions(self, request: Request) -> Response:
        """*More actions → Clear User Sessions*: here at once, and with the box ticked in the application too."""
        person = self.organisation.person(request.form.get("person", ""))
        if person is None or not self._is_own_form(request):
            raise Refused("There is no such person.")
        sessions = self.organisation.clear(person)
        if "universal_logout" not in request.form:
            return self.console(request, page("cleared", name=escape(person.name), sessions=str(sessions)))
        subject_format = request.form.get("subject_format", "")
        outcome = universal_logout.send(
            self.signer,
            self.application,
            person,
            subject_format=subject_format if subject_format in SUBJECT_FORMATS else SUBJECT_FORMATS[0],
        )
        self.organisation.note(
            "user.authentication.universal_logout", f"{person.email}: {outcome.status or 'no answer'}"
        )
        return self.console(request, self._told(person, outcome))

    def _told(self, person: Person, outcome: universal_logout.Outcome) -> str:
        return page(
            "universal_logout",
            name=escape(person.name),
            tone="good" if outcome.status == 204 else "bad",
            status=str(outcome.status or "No answer"),
            meaning=escape(outcome.meaning),
            url=escape(outcome.url),
            header=escape(_pretty(outcome.header)),
            claims=escape(_pretty(outcome.claims)),
            body=escape(_pretty(outcome.body)),
            answer=escape(outcome.answer or "(empty)"),
        )

    # --- helpers -------------------------------------------------------------------------------------------------------

    def _check_application(self, wanted: dict[str, str]) -> None:
        if wanted.get("client_id") != self.application.client_id:
            raise Refused("The 'client_id' is not that of an application of this organisation.")
        if wanted.get("redirect_uri") != self.application.redirect_uri:
            raise Refused("The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.")

    def _finish(self, wanted: dict[str, str], session: Session) -> Response:
        if not session.person.assigned:
            return self._back(wanted, error="access_denied", error_description=NOT_ASSIGNED)
        code = self.organisation.issue_code(
            session,
            redirect_uri=wanted["redirect_uri"],
            nonce=wanted.get("nonce", ""),
            challenge=wanted.get("code_challenge", ""),
            scope=" ".join(scope for scope in wanted.get("scope", "").split() if scope in SCOPES),
        )
        return self._back(wanted, code=code)

    def _back(self, wanted: dict[str, str], **answer: str) -> Response:
        if "state" in wanted:
            answer["state"] = wanted["state"]
        return redirect(_with_query(wanted["redirect_uri"], urlencode(answer)))

    def _sign_in_page(self, hint: str, query_string: str) -> Response:
        people = sorted(self.organisation.people, key=lambda person: person.email != hint)
        buttons = "".join(
            page(
                "person_button",
                id=person.id,
                name=escape(person.name),
                email=escape(person.email),
                initial=person.initial,
            )
            for person in people
        )
        return self._page("sign_in", people=buttons, request=escape(query_string))

    def _page(self, template: str, status: str = "200 OK", /, **values: str) -> Response:
        name = escape(self.organisation.name)
        body = page(template, organisation=name, **values)
        policy = "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'"
        headers = [("Cache-Control", "no-store"), ("Content-Security-Policy", policy)]
        return Response(page("layout", organisation=name, body=body), status, headers)

    def _is_own_form(self, request: Request) -> bool:
        return request.origin in ("", "null", self.issuer)

    def _is_application(self, request: Request) -> bool:
        """client_secret_basic or client_secret_post (RFC 6749 section 2.3.1)."""
        client_id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
        if request.authorization.startswith("Basic "):
            try:
                pair = base64.b64decode(request.authorization[6:], validate=True).decode()
            except ValueError:
                return False
            client_id, _, secret = (unquote(part) for part in pair.partition(":"))
        return client_id == self.application.client_id and hmac.compare_digest(
            secret.encode(), self.application.client_secret.encode()
        )


def _provisioned(what: str, person: Person, outcome: provisioning.Outcome) -> str:
    exchanges = (
        page(
            "exchange",
            request=escape(one.request),
            body=escape("(empty)" if one.body is None else _pretty(one.body)),
            status=str(one.status or "No answer"),
            answer=escape(one.answer or "(empty)"),
        )
        for one in outcome.exchanges
    )
    return page(
        "provisioned",
        what=what,
        name=escape(person.name),
        tone="good" if outcome.is_done else "bad",
        meaning=escape(outcome.fault or "The application has written it down."),
        exchanges="".join(exchanges),
    )


def _mistake(wanted: dict[str, str]) -> str:
    if wanted.get("response_type") != "code":
        return "The response type is not supported by the authorization server."
    if "openid" not in wanted.get("scope", "").split():
        return "The scope must contain 'openid'."
    if "code_challenge" in wanted and wanted.get("code_challenge_method") != "S256":
        return "The 'code_challenge_method' must be S256."
    return ""


def _is_stale(session: Session, wanted: dict[str, str]) -> bool:
    max_age = wanted.get("max_age", "")
    return max_age.isdecimal() and time.time() - session.auth_time > int(max_age)


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _json(value: Any, status: str = "200 OK") -> Response:
    return Response(json.dumps(value), status, [("Cache-Control", "no-store")], "application/json")


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2)


def main() -> None:
    curfew = os.environ.get("OKTA_CURFEW", "http://localhost:8000/")
    connection = os.environ.get("OKTA_CONNECTION", "acme-okta")
    application = Application(
        client_id=os.environ.get("OKTA_CLIENT_ID", "0oacurfew1acme5d7"),
        client_secret=os.environ["OKTA_CLIENT_SECRET"],
        redirect_uri=f"{curfew}login/callback",
        logout_redirect_uri=f"{curfew}logout/callback",
        revocation_url=f"{curfew}oauth/global-token-revocation/connection/{connection}",
    )
    port = int(os.environ.get("OKTA_PORT", "8004"))
    organisation = Organisation(os.environ.get("OKTA_NAME", "Acme"))
    home = f"http://localhost:{port}/"
    scim = ScimClient(f"{curfew}scim/v2/connections/{connection}", os.environ.get("OKTA_SCIM_TOKEN", ""))
    site = OktaOrg(home, organisation, application, scim, with_sid=os.environ.get("OKTA_SID", "0") == "1")
    print(f"{organisation.name} (a pretended Okta organisation): {home}", flush=True)
    serve(site, port)


if __name__ == "__main__":
    main()
