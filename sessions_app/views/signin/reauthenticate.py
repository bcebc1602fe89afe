"""The page before something dangerous: prove again that it is you, where you proved it first."""

from __future__ import annotations

from allauth.account import views
from django.http import HttpRequest, HttpResponse

from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.tenants import configuration
from idp.views.errors import page_errors
from sessions_app.session import binding
from sessions_app.signin import round_trip
from sessions_app.signin.destinations import destination
from sessions_app.views.signin.callback import depart


@page_errors
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Who signed in upstream does it upstream; everybody else by a password."""
    session = binding.session_of(request)
    connection = session.connection if session is not None else None
    if connection is None or connection.strategy not in REDIRECT_PROTOCOLS:
        response: HttpResponse = views.reauthenticate(request)
        return response
    snapshot = configuration.current()
    target = destination(request.GET.get("next", ""), snapshot)
    return depart(request, round_trip.check_usable(connection, "", snapshot), target, snapshot, reauthenticates=True)
