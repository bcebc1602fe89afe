"""`/samlp/{client_id}/logout`: where applications that speak SAML ask for a sign-out and answer ours; and the pages between."""

from __future__ import annotations

import structlog
from csp.constants import SELF
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from idp.http import content_policy, request_body
from idp.models import Application
from idp.protocol.errors import InvalidRequest, ProtocolError
from idp.protocol.params import Params, from_urlencoded, printable
from idp.saml import soap
from idp.saml.application.settings import LONGEST_STATE, SamlSettings
from idp.saml.bindings import REQUEST, RESPONSE, STATE
from idp.saml.structure import BadResponse
from idp.tenants import configuration
from idp.views.errors import page_errors
from logout_app.browser import transactions
from logout_app.browser.sign_out import end_and_answer, finish, redirect
from logout_app.ending.end import Ended
from logout_app.ending.rows import Planned
from logout_app.saml import answers, frames, requests
from logout_app.saml.answers import Reply
from logout_app.views.sign_out_page import gone
from sessions_app.protocol.authorization import REPOSTED
from sessions_app.session import binding
from sessions_app.views.signin import reposting

LONGEST_MESSAGE = 20_000  # characters of a message that signs somebody out
XML_TYPES = (soap.MEDIA_TYPE, "application/soap+xml")
log = structlog.get_logger(__name__)


@csrf_exempt
@login_not_required
@xframe_options_exempt
@require_http_methods(["GET", "POST"])
@page_errors
def single_logout(request: HttpRequest, client_id: str) -> HttpResponse:
    """A signed LogoutRequest, by redirect, form or SOAP; or a LogoutResponse, in the frame that our request left from."""
    application, settings = _application(client_id)
    if request.content_type in XML_TYPES and request.method == "POST":
        return _by_soap(request, application, settings)
    query = request.META.get("QUERY_STRING", "") if request.method == "GET" else ""
    params = from_urlencoded(query) if request.method == "GET" else request_body.form(request)
    params.refuse_duplicates()
    for name, value in params.pairs:
        if len(value) > (longest := LONGEST_STATE if name == STATE else LONGEST_MESSAGE):
            raise InvalidRequest(f"{printable(name)} is longer than {longest} characters.")
    if (REQUEST in params) == (RESPONSE in params):
        raise InvalidRequest("Send either a SAMLRequest or a SAMLResponse.")
    if RESPONSE in params:
        return _answered(request, application, settings, query, params)
    if reposting.is_needed(request, params):
        return reposting.page(request, params, request.path)
    own = Params([pair for pair in params.pairs if pair[0] != REPOSTED])
    response = _asked(request, application, settings, query, own)
    response.headers["X-Frame-Options"] = "DENY"  # this one is a page
    return response


@login_not_required
@require_GET
@page_errors
def answer(request: HttpRequest, client_id: str, reference: str) -> HttpResponse:
    """The sign-out page leads here when the person goes on: what the application hears is what is known now."""
    application, settings = _application(client_id)
    at = timezone.now()
    flow = answers.kept(application, reference, at)
    if flow is None:
        raise InvalidRequest("This sign-out was begun too long ago to be answered. You are signed out.", status=404)
    codes = answers.status(application, flow.data["events"])
    return _lead_back(request, settings, flow.data["request"], flow.data["relay_state"], codes)


@login_not_required
@xframe_options_exempt
@require_GET
def frame(request: HttpRequest, token: str, application: str) -> HttpResponse:
    """In a frame of the sign-out page, or a window of its own: from here the browser carries our LogoutRequest."""
    at = timezone.now()
    page = transactions.find(request, token, at)
    row = configuration.current().application_by_pk(int(application)) if page else None
    carried = frames.request(page, row, at) if page and row else None
    response = gone(request) if carried is None else _carry(request, carried)
    content_policy.allow_only(response, "frame-ancestors", [SELF])
    return response


