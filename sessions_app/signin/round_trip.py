"""The round trip of a sign-in upstream: the browser departs with a state of ours and comes back with an answer to it.

What waits for the answer is a FlowState, bound to the browser by a cookie that all its tabs share. The answer's proof must
be as new as the application, or a revocation since, wants it: else the browser is sent once more, to prove it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext, gettext_noop

from idp.connections import places
from idp.connections.contract import (
    Account,
    Departure,
    RedirectProtocol,
    SignInRequest,
    UpstreamFault,
    UpstreamUnmet,
)
from idp.connections.registry import REDIRECT_PROTOCOLS, Purpose, callback_url, usable_for
from idp.http import content_policy
from idp.models import Connection, Identity, began_before
from idp.people import identities
from idp.protocol.errors import InvalidRequest, TemporarilyUnavailable
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from idp.protocol.text.bidi import isolated
from idp.tenants.configuration import Snapshot
from sessions_app.models import FlowState, SSOSession
from sessions_app.session import binding, lifecycle
from sessions_app.session.binding import LONGEST_COOKIE
from sessions_app.signin import sign_in
from sessions_app.signin.destinations import HOME, destination, is_ours

KIND = "sign-in"
LIFETIME = timedelta(minutes=10)
LONGEST_SID = 255  # SSOSession.upstream_sid
LEEWAY = timedelta(minutes=1)  # how far a clock upstream may be behind ours


@dataclass(frozen=True, slots=True)
class Trip:
    """What the end of a round trip must know of its beginning; `flow_data` and `departed_at` are None if nobody asked upstream."""

    connection: Connection
    redirect_url: str
    asked: SignInRequest
    flow_data: Mapping[str, Any] | None = None
    departed_at: datetime | None = None
    is_second: bool = False  # the first answer's proof was too old
    reauthenticates: bool = False
    steps_up: bool = False  # in the session that there is
    tried_by: int | None = None  # the key of the administrator who tries the connection: nobody is signed in


class AlreadyOver(InvalidRequest):
    """An answer that came before, or too late, in the browser that was to bring it. `redirect_url`: where it would have led."""

    def __init__(self, redirect_url: str) -> None:
        super().__init__(
            gettext_noop("This sign-in is over: it was completed before, or took too long. Please begin again.")
        )
        self.redirect_url = redirect_url


class NotEnough(Exception):
    """The upstream vouched for somebody, but not for what is needed here. `error` is what an application is told."""

    error = "login_required"

    def __init__(self, template: str, connection: str = "") -> None:
        """`connection` takes the place of %(connection)s."""
        self._template, self._values = template, {"connection": connection}
        super().__init__(template % self._values)

    @property
    def sentence(self) -> str:
        """For the person, in their language."""
        return gettext(self._template) % self._values


def start(
    request: HttpRequest,
    connection: Connection,
    asked: SignInRequest,
    redirect_url: str,
    at: datetime,
    *,
    is_second: bool = False,
    reauthenticates: bool = False,
    steps_up: bool = False,
    tried_by: int | None = None,
) -> HttpResponse:
    """Send the browser to the identity provider upstream. `redirect_url` is validated already. Raises UpstreamFault.

    With `reauthenticates` the person who is signed in proves again that it is them, with `steps_up` two factors; nobody else
    gets in that way.
    """
    state, callback = new_secret(), callback_url(connection)
    with _turn():
        departure = _protocol(connection).depart(connection, asked, state=state, callback=callback, at=at)
    browser = _browser(request) or new_secret()
    FlowState.objects.create(
        kind=KIND,
        state_hash=digest(state),
        browser_hash=digest(browser),
        connection=connection,
        data={
            "callback": callback,
            "redirect_url": redirect_url,
            "asked": asdict(asked),
            "flow_data": dict(departure.flow_data),
            "is_second": is_second,
            "reauthenticates": reauthenticates,
            "steps_up": steps_up,
            "tried_by": tried_by,
        },
        created_at=at,
        expires_at=at + LIFETIME,
    )
    response = lead_away(request, departure)
    response.set_cookie(
        settings.UPSTREAM_COOKIE_NAME,
        browser,
        max_age=LIFETIME,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="None" if settings.HTTPS else "Lax",  # SAML's answers are cross-site POSTs
    )
    return response


def come_back(request: HttpRequest, state: str, at: datetime) -> Trip | None:
    """The trip that this browser began with this state, once; None: nobody knows the state.

    Raises InvalidRequest for another browser and another callback, AlreadyOver for a second use and after ten minutes.
    """
    flow = FlowState.objects.filter(kind=KIND, state_hash=digest(state)).select_related("connection").first()
    if flow is None or flow.connection is None:
        return None
    browser = _browser(request)
    if not browser or not constant_time_compare(flow.browser_hash, digest(browser)):
        raise InvalidRequest(
            gettext_noop("This sign-in was begun in another browser, or cookies are blocked. Please begin again.")
        )
    if flow.data["callback"] != f"{settings.ISSUER_ORIGIN}{request.path}":
        raise InvalidRequest(gettext_noop("This answer came to the address of another connection."))
    if not FlowState.objects.filter(pk=flow.pk, used_at=None, expires_at__gt=at).update(used_at=at):
        raise AlreadyOver(flow.data["redirect_url"])
    return Trip(
        flow.connection,
        flow.data["redirect_url"],
        _asked(flow.data["asked"]),
        flow.data["flow_data"],
        flow.created_at,
        flow.data["is_second"],
        flow.data["reauthenticates"],
        flow.data.get("steps_up", False),
        flow.data.get("tried_by"),
    )


def unsolicited(connection: Connection) -> Trip:
    """An answer that nobody asked for leads to the application that the connection names, or home; never where it wants."""
    named = connection.options.get("idpinitiated")
    chosen = named if isinstance(named, dict) else {}
    redirect_url = HOME
    if client_id := str(chosen.get("client_id") or ""):
        query = str(chosen.get("client_authorizequery") or "").lstrip("?&")
        redirect_url = f"{reverse('authorize')}?{urlencode({'client_id': client_id})}{'&' if query else ''}{query}"
    return Trip(connection, redirect_url if is_ours(redirect_url) else HOME, SignInRequest())


def check_usable(connection: Connection | None, redirect_url: str, snapshot: Snapshot) -> Connection:
    """The connection, if people may sign in through it upstream to what waits behind `redirect_url`; InvalidRequest else."""
    application = destination(redirect_url, snapshot).application
    if connection is None or connection.strategy not in REDIRECT_PROTOCOLS:
        raise InvalidRequest(gettext_noop("There is no such way to sign in."))
    if not usable_for(connection, Purpose.SIGN_IN, application, snapshot):
        raise InvalidRequest(
            gettext_noop("Signing in with %(connection)s is not switched on for this application."),
            values={"connection": isolated(str(connection))},
        )
    return connection


def finish(request: HttpRequest, trip: Trip, answer: Params, at: datetime) -> HttpResponse:
    """Sign in whom the answer proves. Raises UpstreamRefused, UpstreamFault and NotEnough."""
    connection = trip.connection
    try:
        account = prove(trip, answer, at)
    except UpstreamUnmet:
        if not trip.asked.two_factors:
            raise
        return _with_less(request, trip, at)
    identity = identities.receive(connection, account, at=at)
    if not identity.user.is_active:
        sign_in.record_blocked(request, identity, at)
    elif not _is_fresh(account, identity, trip):
        return _once_more(request, trip, at)
    if trip.reauthenticates:
        return _prove_again(request, trip, identity, account)
    if trip.steps_up:
        return _step_up(request, trip, identity, account)
    return sign_in.complete(
        request,
        identity,
        method=sign_in.FEDERATED,
        redirect_url=trip.redirect_url,
        upstream_sid=account.upstream_sid,
        upstream=_for_later(account),
        upstream_mfa=account.has_proved_several,
        at=at,
    )


def prove(trip: Trip, answer: Params, at: datetime) -> Account:
    """Whom the answer proves. Raises UpstreamRefused and UpstreamFault."""
    connection = trip.connection
    with _turn():
        account = _protocol(connection).arrive(
            connection, trip.flow_data, answer, callback=callback_url(connection), at=at
        )
    if account.expires_at is not None and account.expires_at <= at:
        raise UpstreamFault(f"{connection.name} vouched for a session that is over already")
    if len(account.upstream_sid) > LONGEST_SID or not account.upstream_sid.isprintable():
        raise UpstreamFault(f"{connection.name} gave a session id that is too long or not printable")
    return account


@contextmanager
def _turn() -> Iterator[None]:
    try:
        with places.turn():
            yield
    except TemporarilyUnavailable as busy:
        raise UpstreamFault("too many sign-ins wait for their upstreams", busy.description, status=503) from busy


def _asked(flow_data: Mapping[str, Any]) -> SignInRequest:
    """Of a trip that another release of ours began, perhaps: what this one does not know is left out."""
    known = {field.name for field in fields(SignInRequest)}
    return SignInRequest(**{name: value for name, value in flow_data.items() if name in known})


def _protocol(connection: Connection) -> RedirectProtocol:
    return REDIRECT_PROTOCOLS[connection.strategy]


def _browser(request: HttpRequest) -> str:
    value = request.COOKIES.get(settings.UPSTREAM_COOKIE_NAME, "")
    return value if len(value) <= LONGEST_COOKIE else ""


def lead_away(request: HttpRequest, departure: Departure) -> HttpResponse:
    """Send the browser to the upstream, by redirect or by a form that posts itself."""
    if not departure.fields:
        return HttpResponse(status=303, headers={"Location": departure.url})
    response = render(request, "form_post.html", {"action": departure.url, "fields": departure.fields})
    return content_policy.allow_forms_to(response, departure.url, leads_on=True)  # the page has this one form only


def onward(request: HttpRequest, url: str) -> HttpResponse:
    """Go on by a page of its own, which a form's policy (`form-action`) does not follow as it follows redirects."""
    return render(request, "onward.html", {"url": url})


