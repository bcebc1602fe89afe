"""Sign-in upstream over HTTP: where the browser departs, where it comes back to, and the way back to the application."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext_noop
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.dialects import OIDC, dialect
from idp.http import request_body
from idp.models import Connection
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.params import Params, from_urlencoded
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from idp.views.errors import page_errors
from sessions_app.oauth import long_requests
from sessions_app.oauth.recipient import recipient_of
from sessions_app.protocol.authorization import REPOSTED
from sessions_app.saml import kept
from sessions_app.session import assurance, binding
from sessions_app.signin import offers, round_trip
from sessions_app.signin.destinations import Destination, destination
from sessions_app.views.oauth.authorization_response import fail
from sessions_app.views.signin import reposting, trial_page, upstream_pages
from sessions_app.views.signin.popups import keep_opener

# What an application may hear of a sign-in that somebody gave up (RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6).
TOLD = frozenset(
    {"access_denied", "login_required", "interaction_required", "unmet_authentication_requirements"}
    | {"server_error", "temporarily_unavailable"}
)


@login_not_required
@require_safe
@keep_opener
@page_errors
def start(request: HttpRequest, connection: str) -> HttpResponse:
    """Sign in through this connection, then go to `next`. `fresh`: as somebody who is asked there who they are."""
    params = _query(request)
    snapshot = configuration.current()
    target = destination(params.get("next", ""), snapshot)
    row = round_trip.check_usable(snapshot.connection(connection), target.url, snapshot)
    if "fresh" in params:
        target = replace(target, asked=replace(target.asked, force=True, select_account=True))
    login_hint = params.get("login_hint", "")[:255]
    if row.silent_since and "anyway" not in params:
        more = {name: params.get(name, "") for name in ("fresh", "login_hint") if name in params}
        again = upstream_pages.start_url(row, target.url, anyway="1", **more)
        return upstream_pages.silent(request, row, target.url, again)
    return depart(request, row, target, snapshot, login_hint=login_hint)


def depart(
    request: HttpRequest,
    connection: Connection,
    target: Destination,
    snapshot: Snapshot,
    *,
    login_hint: str = "",
    reauthenticates: bool = False,
) -> HttpResponse:
    """To the upstream, with what the application wishes; or the page that says why not."""
    asked = target.asked_with(login_hint)
    session = binding.session_of(request)
    if not asked.two_factors and assurance.wanted_of_all(target.application, connection, snapshot):
        asked = replace(asked, two_factors=True)
    if reauthenticates or (session is not None and session.is_stale):
        asked = replace(asked, force=True)
    try:
        return round_trip.start(request, connection, asked, target.url, timezone.now(), reauthenticates=reauthenticates)
    except UpstreamFault as error:
        return upstream_pages.fault(request, connection, target.url, error, status=502)


@login_not_required
@csrf_exempt
@require_http_methods(["GET", "POST"])
@keep_opener
def callback(request: HttpRequest) -> HttpResponse:
    """The answer of an OpenID provider, by redirect or as a posted form."""
    return _arrive(request, "state", None)


@login_not_required
@csrf_exempt
@require_http_methods(["GET", "POST"])
@keep_opener
def own_callback(request: HttpRequest, connection: str) -> HttpResponse:
    """The answer to this connection's own address: for SAML its assertion consumer service, which takes forms only."""
    row = configuration.current().connection(connection)
    if row is not None and dialect(row.strategy, row.options) == OIDC:
        return _arrive(request, "state", None)
    return _arrive(request, "RelayState", connection) if request.method == "POST" else HttpResponseNotAllowed(["POST"])


@login_not_required
@require_safe
@keep_opener
@page_errors
def cancel(request: HttpRequest) -> HttpResponse:
    """The way back to the application that waits behind `next`, with an error; only to its registered redirect URI."""
    params = _query(request)
    snapshot = configuration.current()
    target = destination(params.get("next", ""), snapshot)
    if target.application is None:
        return HttpResponseRedirect(target.url)
    error = params.get("error", "")
    if kept.is_waiting(target.url):
        return HttpResponseRedirect(
            f"{target.url}&{urlencode({kept.ERROR: error if error in TOLD else 'access_denied'})}"
        )
    asked = from_urlencoded(long_requests.whole(urlsplit(target.url).query))
    told = ProtocolError("The person did not sign in.", error=error if error in TOLD else "access_denied")
    return fail(request, recipient_of(asked, snapshot), told)


def _arrive(request: HttpRequest, state_name: str, named: str | None) -> HttpResponse:
    try:
        params = _query(request) if request.method == "GET" else _once(request_body.form(request))
        lax = () if settings.HTTPS else (settings.UPSTREAM_COOKIE_NAME,)
        if reposting.is_needed(request, params, *lax):
            return reposting.page(request, params, request.path)
        trip = _trip(request, params.get(state_name, ""), named)
    except round_trip.AlreadyOver as over:
        return _as_it_was(request, over)
    except ProtocolError as error:
        return upstream_pages.lost(request, error)
    answer = Params((name, value) for name, value in params.pairs if name != REPOSTED)
    response = _finish(request, trip, answer)
    if REPOSTED in params and response.has_header("Location"):
        # A redirect would still be that of our form, whose policy does not know the application.
        return round_trip.onward(request, response.headers["Location"])
    return response


def _as_it_was(request: HttpRequest, over: round_trip.AlreadyOver) -> HttpResponse:
    """*Back*, a reload, a double click at the upstream: whoever is signed in goes on to where it led."""
    if binding.session_of(request) is None:
        return upstream_pages.lost(request, over, redirect_url=over.redirect_url)
    if request.method == "POST":  # a form's policy may not know where the next page leads
        return round_trip.onward(request, over.redirect_url)
    return HttpResponseRedirect(over.redirect_url)


def _trip(request: HttpRequest, state: str, named: str | None) -> round_trip.Trip:
    at = timezone.now()
    snapshot = configuration.current()
    trip = round_trip.come_back(request, state, at) if state else None
    if trip is None and named is not None:
        connection = round_trip.check_usable(snapshot.connection(named), "", snapshot)
        trip = round_trip.unsolicited(connection)
    if trip is None:
        raise InvalidRequest(gettext_noop("This sign-in is not known here. Please begin again."))
    if trip.tried_by is None:  # a closed connection can be tried
        round_trip.check_usable(trip.connection, trip.redirect_url, snapshot)
    return trip


def _finish(request: HttpRequest, trip: round_trip.Trip, answer: Params) -> HttpResponse:
    if trip.tried_by is not None:
        return trial_page.arrived(request, trip, answer)
    try:
        response = round_trip.finish(request, trip, answer, timezone.now())
    except UpstreamRefused as error:
        return upstream_pages.refused(request, trip.connection, trip.redirect_url, error)
    except round_trip.NotEnough as error:
        return upstream_pages.not_enough(request, trip.connection, trip.redirect_url, error)
    except UpstreamFault as error:
        return upstream_pages.fault(request, trip.connection, trip.redirect_url, error, status=400)
    offers.remember(response, trip.connection)
    return response


def _query(request: HttpRequest) -> Params:
    return _once(from_urlencoded(request.META.get("QUERY_STRING", "")))


def _once(params: Params) -> Params:
    params.refuse_duplicates()
    return params
