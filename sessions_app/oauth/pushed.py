"""Pushed authorization requests (RFC 9126): what a request_uri stands for, and how long.

A browser has to bring the request_uri within a minute. If a page is shown before the answer, the request is that browser's
from then on, for as long as a sign-in may take. It is answered once. Its parameters never travel through the browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import Application
from idp.protocol.errors import InvalidRequest, TooManyRequests
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from idp.tenants.configuration import Snapshot
from sessions_app.models import PushedRequest
from sessions_app.oauth import authorize
from sessions_app.oauth.recipient import recipient_of

URN = "urn:ietf:params:oauth:request_uri:"
TO_OPEN = timedelta(seconds=60)
TO_ANSWER = authorize.MARKER_LIFETIME
OF_THE_CLIENT = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type", "dpop_jkt"})
# A public client proves nothing, so anybody can push in its name, as with devices.
PUSHES = limiter.Limit("pushed-requests", 300, limiter.QUARTER)


class Unknown(InvalidRequest):
    """Nobody is led anywhere for it: where an answer may go is what is not known."""

    error = "invalid_request_uri"

    def __init__(self) -> None:
        super().__init__(
            "This request is unknown, has expired or was answered already. Start again at the application."
        )


@dataclass(frozen=True, slots=True)
class Pushed:
    request_uri: str
    expires_in: int


def push(
    params: Params, application: Application, snapshot: Snapshot, *, jkt: str, facts: RequestFacts, at: datetime
) -> Pushed:
    """Check the request as /authorize would (section 2.1), and keep it. Raises ProtocolError."""
    if "request_uri" in params:
        raise InvalidRequest("request_uri must not be pushed.")
    wanted = Params(_pairs(params, application, jkt))
    to = recipient_of(wanted, snapshot)
    authorize.check(authorize.read(wanted, to, is_pushed=True), application, snapshot)
    if application.is_public:
        _take_slot(application, facts, at)
    uri = f"{URN}{new_secret()}"
    PushedRequest.objects.create(
        uri_hash=digest(uri), application=application, pairs=wanted.pairs, created_at=at, expires_at=at + TO_OPEN
    )
    return Pushed(uri, int(TO_OPEN.total_seconds()))


def is_pushed(params: Params) -> bool:
    """Whether the parameters are those of a request that stands here; other request_uris are not supported."""
    return params.get("request_uri", "").startswith(URN)


def opened(params: Params, browser: str, at: datetime) -> Params:
    """What was pushed; what was not is returned as it is. Raises Unknown."""
    if not is_pushed(params):
        return params
    row = _row(params)
    if row is None or row.used_at is not None or row.expires_at <= at or not _is_of(row, browser):
        raise Unknown
    return wanted_by(row)


def keep(params: Params, browser: str, at: datetime) -> None:
    """A page is shown first: the request is this browser's from now on, and waits for as long as a sign-in may take."""
    if not is_pushed(params):
        return
    mine = {"browser_hash": digest(browser), "expires_at": at + TO_ANSWER}
    rows = PushedRequest.objects.filter(uri_hash=digest(params["request_uri"]), used_at=None)
    if not rows.filter(browser_hash="").update(**mine) and not rows.filter(browser_hash=digest(browser)).exists():
        raise Unknown  # another browser was first, a moment ago


def peek(params: Params) -> Params | None:
    """What was pushed, for the login page in front of it; nothing is decided by that."""
    row = _row(params)
    return None if row is None or row.used_at is not None else wanted_by(row)


def use(params: Params, at: datetime) -> None:
    """The request is answered now. Raises Unknown if it was before."""
    if not is_pushed(params):
        return
    if not PushedRequest.objects.filter(uri_hash=digest(params["request_uri"]), used_at=None).update(used_at=at):
        raise Unknown


def wanted_by(row: PushedRequest) -> Params:
    return Params([(name, value) for name, value in row.pairs])


def _row(params: Params) -> PushedRequest | None:
    """The row, if the request names its application (section 4)."""
    if {"client_id", "request_uri"} & set(params.duplicates):
        return None
    rows = PushedRequest.objects.filter(uri_hash=digest(params["request_uri"]))
    return rows.filter(application__client_id=params.get("client_id", "")).first()


def _is_of(row: PushedRequest, browser: str) -> bool:
    return not row.browser_hash or row.browser_hash == digest(browser)


def _pairs(params: Params, application: Application, jkt: str) -> list[tuple[str, str]]:
    """The request without what proves who pushed it; the key that it is bound to is that of the proof (RFC 9449 section 10.1)."""
    named = params.get("dpop_jkt", "")
    if named and jkt and named != jkt:
        raise InvalidRequest("dpop_jkt is not the key of the DPoP proof.")
    kept = [(name, value) for name, value in params.pairs if name not in OF_THE_CLIENT]
    bound = [("dpop_jkt", named or jkt)] if named or jkt else []
    return [("client_id", application.client_id), *kept, *bound]


def _take_slot(application: Application, facts: RequestFacts, at: datetime) -> None:
    reservation = limiter.reserve([PUSHES.key(application.client_id, limiter.prefix(facts.ip))], at)
    if not reservation.allowed:
        raise TooManyRequests("Too many requests were pushed. Try again later.", retry_after=reservation.retry_after)