def _is_fresh(account: Account, identity: Identity, trip: Trip) -> bool:
    """Whether the proof upstream is as new as it must be, as far as the upstream tells.

    It tells in whole seconds of another clock. Therefore a proof that was forced after the revocation is measured against its
    departure, and not against the mark, which it could seem to be older than. One that does not say when is believed if it was
    forced so, or if the person was here since the revocation.
    """
    mark, proved_at, forced_at = identity.revoked, account.auth_time, trip.departed_at if trip.asked.force else None
    was_forced_since = forced_at is not None and not began_before(forced_at, mark)
    if proved_at is None:
        was_here_since = identity.last_login_at is not None and not began_before(identity.last_login_at, mark)
        return mark is None or was_forced_since or was_here_since
    wanted = _wanted_since(trip)
    is_recent = wanted is None or proved_at >= wanted - LEEWAY
    return is_recent and (was_forced_since or not began_before(proved_at, mark))


def _wanted_since(trip: Trip) -> datetime | None:
    """The earliest proof that the application accepts."""
    if trip.departed_at is None:
        return None
    if trip.asked.force:
        return trip.departed_at
    return None if trip.asked.max_age is None else trip.departed_at - timedelta(seconds=trip.asked.max_age)


def _once_more(request: HttpRequest, trip: Trip, at: datetime) -> HttpResponse:
    if trip.is_second:
        raise NotEnough(
            gettext_noop("You must prove again who you are, and %(connection)s did not ask you to. Please try again."),
            isolated(str(trip.connection)),
        )
    return start(
        request,
        trip.connection,
        replace(trip.asked, force=True),
        trip.redirect_url,
        at,
        is_second=True,
        reauthenticates=trip.reauthenticates,
        steps_up=trip.steps_up,
    )


