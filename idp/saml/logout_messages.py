"""LogoutRequest and LogoutResponse (SAML core section 3.7): ours as bytes, theirs as facts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree

from idp.saml import sending, xml
from idp.saml.names import ASSERTION, PROTOCOL, STATUS, saml, samlp
from idp.saml.structure import SKEW, BadResponse
from idp.saml.xml import Element, Unreadable

LIFETIME = timedelta(minutes=5)  # of a message, where it says nothing shorter
MOST_INDEXES = 100
SUCCESS, PARTIAL = "Success", "PartialLogout"
_QUALIFIERS = {"name_id_format": "Format", "name_qualifier": "NameQualifier", "sp_name_qualifier": "SPNameQualifier"}


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """Whose sessions ended upstream: those with one of the indexes, or all of the name where there are none."""

    id: str
    name_id: str
    indexes: tuple[str, ...]
    expires_at: datetime

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.id.encode()).hexdigest()


def logout_request(
    issuer: str, destination: str, name_id: Mapping[str, str], session_index: str, at: datetime, *, reason: str = ""
) -> tuple[str, bytes]:
    """Its id, and the message. `reason`: a URI of SAML core section 3.7.3."""
    root = _message("LogoutRequest", issuer, destination, at)
    root.set("NotOnOrAfter", sending.timestamp(at + LIFETIME))
    if reason:
        root.set("Reason", reason)
    element = etree.SubElement(root, saml("NameID"))
    element.text = name_id["name_id"]
    for ours, theirs in _QUALIFIERS.items():
        if name_id.get(ours):
            element.set(theirs, name_id[ours])
    if session_index:
        etree.SubElement(root, samlp("SessionIndex")).text = session_index
    return root.get("ID"), etree.tostring(root)


def logout_response(
    issuer: str, destination: str, in_response_to: str, at: datetime, *, status: tuple[str, ...] = (SUCCESS,)
) -> bytes:
    """`status`: codes, outermost first (SAML core section 3.2.2.1)."""
    root = _message("LogoutResponse", issuer, destination, at)
    root.set("InResponseTo", in_response_to)
    within = etree.SubElement(root, samlp("Status"))
    for code in status:
        within = etree.SubElement(within, samlp("StatusCode"), Value=STATUS + code)
    return etree.tostring(root)  # type: ignore[no-any-return]


def read_request(root: Element, *, issuer: str, destination: str, at: datetime, by_soap: bool = False) -> LogoutNotice:
    """What a verified LogoutRequest says. `by_soap`: it need not say where it goes. Raises BadResponse."""
    try:
        issued_at = _check(root, issuer, (destination, None) if by_soap else (destination,), at)
        until = issued_at + LIFETIME
        if root.get("NotOnOrAfter"):
            until = min(until, xml.instant(root.get("NotOnOrAfter")))
        if until + SKEW <= at:
            raise BadResponse("is no longer valid: compare the clocks")
        names = root.findall(saml("NameID"))
        if len(names) != 1 or not xml.text_of(names[0]):
            raise BadResponse("does not have one NameID in clear")
        indexes = tuple(xml.text_of(element) for element in root.findall(samlp("SessionIndex"))[:MOST_INDEXES])
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    return LogoutNotice(root.get("ID"), xml.text_of(names[0]), tuple(filter(None, indexes)), until + SKEW)


def check_response(root: Element, *, issuer: str, destination: str, request_id: str, at: datetime) -> None:
    """A verified LogoutResponse, but for its status. Raises BadResponse."""
    try:
        issued_at = _check(root, issuer, (destination,), at)
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    if issued_at + LIFETIME + SKEW <= at:
        raise BadResponse("is no longer valid: compare the clocks")
    if root.get("InResponseTo") != request_id:
        raise BadResponse("does not answer this browser's request")


def _check(root: Element, issuer: str, destinations: tuple[str | None, ...], at: datetime) -> datetime:
    """When it was issued."""
    issuers = [xml.text_of(element) for element in root.findall(saml("Issuer"))]
    if len(issuers) != 1 or (issuer and issuers != [issuer]):
        raise BadResponse("is of another issuer")
    if root.get("Destination") not in destinations:
        raise BadResponse("was sent to another destination than ours")
    issued_at = xml.instant(root.get("IssueInstant") or "")
    if issued_at > at + SKEW:
        raise BadResponse("was issued in the future: compare the clocks")
    return issued_at


def _message(name: str, issuer: str, destination: str, at: datetime) -> Element:
    root = etree.Element(samlp(name), nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
    root.set("ID", sending.new_id())
    root.set("Version", "2.0")
    root.set("IssueInstant", sending.timestamp(at))
    if destination:
        root.set("Destination", destination)
    etree.SubElement(root, saml("Issuer")).text = issuer
    return root
