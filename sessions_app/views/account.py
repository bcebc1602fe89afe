"""allauth's account pages as we mount them. Its login, logout, signup and e-mail pages are not mounted."""

from __future__ import annotations

from allauth.account import views
from django.http import HttpRequest, HttpResponse

from idp import configuration
from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.views.errors import page_errors
from sessions_app import binding, upstream
from sessions_app.destinations import destination
from sessions_app.views.callback import depart


class PasswordResetFromKeyView(views.PasswordResetFromKeyView):
    def logout(self) -> None:
        """allauth signs out whoever opens somebody else's link by GET: a picture on another site could do that."""


@page_errors
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Who signed in upstream proves again upstream that it is them; everybody else by a password."""
    session = binding.session_of(request)
    connection = session.connection if session is not None else None
    if connection is None or connection.strategy not in REDIRECT_PROTOCOLS:
        response: HttpResponse = views.reauthenticate(request)
        return response
    snapshot = configuration.current()
    target = destination(request.GET.get("next", ""), snapshot)
    return depart(request, upstream.check_usable(connection, "", snapshot), target, reauthenticates=True)


password_reset = views.password_reset
password_reset_done = views.password_reset_done
password_reset_from_key = PasswordResetFromKeyView.as_view()
password_reset_from_key_done = views.password_reset_from_key_done
password_change = views.password_change
inactive = views.account_inactive
