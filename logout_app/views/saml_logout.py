"""Single logout over HTTP: the address in our SAML metadata where identity providers send requests and answers."""

from __future__ import annotations

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from idp.connections.contract import UpstreamFault
from idp.connections.dialects import SAML, dialect
from idp.connections.registry import Purpose, usable_for
from idp.connections.saml import logout
from idp.http import request_body
from idp.models import Connection
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import Params, from_urlencoded
from idp.saml.bindings import REQUEST, RESPONSE
from idp.tenants import configuration
from idp.views.errors import page_errors
from logout_app.browser import upstream_logout
from logout_app.ending import upstream_end
from sessions_app.protocol.authorization import REPOSTED
from sessions_app.signin.round_trip import lead_away, onward
from sessions_app.views.signin import reposting

SPENT = "saml-logout"
log = structlog.get_logger(__name__)


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "POST"])
@page_errors
def single_logout(request: HttpRequest, connection: str) -> HttpResponse:
    """A LogoutRequest ends sessions here; a LogoutResponse is the answer to one of ours. One of both, and signed."""
    row = _connection(connection)
    query = request.META.get("QUERY_STRING", "") if request.method == "GET" else ""
    params = from_urlencoded(query) if request.method == "GET" else request_body.form(request)
    params.refuse_duplicates()
    if (REQUEST in params) == (RESPONSE in params):
        raise InvalidRequest("Send either a SAMLRequest or a SAMLResponse.")
    response = _asked(request, row, query, params) if REQUEST in params else _answered(request, query, params)
    response.headers["Cache-Control"] = "no-store"
    return response


def _asked(request: HttpRequest, connection: Connection, query: str, params: Params) -> HttpResponse:
    """Needs no cookie: the request names the session. The browser then carries our answer back."""
    at = timezone.now()
    try:
        notice = logout.notice_of(connection, query, params, at)
        ended = upstream_end.end_upstream(
            connection,
            name_id=notice.name_id,
            indexes=notice.indexes,
            at=at,
            once=(SPENT, connection.public_id, notice.mark, notice.expires_at),
        )
        log.info("logout_in.saml", connection=connection.name, sessions=len(ended.session_pks))
        return lead_away(request, logout.reply(connection, notice, params.get("RelayState", ""), at))
    except UpstreamFault as fault:
        log.warning("logout_in.refused", connection=connection.name, reason=fault.reason)
        raise InvalidRequest("The logout request of the identity provider cannot be trusted.") from fault
    except upstream_end.Replayed:
        raise InvalidRequest("This logout request was used before.") from None


def _answered(request: HttpRequest, query: str, params: Params) -> HttpResponse:
    """RelayState is the state that we sent, and nothing else; where the browser goes was stored before it left."""
    if request.method == "POST" and settings.LOGOUT_COOKIE_NAME not in request.COOKIES and REPOSTED not in params:
        return reposting.page(request, params, request.path)  # the cookie is Lax: a form of ours brings it
    response = upstream_logout.arrive(request, params.get("RelayState", ""), params, query=query, at=timezone.now())
    if REPOSTED in params:  # a redirect would still be our form's, whose policy does not know the application
        return onward(request, response.headers["Location"])
    return response


def _connection(name: str) -> Connection:
    row = configuration.current().connection(name)
    if row is None or not usable_for(row, Purpose.LOGOUT) or dialect(row.strategy, row.options) != SAML:
        raise InvalidRequest("There is no such connection here.", status=404)
    return row
