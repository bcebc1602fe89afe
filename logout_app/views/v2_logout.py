"""`GET /v2/logout`: Auth0's. It ends the browser's session at once, by design without a question (ADR 8)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from idp.applications import rules
from idp.models import Application, V2LogoutConfirmation
from idp.protocol.errors import InvalidRequest, NotRegistered
from idp.tenants import configuration
from logout_app.browser.sign_out import end_and_answer, finish, is_opened_page
from logout_app.protocol import redirects
from logout_app.protocol.rp_initiated_logout import is_federated
from logout_app.views.errors import sign_out_errors
from logout_app.views.oidc_logout import ask
from sessions_app.session import binding

PARAMETERS = ("client_id", "returnTo", "federated")


@login_not_required
@require_GET
@sign_out_errors
def v2_logout(request: HttpRequest) -> HttpResponse:
    """Check everything first; an unknown application or address answers 400 and ends nothing.

    Without a session it still redirects. Only a page that the person opened ends anything; what is part of another page,
    an image or a frame, is asked.
    """
    federated = is_federated(request.GET.get("federated"))
    session = binding.session_of(request)
    snapshot = configuration.at(getattr(session, "config_version", None)) if session else configuration.current()
    application, return_url = _destination(request, snapshot)
    if session is None:
        return finish(request, return_url)
    if _must_ask(request, snapshot):
        return ask(request, session, application=application, return_url=return_url, federated=federated)
    return end_and_answer(
        request, session, application=application, return_url=return_url, at=timezone.now(), federated=federated
    )


def _destination(request: HttpRequest, snapshot: configuration.Snapshot) -> tuple[Application | None, str]:
    """The application and where to go: its own list with `client_id`, else the tenant's; its first URL by default."""
    for name in PARAMETERS:
        if len(request.GET.getlist(name)) > 1:
            raise InvalidRequest(f"The parameter {name} is given more than once.")
    client_id, return_to = request.GET.get("client_id", ""), request.GET.get("returnTo", "")
    application = _application(client_id, snapshot) if client_id else None
    registered = application.usable.logout_urls if application else rules.tenant_logout_urls(snapshot.tenant)
    if not return_to:
        return application, redirects.first_usable(registered) if application else ""
    wildcards = application is not None and application.allow_logout_url_wildcards and application.is_first_party
    any_port = application is not None and application.may_use_any_port
    if not redirects.matches_auth0(return_to, registered, wildcards=wildcards, any_port=any_port):
        said = 'The address in "returnTo" is not one of the Allowed Logout URLs.'
        raise NotRegistered(said, client_id=client_id, parameter="returnTo", uri=return_to)
    return application, return_to


def _application(client_id: str, snapshot: configuration.Snapshot) -> Application:
    application = snapshot.application(client_id) if client_id.isprintable() else None
    if application is None:
        raise InvalidRequest("The application (client_id) is not known here.")
    if not application.enabled:
        raise InvalidRequest("The application (client_id) is disabled: nobody is led back to it.")
    return application


def _must_ask(request: HttpRequest, snapshot: configuration.Snapshot) -> bool:
    if not is_opened_page(request):
        return True
    return (
        snapshot.tenant.v2_logout_confirmation == V2LogoutConfirmation.CROSS_SITE
        and request.headers.get("Sec-Fetch-Site", "") == "cross-site"
    )
