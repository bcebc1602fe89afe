"""An authorization request that waits for a sign-in, and the code that answers it in the sign-in's own write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.urls import reverse

from idp.protocol.errors import ProtocolError
from idp.protocol.params import Params, from_urlencoded
from idp.tenants.configuration import Snapshot
from sessions_app.models import AuthorizationCode, SSOSession
from sessions_app.oauth import authorize, long_requests, pushed
from sessions_app.oauth.recipient import Recipient, recipient_of
from sessions_app.protocol.authorization import AuthorizationRequest, ResponseMode

REDIRECTS = (ResponseMode.QUERY, ResponseMode.FRAGMENT)


@dataclass(frozen=True, slots=True)
class Granted:
    """A code that was written with the session, and where it may go."""

    to: Recipient
    code: str


class Waiting:
    """The request behind a sign-in. If a redirect can answer it, its code is written together with the session.

    Errors, questions and pages are /authorize's, where the browser goes then. The rules are the same functions.
    `granted` is None until `code_for` has made a code; once the sign-in has written its session, it is the answer.
    """

    def __init__(self, query: str, browser: str) -> None:
        """`query` is that of the request's URL; `browser` the value of the cookie that its marker is bound to, or ""."""
        self._query, self._browser = query, browser
        self.granted: Granted | None = None

    def code_for(self, session: SSOSession, snapshot: Snapshot, at: datetime) -> AuthorizationCode | None:
        """The code, if the request needs nothing but this session, which is about to be written. Stores nothing.

        Asked again, when another copy of the form was first, it begins anew: what is not written may not be the answer.
        """
        self.granted = None
        try:
            if pushed.is_pushed(self._params()):  # answered once, which /authorize sees to
                return None
            asked, to, decision = self._decide(session, snapshot, at)
        except ProtocolError:
            return None
        if not isinstance(decision, authorize.Proceed) or to.mode not in REDIRECTS:
            return None
        raw, code = authorize.new_code(asked, decision, to.application, redirect_uri=to.redirect_uri, at=at)
        self.granted = Granted(to, raw)
        return code

    def asks_to_sign_in(self, session: SSOSession, snapshot: Snapshot, at: datetime) -> bool:
        """Whether the request wants a proof that this session is not. A request with a mistake does not: /authorize says which."""
        try:
            return isinstance(self._decide(session, snapshot, at)[2], authorize.Login)
        except ProtocolError:
            return False

    def _decide(
        self, session: SSOSession, snapshot: Snapshot, at: datetime
    ) -> tuple[AuthorizationRequest, Recipient, authorize.Decision]:
        params = self._params()
        wanted = pushed.peek(params) if pushed.is_pushed(params) else params
        if wanted is None:
            raise pushed.Unknown
        to = recipient_of(wanted, snapshot)
        asked = authorize.read(wanted, to, is_pushed=wanted is not params)
        return asked, to, authorize.decide(asked, self._situation(params, to, session, snapshot, at))

    def _params(self) -> Params:
        return from_urlencoded(long_requests.whole(self._query))

    def _situation(
        self, params: Params, to: Recipient, session: SSOSession, snapshot: Snapshot, at: datetime
    ) -> authorize.Situation:
        sent_to_login = authorize.sent_to_login(params, self._browser, at)
        return authorize.Situation(to.application, session, snapshot, sent_to_login, consented=None, at=at)


def waiting_behind(url: str, cookies: Mapping[str, str]) -> Waiting | None:
    """The authorization request that `url` is, where a sign-in will lead; None if it is another page of ours."""
    parts = urlsplit(url)
    if parts.path != reverse("authorize"):
        return None
    return Waiting(parts.query, cookies.get(authorize.BROWSER_COOKIE, ""))
