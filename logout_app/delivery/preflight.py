"""Ask an application's logout URLs once, as a browser that is signed in nowhere and as our own worker would."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import requests
from django.conf import settings

from idp.models import Application
from idp.outbound import web
from idp.protocol.opaque import new_secret
from idp.saml import soap
from logout_app.protocol import preflight
from logout_app.protocol.frontchannel import frame_url
from logout_app.protocol.preflight import NoAnswer, Outcome, PreflightFinding, ProbeAnswer
from logout_app.protocol.saml import preflight as saml_preflight

BODY_LIMIT = 5_000_000  # bytes; a whole page with everything in it
NO_TOKEN = "preflight"  # no JWT at all: nothing can be signed out by it
NO_MESSAGE = b"<preflight/>"  # the same by SOAP


@dataclass(frozen=True, slots=True)
class Report:
    """What we found at one logout URL."""

    channel: str
    uri: str
    findings: list[PreflightFinding]


def check(application: Application) -> list[Report]:
    """Every channel of the application. Up to five seconds for each; it ends nobody's session."""
    reports = []
    if uri := application.frontchannel_logout_uri:
        reports.append(Report("Front channel", uri, check_front_channel(application)))
    if uri := application.backchannel_logout_uri:
        reports.append(Report("Back channel", uri, check_back_channel(application)))
    if uri := application.usable.saml.soap_logout_url:
        reports.append(Report("SAML by SOAP", uri, check_soap(uri)))
    elif uri := application.usable.saml.logout_url:
        reports.append(Report("SAML by the browser", uri, check_saml_frame(uri)))
    return reports


def check_front_channel(application: Application) -> list[PreflightFinding]:
    uri = application.frontchannel_logout_uri
    gets_sid = application.frontchannel_logout_session_required
    # The sid belongs to no session.
    url = frame_url(uri, issuer=settings.ISSUER, sid=new_secret(), session_required=gets_sid)
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    return preflight.front_channel(
        uri,
        _exchange(requests.Request("GET", url, headers=headers)),
        issuer_origin=settings.ISSUER_ORIGIN,
        gets_sid=gets_sid,
        has_back_channel=bool(application.backchannel_logout_uri),
    )


def check_back_channel(application: Application) -> list[PreflightFinding]:
    uri = application.backchannel_logout_uri
    return preflight.back_channel(uri, _exchange(requests.Request("POST", uri, data={"logout_token": NO_TOKEN})))


def check_soap(uri: str) -> list[PreflightFinding]:
    request = requests.Request("POST", uri, data=soap.envelope(NO_MESSAGE), headers=soap.HEADERS)
    return saml_preflight.by_soap(uri, _exchange(request))


def check_saml_frame(uri: str) -> list[PreflightFinding]:
    headers = {"Accept": "text/html", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    outcome = _exchange(requests.Request("GET", uri, headers=headers))
    return saml_preflight.by_browser(uri, outcome, issuer_origin=settings.ISSUER_ORIGIN)


def _exchange(request: requests.Request) -> Outcome:
    try:
        with web.session(body_limit=BODY_LIMIT) as session:
            response = session.send(session.prepare_request(request))
    except web.BlockedTarget as error:
        return NoAnswer(str(error))
    except requests.RequestException as error:
        return _no_answer(error)
    return ProbeAnswer(
        response.status_code, tuple((name.lower(), value) for name, value in response.raw.headers.items())
    )


def _no_answer(error: requests.RequestException) -> NoAnswer:
    """In words for an administrator; what a library prints around them helps nobody."""
    causes = _causes(error)
    if isinstance(error, requests.exceptions.SSLError):
        refused = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
        return NoAnswer(refused.verify_message if refused else "TLS failed", tls=True)
    if isinstance(error, requests.Timeout):
        return NoAnswer("no answer in time")
    if isinstance(error, web.AnswerTooLarge):
        return NoAnswer("its answer is too long")
    failure = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return NoAnswer(str(failure.strerror).lower() if failure else str(error))


def _causes(error: BaseException) -> list[BaseException]:
    """The exceptions behind this one: chained, or wrapped as an argument or as urllib3's `reason`."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseException) and current not in found:
            found.append(current)
            waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
    return found
