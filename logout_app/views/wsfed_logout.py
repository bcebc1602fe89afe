"""`GET /wsfed/{connection}`: ADFS cleans up (WS-Federation, passive requestor profile) when somebody signed out there."""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt

from idp.connections.microsoft import wsfed
from idp.connections.registry import Purpose, usable_for
from idp.models import Connection
from idp.protocol.errors import InvalidRequest
from idp.protocol.params import from_urlencoded
from idp.tenants import configuration
from idp.views.errors import page_errors
from logout_app.browser.sign_out import clear_browser, redirect
from logout_app.ending import upstream_end
from logout_app.views.logout_in import signed_out_frame
from sessions_app.session import binding

log = structlog.get_logger(__name__)


@login_not_required
@csrf_exempt  # only GET is answered, and another method is told so
@xframe_options_exempt
def wsfed_logout(request: HttpRequest, connection: str) -> HttpResponse:
    response = _answer(request, connection)
    if response.status_code == 405:
        response.headers["Allow"] = "GET"
    return response


@page_errors
def _answer(request: HttpRequest, connection: str) -> HttpResponse:
    """End this browser's session, if it began at this connection: the message names nobody, so the cookie must.

    Then back to `wreply`, which is how one relying party after the other is told; only to the server that asks.
    """
    if request.method != "GET":  # ADFS posts its tokens, and a person looks at the answer
        raise InvalidRequest("This address only ends sessions: nobody signs in by WS-Federation.", status=405)
    row = _connection(connection)
    params = from_urlencoded(request.META.get("QUERY_STRING", ""))
    params.refuse_duplicates()
    if params.require("wa") != wsfed.CLEAN_UP:
        raise InvalidRequest(f"Only {wsfed.CLEAN_UP} is understood here: nobody signs in by WS-Federation.")
    wreply = params.get("wreply", "")
    if wreply and not wsfed.is_there(row.options, wreply):
        raise InvalidRequest("wreply is not an address of the connection's server.")
    session = binding.session_of(request)
    if session is not None and session.connection_id == row.pk:
        upstream_end.end_session(row, session, at=timezone.now())
        clear_browser(request)
        log.info("logout_in.wsfed", connection=row.name, sessions=1)
    return redirect(request, wreply) if wreply else signed_out_frame(request)


def _connection(name: str) -> Connection:
    row = configuration.current().connection(name)
    if row is None or not usable_for(row, Purpose.LOGOUT) or not wsfed.is_chosen(row.options):
        raise InvalidRequest("There is no such connection here.", status=404)
    return row