def _with_less(request: HttpRequest, trip: Trip, at: datetime) -> HttpResponse:
    """The upstream has no two factors of this person: it is a sign-in with one, and what wants two asks for ours."""
    if trip.steps_up:
        return HttpResponseRedirect(trip.redirect_url)
    return start(
        request,
        trip.connection,
        replace(trip.asked, two_factors=False, acr_values=""),
        trip.redirect_url,
        at,
        is_second=trip.is_second,
        reauthenticates=trip.reauthenticates,
    )


def _prove_again(request: HttpRequest, trip: Trip, identity: Identity, account: Account) -> HttpResponse:
    _session_of(request, identity)
    sign_in.record_again(
        request,
        identity,
        upstream_sid=account.upstream_sid,
        upstream=_for_later(account),
        upstream_mfa=account.has_proved_several,
    )
    return HttpResponseRedirect(trip.redirect_url)


def _step_up(request: HttpRequest, trip: Trip, identity: Identity, account: Account) -> HttpResponse:
    """One factor upstream changes nothing: where this leads decides what it is worth."""
    session = _session_of(request, identity)
    if account.has_proved_several:
        sign_in.record_step_up(
            request,
            session,
            account.auth_time,
            upstream_sid=account.upstream_sid,
            upstream=_for_later(account),
        )
    return HttpResponseRedirect(trip.redirect_url)


def _session_of(request: HttpRequest, identity: Identity) -> SSOSession:
    """The session of this browser, which is to be this account's. Raises NotEnough."""
    session = binding.session_of(request)
    if session is None or session.identity_id != identity.pk:
        raise NotEnough(gettext_noop("That is another account than the one you are signed in with."))
    return session


def _for_later(account: Account) -> dict[str, Any]:
    """What the session keeps of its upstream: for logout, and when it ends there."""
    ends_at = account.expires_at.isoformat() if account.expires_at else None
    return {**account.upstream, lifecycle.UPSTREAM_ENDS: ends_at}
