"""What an application answers to a LogoutRequest by SOAP means for its delivery (SAML core section 3.7.3, profiles section 4.4).

HTTP says only that somebody read it; whether the session ended is in the message. Pure: facts of one attempt in, one decision out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from idp.saml import soap, statuses, xml
from idp.saml.names import STATUS, saml, samlp
from idp.saml.structure import BadResponse
from idp.saml.xml import Element
from logout_app.protocol import retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

REQUESTER = STATUS + "Requester"


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """To which request, by whom, and where it would go if it said so."""

    request_id: str
    issuer: str
    destination: str


def decide(answer: Answer, history: History, *, at: datetime, jitter: float, expected: ExpectedAnswer) -> Decision:
    if not retry.is_success(answer.status):
        # Not even 400 is final: it is what gateways say of SOAP that they do not like, and no word of the application.
        return retry.decide(answer, history, at=at, jitter=jitter, final=frozenset())
    try:
        root = _opened(answer.detail)
        codes = statuses.codes(root)
        if is_out := codes[0] == statuses.SUCCESS or statuses.UNKNOWN_PRINCIPAL in codes:
            _check(root, expected)
    except BadResponse as error:
        unread = replace(answer, status=None, error="protocol", detail=f"the answer {error}")
        return retry.decide(unread, history, at=at, jitter=jitter)
    words = retry.printable(" / ".join(code.removeprefix(STATUS) for code in codes))
    if is_out:
        return Decision(
            Outcome.DELIVERED, words if codes[0] == statuses.SUCCESS else f"{words}: it has no such session"
        )
    if codes[0] == REQUESTER:
        return Decision(Outcome.REFUSED, words)
    failed = replace(answer, status=500, detail=words)
    return retry.decide(failed, history, at=at, jitter=jitter)


def _check(root: Element, expected: ExpectedAnswer) -> None:
    """Whose answer it is, and to what (SAML profiles section 4.4.4.2): the connection says who is there, not what is answered.

    Raises BadResponse.
    """
    if root.get("InResponseTo") != expected.request_id:
        raise BadResponse("does not answer this request (InResponseTo)")
    if [xml.text_of(element) for element in root.findall(saml("Issuer"))] != [expected.issuer]:
        raise BadResponse("is of another issuer than the application")
    if root.get("Destination", "") not in ("", expected.destination):
        raise BadResponse("has another destination")


def _opened(body: str) -> Element:
    try:
        root = xml.parse_message(soap.opened(body.encode()))
    except xml.Unreadable as error:
        raise BadResponse(str(error)) from None
    if root.tag != samlp("LogoutResponse"):
        raise BadResponse("is not a LogoutResponse")
    return root
