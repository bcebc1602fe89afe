"""Sign-in by WS-Federation (passive requestor profile), called by the view of `/wsfed/{client_id}`; and our metadata for it."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.http import content_policy
from idp.http.middleware import for_programs
from idp.models import Application
from idp.protocol.errors import AccessDenied, InvalidRequest, ProtocolError
from idp.protocol.params import Params
from idp.saml.application.wsfed import SIGN_IN, WsFedSettings
from idp.saml.own_key import own_key
from idp.tenants import configuration
from idp.views.errors import json_errors
from sessions_app.oauth.authorize import BROWSER_COOKIE
from sessions_app.saml import kept, receive, sso
from sessions_app.saml.kept import WSFED, SamlRequest
from sessions_app.saml.name_ids import NoSuchName
from sessions_app.saml.response import SamlStatement
from sessions_app.saml.sso import Party
from sessions_app.session import binding
from sessions_app.views import saml
from sessions_app.views.saml import Answers
from sessions_app.wsfed import metadata, sign_in_request, token

MEDIA_TYPE = "application/samlmetadata+xml"
NOBODY = "There is no application here that speaks WS-Federation under this address."
log = structlog.get_logger(__name__)


def named(client_id: str) -> Application | None:
    """The application that speaks WS-Federation by this name."""
    application = configuration.current().application(client_id) if client_id.isprintable() else None
    return application if application and application.enabled and application.usable.wsfed else None


def is_continuation(params: Params) -> bool:
    return kept.PARAMETER in params


def sign_in(request: HttpRequest, client_id: str, params: Params) -> HttpResponse:
    """A `wsignin1.0`, or its continuation after a sign-in. Mistakes are pages: the protocol has no answer that says no."""
    session, at = binding.session_of(request), timezone.now()
    snapshot = configuration.at(session.config_version) if session else configuration.current()  # type: ignore[attr-defined]
    application = snapshot.application(client_id)
    if application is None or not application.enabled or not application.usable.wsfed:
        raise InvalidRequest(NOBODY, status=404)
    party = sso.party_of(WSFED, application, snapshot)
    if kept.PARAMETER not in params:
        asked = sign_in_request.received(application, application.usable.wsfed, params)
        return saml.respond(request, party, asked, ANSWERS, at)
    asked = kept.opened(params[kept.PARAMETER], client_id, request.COOKIES.get(BROWSER_COOKIE, ""), WSFED)
    receive.check_still_registered(application, asked)
    if kept.ERROR in params:
        raise AccessDenied(f"You did not sign in to {application.name}.", error=params[kept.ERROR][:60])
    return saml.respond(request, party, asked, ANSWERS, at)


@for_programs
@login_not_required
@require_safe
@json_errors
def federation_metadata(request: HttpRequest, client_id: str) -> HttpResponse:
    application = named(client_id)
    if application is None:
        raise InvalidRequest(NOBODY, status=404)
    document = metadata.document(application, application.usable.wsfed, timezone.now())
    return HttpResponse(document, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _refuse(
    request: HttpRequest, party: Party, asked: SamlRequest, error: ProtocolError | NoSuchName, at: datetime
) -> HttpResponse:
    """Whatever stands in the way is a page here."""
    if isinstance(error, NoSuchName):
        raise InvalidRequest(f"There is no name of you that {party.application.name} takes.") from error
    raise error


def _say(request: HttpRequest, party: Party, asked: SamlRequest, said: SamlStatement, at: datetime) -> HttpResponse:
    """By a form, to the registered callback only. wctx goes back as it came, with whatever escapes it has."""
    settings: WsFedSettings = party.application.usable.wsfed
    longest = sso.longest_lifetime(party.snapshot)
    result = token.wresult(
        settings, party.addressee(asked), said, own_key(at, settings.told.signing_key), at, longest=longest
    )
    fields = [("wa", SIGN_IN), ("wresult", result)]
    if asked.relay_state:
        fields.append(("wctx", asked.relay_state))
    response = render(request, "form_post.html", {"action": asked.acs, "fields": fields})
    content_policy.allow_forms_to(response, asked.acs)
    response.headers["Cache-Control"] = "no-store"
    return response


ANSWERS = Answers(_say, _refuse)
