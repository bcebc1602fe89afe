"""An OpenID provider upstream says that a session ended there: by its back channel, or through the browser's frame."""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from idp.connections.contract import UpstreamFault
from idp.connections.dialects import OIDC, dialect
from idp.connections.oidc import logout_token
from idp.connections.registry import Purpose, usable_for
from idp.http import content_policy, request_body
from idp.http.middleware import for_programs
from idp.models import Connection
from idp.protocol.errors import InvalidRequest, TemporarilyUnavailable
from idp.protocol.params import from_urlencoded
from idp.tenants import configuration
from idp.views.errors import json_errors, page_errors
from logout_app.ending import upstream_end

LONGEST_TEXT = 255
log = structlog.get_logger(__name__)


@for_programs
@csrf_exempt
@login_not_required
@require_POST
def backchannel_logout(request: HttpRequest, connection: str) -> HttpResponse:
    """OpenID Connect Back-Channel Logout 1.0 as the relying party: section 2.6, answers of section 2.8."""
    response = _backchannel(request, connection)
    response.headers["Cache-Control"] = "no-store"
    return response


@json_errors
def _backchannel(request: HttpRequest, name: str) -> HttpResponse:
    at = timezone.now()
    row = _connection(name)
    params = request_body.form(request)
    if "logout_token" in params.duplicates:
        raise InvalidRequest("The parameter logout_token was given more than once.")
    token = params.require("logout_token")
    try:
        notice = logout_token.verify(row, token, at)
        ended = upstream_end.end_upstream(
            row,
            sub=notice.sub,
            sid=notice.sid,
            at=at,
            once=("upstream_logout", notice.issuer, notice.jti, notice.expires_at),
        )
    except UpstreamFault as fault:
        log.warning("logout_in.refused", connection=name, reason=fault.reason)
        if fault.status >= 500:
            raise TemporarilyUnavailable("The keys to check the logout token cannot be had at the moment.") from fault
        raise InvalidRequest(fault.reason) from fault
    except upstream_end.Replayed:
        raise InvalidRequest("The logout token was used before.") from None
    log.info("logout_in.backchannel", connection=name, sessions=len(ended.session_pks))
    return HttpResponse(status=200)


@login_not_required
@require_GET
@xframe_options_exempt
@page_errors
def frontchannel_logout(request: HttpRequest, connection: str) -> HttpResponse:
    """OpenID Connect Front-Channel Logout 1.0 as the relying party: `sid` names the session, without a cookie.

    Anybody may send this request: it ends what has exactly this `sid`, a secret between the upstream and us, and nothing else.
    Entra sends no `iss`: the connection in the URL names the issuer. One that comes must be the connection's.
    """
    row = _connection(connection)
    params = from_urlencoded(request.META.get("QUERY_STRING", ""))
    params.refuse_duplicates()
    sid = params.require("sid")
    if len(sid) > LONGEST_TEXT or not sid.isprintable():
        raise InvalidRequest("sid is too long, or not printable.")
    if "iss" in params:
        _check_issuer(row, params.require("iss"))
    ended = upstream_end.end_upstream(row, sid=sid, at=timezone.now())
    log.info("logout_in.frontchannel", connection=connection, sessions=len(ended.session_pks))
    return signed_out_frame(request)


def _check_issuer(row: Connection, issuer: str) -> None:
    try:
        known = logout_token.is_issuer(row, issuer)
    except UpstreamFault as fault:
        log.warning("logout_in.refused", connection=row.name, reason=fault.reason)
        raise TemporarilyUnavailable("The identity provider cannot be asked who it is at the moment.") from fault
    if not known:
        raise InvalidRequest("iss is not the issuer of this connection.")


def signed_out_frame(request: HttpRequest) -> HttpResponse:
    """A page without anything to press, which anybody may frame."""
    response = render(request, "logout/frontchannel.html")
    content_policy.allow_only(response, "frame-ancestors", ["https:", "http:"])
    response.headers["Cache-Control"] = "no-store"
    return response


def _connection(name: str) -> Connection:
    row = configuration.current().connection(name)
    if row is None or not usable_for(row, Purpose.LOGOUT) or dialect(row.strategy, row.options) != OIDC:
        raise InvalidRequest("There is no such connection here.", status=404)
    return row