def _asked(
    request: HttpRequest, application: Application, settings: SamlSettings, query: str, params: Params
) -> HttpResponse:
    at, relay_state = timezone.now(), params.get(STATE, "")
    notice = requests.by_browser(application, settings, query, params, at)
    meant = requests.meant(application, notice)
    session = binding.session_of(request)
    log.info("saml.logout_asked", client_id=application.client_id, sessions=len(meant.session_pks))
    if session is None or session.pk not in meant.session_pks:
        ended = requests.end(application, notice, meant.session_pks, at)
        codes = _codes(application, meant, ended.event.pk if ended.event else None)
        return _lead_back(request, settings, notice.id, relay_state, codes)
    others = tuple(pk for pk in meant.session_pks if pk != session.pk)

    def settled(ended: Ended) -> tuple[Planned, str]:
        """The page leads on to the answer, if there is an address for it."""
        left = requests.settle(ended, application, at)
        events = [one.event.pk for one in (before, ended) if one.event]
        wanted = settings.logout_reply_url
        return left, answers.keep(application, notice.id, relay_state, events, at) if wanted else ""

    with transaction.atomic():
        requests.use(application, notice)
        before = requests.end_unasked(application, others, at)
        return end_and_answer(request, session, application=application, return_url="", at=at, settled=settled)


def _codes(application: Application, meant: requests.Meant, event_pk: int | None) -> tuple[str, ...]:
    if event_pk is not None:
        return answers.status(application, [event_pk])
    return answers.SUCCESS if meant.known else answers.UNKNOWN


def _by_soap(request: HttpRequest, application: Application, settings: SamlSettings) -> HttpResponse:
    """The answer is that of the moment: what is told by the outbox is on its way, so that it hardly ever is a full one."""
    at = timezone.now()
    try:
        body = request_body.read(request, *XML_TYPES, largest=soap.LONGEST)
        notice = requests.by_soap(application, settings, body, at)
        meant = requests.meant(application, notice)
        ended = requests.end(application, notice, meant.session_pks, at)
    except ProtocolError as error:
        log.info("saml.logout_refused", client_id=application.client_id, reason=error.description)
        return HttpResponse(soap.fault(error.description), content_type=soap.MEDIA_TYPE, status=500)
    log.info("saml.logout_asked", client_id=application.client_id, sessions=len(ended.session_pks), by="soap")
    codes = _codes(application, meant, ended.event.pk if ended.event else None)
    message = answers.by_soap(settings, notice.id, codes, at)
    return HttpResponse(soap.envelope(message), content_type=f"{soap.MEDIA_TYPE}; charset=utf-8")


def _answered(
    request: HttpRequest, application: Application, settings: SamlSettings, query: str, params: Params
) -> HttpResponse:
    """Without a cookie, which a frame of another site may not bring: request and answer know each other."""
    try:
        signed_out = frames.confirm(application, settings, query, params, timezone.now())
    except BadResponse as error:
        log.warning("saml.logout_unconfirmed", client_id=application.client_id, reason=str(error))
        raise InvalidRequest(f"The logout response of {application.name} {error}.") from error
    template = "logout/frontchannel.html" if signed_out else "logout/not_signed_out.html"
    response = render(request, template, {"application": application})
    content_policy.allow_only(response, "frame-ancestors", [SELF])
    response.headers["Cache-Control"] = "no-store"
    return response


def _lead_back(
    request: HttpRequest, settings: SamlSettings, request_id: str, relay_state: str, codes: tuple[str, ...]
) -> HttpResponse:
    carried = answers.reply(settings, request_id, relay_state, codes, timezone.now())
    return finish(request, "") if carried is None else _carry(request, carried)


def _carry(request: HttpRequest, carried: Reply) -> HttpResponse:
    address, fields = carried
    if not fields:
        response = redirect(request, address)
    else:
        response = render(request, "form_post.html", {"action": address, "fields": fields})
        content_policy.allow_forms_to(response, address)
    response.headers["Cache-Control"] = "no-store"
    return response


def _application(client_id: str) -> tuple[Application, SamlSettings]:
    application = configuration.current().application(client_id) if client_id.isprintable() else None
    if application is None or not application.enabled or not application.usable.saml:
        raise InvalidRequest("There is no application here that speaks SAML under this address.", status=404)
    return application, application.usable.saml
