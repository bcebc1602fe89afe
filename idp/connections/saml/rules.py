"""What a verified response must say, so that it is for us, from them, about this sign-in, and of now.

SAML profiles section 4.1.4.3. Pure: every fact comes as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.saml import xml
from idp.saml.names import BEARER, saml
from idp.saml.structure import SKEW, BadResponse
from idp.saml.xml import Element

OLDEST = timedelta(hours=1)  # since it was issued: whatever it allows itself, for no longer is it remembered as used
CONDITIONS = {saml("AudienceRestriction"), saml("OneTimeUse"), saml("ProxyRestriction")}


@dataclass(frozen=True, slots=True)
class ExpectedResponse:
    """`request_id` is None for a response that nobody asked for, `issuer` "" where we know none."""

    issuer: str
    audience: str  # our entity id
    acs: str  # where the response came to
    request_id: str | None
    at: datetime


def check(root: Element, expected: ExpectedResponse, *, is_signed: bool) -> datetime:
    """The moment after which the assertion is worth nothing. `is_signed`: the response itself. Raises BadResponse, Unreadable."""
    assertion = root.find(saml("Assertion"))
    _check_message(root, assertion, expected, is_signed=is_signed)
    _check_conditions(assertion.find(saml("Conditions")), expected)
    issued_at = _instant(assertion, "IssueInstant")
    _check(issued_at <= expected.at + SKEW, "was issued in the future: compare the clocks")
    _check(issued_at > expected.at - OLDEST, "was issued too long ago")
    confirmed_until = _confirmed_until(assertion.find(saml("Subject")), expected)
    return min(confirmed_until, issued_at + OLDEST) + SKEW


def _check_message(root: Element, assertion: Element, expected: ExpectedResponse, *, is_signed: bool) -> None:
    """A Destination must be there if the message is signed (SAML bindings section 3.5.5.2). The assertion says it again: Recipient."""
    accepted = (expected.acs,) if is_signed else (expected.acs, None)
    _check(root.get("Destination") in accepted, "was sent to another destination than ours")
    _check_answer(root.get("InResponseTo"), expected.request_id)
    issuers = {xml.text_of(e) for e in (*root.findall(saml("Issuer")), assertion.find(saml("Issuer")))}
    _check(len(issuers) == 1, "names different issuers")
    issuer = issuers.pop()
    _check(bool(issuer) and expected.issuer in ("", issuer), f"is of another issuer: {issuer[:200]}")


def _check_answer(in_response_to: str | None, request_id: str | None) -> None:
    if request_id is None:
        _check(in_response_to is None, "answers a request that is not ours")
    else:
        _check(in_response_to == request_id, "does not answer this browser's request")


def _check_conditions(conditions: Element, expected: ExpectedResponse) -> None:
    for condition in conditions:
        _check(condition.tag in CONDITIONS, "has a condition that we do not know")
    if conditions.get("NotBefore"):
        _check(_instant(conditions, "NotBefore") <= expected.at + SKEW, "is not valid yet: compare the clocks")
    if conditions.get("NotOnOrAfter"):
        _check(_instant(conditions, "NotOnOrAfter") > expected.at - SKEW, "is no longer valid: compare the clocks")
    restrictions = conditions.findall(saml("AudienceRestriction"))
    _check(bool(restrictions), "has no audience")
    for restriction in restrictions:
        audiences = [xml.text_of(audience) for audience in restriction.findall(saml("Audience"))]
        _check(expected.audience in audiences, f"is for another audience: {', '.join(audiences)[:200]}")


def _confirmed_until(subject: Element, expected: ExpectedResponse) -> datetime:
    """When the bearer's right to present it ends."""
    confirmations = [c for c in subject.findall(saml("SubjectConfirmation")) if c.get("Method") == BEARER]
    _check(len(confirmations) == 1, "does not have one bearer confirmation")
    data = confirmations[0].find(saml("SubjectConfirmationData"))
    _check(data is not None, "has a confirmation that says nothing")
    _check(data.get("Recipient") == expected.acs, "is for another recipient")
    _check_answer(data.get("InResponseTo"), expected.request_id)
    if data.get("NotBefore"):
        _check(_instant(data, "NotBefore") <= expected.at + SKEW, "is not valid yet: compare the clocks")
    until = _instant(data, "NotOnOrAfter")
    _check(until > expected.at - SKEW, "is no longer valid: compare the clocks")
    return until


def _instant(element: Element, attribute: str) -> datetime:
    return xml.instant(element.get(attribute) or "")


def _check(good: bool, clause: str) -> None:
    if not good:
        raise BadResponse(clause)
