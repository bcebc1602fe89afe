"""An authorization response, success or error, by the response mode that was asked for. Every one carries `iss` (RFC 9207)."""

from __future__ import annotations

from collections.abc import Mapping

from csp.constants import SELF
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from idp.http import content_policy, languages
from idp.http.queries import encoded
from idp.models import Application
from idp.protocol.errors import ProtocolError
from sessions_app.oauth.recipient import Recipient
from sessions_app.protocol.authorization import ResponseMode
from sessions_app.session import browser_state
from sessions_app.session.binding import browser_of


def succeed(request: HttpRequest, to: Recipient, code: str) -> HttpResponse:
    return _send(request, to, {"code": code})


def fail(request: HttpRequest, to: Recipient, error: ProtocolError) -> HttpResponse:
    return _send(request, to, {"error": error.error, "error_description": error.description})


def _send(request: HttpRequest, to: Recipient, answer: Mapping[str, str]) -> HttpResponse:
    languages.finished(request)
    fields = dict(answer)
    if to.state:
        fields["state"] = to.state
    fields["iss"] = settings.ISSUER
    cookies = HttpResponse()
    session_state = browser_state.state_for(
        request,
        cookies,
        to.tenant,
        client_id=to.application.client_id,
        redirect_uri=to.redirect_uri,
        is_new=browser_of(request).new_cookie is not None,
    )
    if session_state is not None:
        fields["session_state"] = session_state
    response = _by_mode(request, to, fields)
    response.cookies.update(cookies.cookies)
    return framable(response, to.application) if to.silent else response


def _by_mode(request: HttpRequest, to: Recipient, fields: Mapping[str, str]) -> HttpResponse:
    if to.mode is ResponseMode.WEB_MESSAGE:
        response = render(request, "web_message.html", {"answer": fields, "target": to.origin})
        response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"  # a popup's message goes to its opener
        return response
    if to.mode is ResponseMode.FORM_POST:
        response = render(request, "form_post.html", {"action": to.redirect_uri, "fields": fields.items()})
        content_policy.allow_forms_to(response, to.redirect_uri)
        return response
    return _redirect(to, fields)


def framable(response: HttpResponse, application: Application) -> HttpResponse:
    """Let the application's own pages hold this answer in a hidden frame."""
    response.xframe_options_exempt = True
    if origins := application.usable.web_origins:
        content_policy.allow_only(response, "frame-ancestors", [SELF, *origins])
    return response


def _redirect(to: Recipient, fields: Mapping[str, str]) -> HttpResponse:
    separator = "&" if "?" in to.redirect_uri else "?"
    if to.mode is ResponseMode.FRAGMENT:
        separator = "#"
    # 303: a POST to /authorize must not be repeated at the application with its parameters (RFC 9700 section 4.12).
    return HttpResponse(status=303, headers={"Location": f"{to.redirect_uri}{separator}{encoded(fields.items())}"})
