"""Signing out upstream too: the browser goes on to the identity provider that vouched for its session, and comes back.

Our own session is over before. An upstream that fails, or never sends the browser back, changes nothing about that: the
sign-out page says what is known of it. Where the browser goes afterwards was validated and stored before it left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext_noop

from idp.connections.contract import Departure, LogoutSubject, UpstreamFault, UpstreamRefused
from idp.connections.places import turn
from idp.connections.registry import LOGOUT_PROTOCOLS, Purpose, usable_for
from idp.crypto import sealing
from idp.models import Connection
from idp.protocol.errors import InvalidRequest, TemporarilyUnavailable
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params
from logout_app.browser import transactions
from logout_app.models import LogoutTransaction
from sessions_app.models import FlowState, SSOSession
from sessions_app.signin.round_trip import lead_away, onward

KIND = "sign-out"
log = structlog.get_logger(__name__)


class Standing(StrEnum):
    """What is known of the session upstream, on the sign-out page."""

    OFFERED = "offered"  # it goes on; the person, or `federated`, may end it
    SENT = "sent"  # the browser went there
    LEFT = "left"  # and came back with a good answer
    FAILED = "failed"


def way_out(session: SSOSession) -> Connection | None:
    """The connection where this session could be ended too. Asks nobody upstream."""
    connection = session.connection
    if connection is None or not usable_for(connection, Purpose.LOGOUT):
        return None
    can_logout = LOGOUT_PROTOCOLS[connection.strategy].can_logout(connection, _leaver(session))
    return connection if can_logout else None


def offer(*, asked: bool) -> dict[str, object]:
    """What a transaction keeps of it at first. `asked`: the application wanted it (`federated`)."""
    return {"standing": Standing.OFFERED.value, "asked": asked, "why": ""}


def depart(request: HttpRequest, page: LogoutTransaction, *, token: str, at: datetime) -> HttpResponse:
    """Lead the browser upstream; or to the sign-out page, which says why not. `token` is the page's."""
    connection = way_out(page.session) if page.session and page.upstream else None
    if page.session is None or connection is None:
        return _to_page(token)
    state = new_secret()
    try:
        with turn():
            departure = LOGOUT_PROTOCOLS[connection.strategy].begin_logout(
                connection,
                _leaver(page.session),
                state=state,
                callback=f"{settings.ISSUER_ORIGIN}{reverse('logout_callback')}",
                at=at,
            )
    except (UpstreamFault, TemporarilyUnavailable, sealing.CannotUnseal) as fault:
        log.warning("logout.upstream_failed", connection=connection.name, reason=str(fault))
        _note(page, Standing.FAILED, gettext_noop("It cannot be reached at the moment."))
        return _to_page(token)
    _keep(page, connection, departure, state=state, token=token, at=at)
    _note(page, Standing.SENT)
    # After a POST a redirect would still be our form's, whose policy does not know the upstream.
    posted = request.method == "POST" and not departure.fields
    return onward(request, departure.url) if posted else lead_away(request, departure)


def arrive(
    request: HttpRequest,
    state: str,
    answer: Params,
    *,
    query: str,
    at: datetime,
    connection: Connection | None = None,
) -> HttpResponse:
    """The browser came back: to the application if it asked for all this, else to the sign-out page.

    Raises InvalidRequest for a return that this browser is not waiting for. Without `state` (upstreams that drop it, plain
    logout URLs) nobody knows what is answered, or whether anything is: any page can send a browser here. It then goes on as
    after its last departure, as Auth0 does, and nothing that is shown changes.

    `connection`: whose own address this came to. Then the answer is for it alone, and proves by itself what it answers.
    """
    trip = _find(request, state, at, connection)
    if not state and connection is None:
        return _go_on(trip)
    _take(trip, at)
    try:
        LOGOUT_PROTOCOLS[trip.connection.strategy].check_logout(trip.connection, trip.flow_data, query, answer, at=at)
    except UpstreamRefused as refusal:
        return _failed(trip, refusal.sentence, refusal.detail)
    except UpstreamFault as fault:
        return _failed(trip, gettext_noop("Its answer could not be trusted."), fault.reason)
    _note(trip.page, Standing.LEFT)
    return _go_on(trip)


