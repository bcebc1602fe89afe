"""`/wsfed/{client_id}`: WS-Federation, passive requestor profile, of an application that signs in by it; or, by the name of a
connection, the clean-up of an ADFS upstream.
"""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from idp.connections.microsoft import wsfed as upstream
from idp.connections.registry import Purpose, usable_for
from idp.http import request_body
from idp.models import Application, Connection
from idp.protocol.errors import InvalidRequest, NotRegistered
from idp.protocol.params import Params, from_urlencoded
from idp.saml.application.wsfed import SIGN_IN, SIGN_OUT
from idp.tenants import configuration
from idp.views.errors import page_errors
from logout_app.browser.sign_out import clear_browser, end_and_answer, finish, is_opened_page, redirect
from logout_app.ending import upstream_end
from logout_app.protocol import redirects
from logout_app.views.errors import sign_out_errors
from logout_app.views.logout_in import signed_out_frame
from logout_app.views.oidc_logout import ask
from sessions_app.protocol.authorization import REPOSTED
from sessions_app.session import binding
from sessions_app.views import wsfed
from sessions_app.views.signin import reposting

log = structlog.get_logger(__name__)


@login_not_required
@csrf_exempt  # requests of other sites, as the protocol has them: none of them changes anything by itself
@xframe_options_exempt
def passive(request: HttpRequest, client_id: str) -> HttpResponse:
    application = wsfed.named(client_id)
    if application is None:
        cleaned = _clean_up(request, client_id)
        if cleaned.status_code == 405:
            cleaned.headers["Allow"] = "GET"
        return cleaned
    response = _asked(request, application)
    response.headers["X-Frame-Options"] = "DENY"  # of an application there are pages only
    return response


@require_http_methods(["GET", "POST"])
def _asked(request: HttpRequest, application: Application) -> HttpResponse:
    if request.method == "GET" and request.GET.get("wa") == SIGN_OUT:
        return _sign_out(request, application)
    return _sign_in(request, application)


@page_errors
def _sign_in(request: HttpRequest, application: Application) -> HttpResponse:
    query = request.META.get("QUERY_STRING", "")
    params = from_urlencoded(query) if request.method == "GET" else request_body.form(request)
    params.refuse_duplicates()
    if reposting.is_needed(request, params):
        return reposting.page(request, params, request.path)
    own = Params([pair for pair in params.pairs if pair[0] != REPOSTED])
    if not wsfed.is_continuation(own) and own.require("wa") != SIGN_IN:
        raise InvalidRequest(f"Only {SIGN_IN} and {SIGN_OUT} are understood here.")
    return wsfed.sign_in(request, application.client_id, own)


@sign_out_errors
def _sign_out(request: HttpRequest, application: Application) -> HttpResponse:
    """Nothing of it is signed, as at /v2/logout: only a page that the person opened ends anything, another is asked."""
    params = from_urlencoded(request.META.get("QUERY_STRING", ""))
    params.refuse_duplicates()
    if params.get("wtrealm", application.usable.wsfed.realm) != application.usable.wsfed.realm:
        raise InvalidRequest(f"wtrealm is not the realm of {application.name}.")
    return_url = _return_url(application, params.get("wreply", ""))
    session = binding.session_of(request)
    if session is None:
        return finish(request, return_url)
    if not is_opened_page(request):
        return ask(request, session, application=application, return_url=return_url, federated=False)
    return end_and_answer(request, session, application=application, return_url=return_url, at=timezone.now())


def _return_url(application: Application, wreply: str) -> str:
    """Its logout URLs, and where its tokens go: ASP.NET leads back there by default. Compared as a whole."""
    registered = application.usable.logout_urls
    if not wreply:
        return redirects.first_usable(registered)
    if wreply not in (*registered, *application.usable.callbacks):
        said = "The address in wreply is none of the application's Allowed Logout URLs, nor of its callbacks."
        raise NotRegistered(said, client_id=application.client_id, parameter="wreply", uri=wreply)
    return wreply


@page_errors
def _clean_up(request: HttpRequest, connection: str) -> HttpResponse:
    """End this browser's session, if it began at this connection: the message names nobody, so the cookie must.

    Then back to `wreply`, which is how one relying party after the other is told; only to the server that asks.
    """
    if request.method != "GET":  # ADFS posts its tokens, and a person looks at the answer
        raise InvalidRequest("This address only ends sessions: nobody signs in by WS-Federation.", status=405)
    row = _connection(connection)
    params = from_urlencoded(request.META.get("QUERY_STRING", ""))
    params.refuse_duplicates()
    if params.require("wa") != upstream.CLEAN_UP:
        raise InvalidRequest(f"Only {upstream.CLEAN_UP} is understood here: nobody signs in by WS-Federation.")
    wreply = params.get("wreply", "")
    if wreply and not upstream.is_there(row.options, wreply):
        raise InvalidRequest("wreply is not an address of the connection's server.")
    session = binding.session_of(request)
    if session is not None and session.connection_id == row.pk:
        upstream_end.end_session(row, session, at=timezone.now())
        clear_browser(request)
        log.info("logout_in.wsfed", connection=row.name, sessions=1)
    return redirect(request, wreply) if wreply else signed_out_frame(request)


def _connection(name: str) -> Connection:
    row = configuration.current().connection(name)
    if row is None or not usable_for(row, Purpose.LOGOUT) or not upstream.is_chosen(row.options):
        raise InvalidRequest("There is no such connection here.", status=404)
    return row
