"""The status of a response (SAML core section 3.2.2): its codes, outermost first."""

from __future__ import annotations

from idp.saml.names import STATUS, samlp
from idp.saml.structure import BadResponse
from idp.saml.xml import Element

SUCCESS = STATUS + "Success"
PARTIAL_LOGOUT = STATUS + "PartialLogout"
UNKNOWN_PRINCIPAL = STATUS + "UnknownPrincipal"


def codes(root: Element) -> list[str]:
    statuses = root.findall(samlp("Status"))
    if len(statuses) != 1:
        raise BadResponse("does not have one status")
    found: list[str] = []
    element = statuses[0].find(samlp("StatusCode"))
    while element is not None:
        found.append(element.get("Value") or "")
        element = element.find(samlp("StatusCode"))
    if not found:
        raise BadResponse("has a status without code")
    return found


def is_success(root: Element) -> bool:
    return codes(root)[0] == SUCCESS


def is_partial(root: Element) -> bool:
    """A logout that did not reach everybody (SAML core section 3.2.2.2)."""
    return PARTIAL_LOGOUT in codes(root)
