"""The same for an application that speaks SAML: what its single logout services answer to what is no message."""

from __future__ import annotations

from logout_app.protocol.preflight import (
    NoAnswer,
    Outcome,
    PreflightFinding,
    bad,
    framing,
    good,
    hint,
    not_framed,
    unreachable,
)
from logout_app.protocol.redirects import parse

XML = ("text/xml", "application/soap+xml", "application/xml")


def by_soap(uri: str, outcome: Outcome) -> list[PreflightFinding]:
    """It was sent an envelope without a LogoutRequest, which a SOAP fault answers (SAML bindings section 3.2.3.3)."""
    found = []
    if uri.lower().startswith("http:"):
        found.append(hint("The SOAP URL is http: an answer is believed for its TLS certificate, and here is none."))
    if isinstance(outcome, NoAnswer):
        return [*found, unreachable("The SOAP URL", outcome)]
    status, is_xml = outcome.status, outcome.one("content-type").lower().startswith(XML)
    if 300 <= status < 400:
        return [*found, bad(f"It redirects ({status}); redirects are not followed, so no request would arrive.")]
    if status in (401, 403):
        return [*found, bad(f"It answers {status}: exempt it from sign-in, the signature of the request is its proof.")]
    if status in (404, 405, 410, 415):
        return [*found, bad(f"It answers {status}: nothing takes a SOAP message there.")]
    if is_xml or status == 400:
        return [*found, good(f"It is reachable and refuses an envelope without a request ({status}).")]
    return [*found, hint(f"It is reachable, but answers {status} and no XML, where a SOAP fault is expected.")]


def by_browser(uri: str, outcome: Outcome, *, issuer_origin: str) -> list[PreflightFinding]:
    """Whether a frame of the sign-out page can show it. Without a message it may answer what it likes, if it is there."""
    if refusal := not_framed(uri, issuer_origin):
        return [refusal]
    if isinstance(outcome, NoAnswer):
        return [unreachable("The single logout service", outcome)]
    if outcome.status in (404, 410):
        return [bad(f"It answers {outcome.status}: nothing takes a logout request there.")]
    target = parse(uri)
    found = framing(outcome, target.origin if target else "", issuer_origin)
    return [good(f"It is reachable and answers {outcome.status} to a request without a message."), *found]