@dataclass(frozen=True, slots=True)
class _Trip:
    flow_pk: int
    connection: Connection
    flow_data: Mapping[str, Any]
    page: LogoutTransaction
    token: str


def _go_on(trip: _Trip) -> HttpResponse:
    if trip.page.upstream["asked"] and trip.page.leads_to:
        return _redirect(trip.page.leads_to)
    return _to_page(trip.token)


def _failed(trip: _Trip, why: str, reason: str) -> HttpResponse:
    log.warning("logout.upstream_failed", connection=trip.connection.name, reason=reason)
    _note(trip.page, Standing.FAILED, why)
    return _to_page(trip.token)


def _leaver(session: SSOSession) -> LogoutSubject:
    identity = session.identity
    return LogoutSubject(
        sub=identity.sub if identity else "",
        email=identity.email if identity else "",
        upstream_sid=session.upstream_sid,
        upstream=session.upstream,
    )


def _keep(
    page: LogoutTransaction,
    connection: Connection,
    departure: Departure,
    *,
    state: str,
    token: str,
    at: datetime,
) -> None:
    """What waits for the return. The page's token is needed then and is stored nowhere in clear."""
    state_hash = digest(state)
    FlowState.objects.create(
        kind=KIND,
        state_hash=state_hash,
        browser_hash=page.browser_hash,
        connection=connection,
        data={
            "flow_data": dict(departure.flow_data),
            "page": page.pk,
            "token": sealing.seal(token, _context(state_hash)),
        },
        created_at=at,
        expires_at=at + transactions.LIFETIME,
    )


def _take(trip: _Trip, at: datetime) -> None:
    """An answer comes once."""
    if not FlowState.objects.filter(pk=trip.flow_pk, used_at=None).update(used_at=at):
        raise InvalidRequest(gettext_noop("This sign-out is over."))


def _find(request: HttpRequest, state: str, at: datetime, connection: Connection | None) -> _Trip:
    """What this browser waits for; without `state`, its last departure."""
    browser = request.COOKIES.get(settings.LOGOUT_COOKIE_NAME, "")
    waiting = FlowState.objects.filter(kind=KIND, used_at=None, expires_at__gt=at).select_related("connection")
    if connection is not None:
        waiting = waiting.filter(connection=connection)
    if state:
        flow = waiting.filter(state_hash=digest(state)).first()
    else:
        flow = waiting.filter(browser_hash=digest(browser)).order_by("-created_at", "-pk").first()
    if flow is None or flow.connection is None or not constant_time_compare(flow.browser_hash, digest(browser)):
        raise InvalidRequest(
            gettext_noop("No sign-out of this browser waits for this answer. You are signed out here all the same.")
        )
    page = LogoutTransaction.objects.filter(pk=flow.data["page"]).first()
    if page is None:
        raise InvalidRequest(gettext_noop("This sign-out is over."))
    token = sealing.unseal(flow.data["token"], _context(flow.state_hash))
    return _Trip(flow.pk, flow.connection, flow.data["flow_data"], page, token)


def _context(state_hash: str) -> str:
    return f"sign-out flow:{state_hash}"


def _note(page: LogoutTransaction, standing: Standing, why: str = "") -> None:
    page.upstream = {**page.upstream, "standing": standing.value, "why": why}
    page.save(update_fields=["upstream"])


def _to_page(token: str) -> HttpResponse:
    return _redirect(reverse("sign_out_page", args=[token]))


def _redirect(url: str) -> HttpResponse:
    """Django's own refuses the custom schemes of native applications."""
    return HttpResponse(status=303, headers={"Location": iri_to_uri(url)})
