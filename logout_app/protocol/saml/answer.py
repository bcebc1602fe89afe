"""What an application answers to a LogoutRequest by SOAP means for its delivery (SAML core section 3.7.3, profiles section 4.4).

HTTP says only that somebody read it; whether the session ended is in the message. Pure: facts of one attempt in, one decision out.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from idp.saml import soap, statuses, xml
from idp.saml.names import STATUS, samlp
from idp.saml.structure import BadResponse
from logout_app.protocol import retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

REQUESTER = STATUS + "Requester"


def decide(answer: Answer, history: History, *, at: datetime, jitter: float) -> Decision:
    if not retry.is_success(answer.status):
        # Not even 400 is final: it is what gateways say of SOAP that they do not like, and no word of the application.
        return retry.decide(answer, history, at=at, jitter=jitter, final=frozenset())
    try:
        codes = _codes(answer.detail)
    except BadResponse as error:
        unread = replace(answer, status=None, error="protocol", detail=f"the answer {error}")
        return retry.decide(unread, history, at=at, jitter=jitter)
    words = retry.printable(" / ".join(code.removeprefix(STATUS) for code in codes))
    if codes[0] == statuses.SUCCESS:
        return Decision(Outcome.DELIVERED, words)
    if statuses.UNKNOWN_PRINCIPAL in codes:
        return Decision(Outcome.DELIVERED, f"{words}: it has no such session")
    if codes[0] == REQUESTER:
        return Decision(Outcome.REFUSED, words)
    failed = replace(answer, status=500, detail=words)
    return retry.decide(failed, history, at=at, jitter=jitter)


def _codes(body: str) -> list[str]:
    try:
        root = xml.parse_message(soap.opened(body.encode()))
    except xml.Unreadable as error:
        raise BadResponse(str(error)) from None
    if root.tag != samlp("LogoutResponse"):
        raise BadResponse("is not a LogoutResponse")
    return statuses.codes(root)
