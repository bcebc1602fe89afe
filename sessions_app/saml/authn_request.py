"""What an application asks by an AuthnRequest (SAML core section 3.4), as far as it can be judged without knowing anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from idp.protocol import assurance
from idp.protocol.assurance import AskedAcr
from idp.saml import xml
from idp.saml.names import POST, saml, samlp
from idp.saml.structure import SKEW, BadResponse
from idp.saml.xml import Element, Unreadable

OLDEST = timedelta(minutes=10)  # since it was issued; a browser may have been on the way that long
LONGEST_ID = 256
MOST_CLASSES = 20
LONGEST_NAME = 256  # of what is kept in an address while somebody signs in
CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
PASSWORD = CLASSES + "PasswordProtectedTransport"
UNSPECIFIED_CLASS = CLASSES + "unspecified"
SINGLE, MULTI = "single-factor", "multi-factor"  # of `assurance.CLASSES`
KNOWN_CLASSES: Mapping[str, str] = {
    **{CLASSES + name: SINGLE for name in ("unspecified", "Password", "PasswordProtectedTransport", "PreviousSession")},
    **{CLASSES + name: MULTI for name in ("MobileTwoFactorContract", "MobileTwoFactorUnregistered")},
    assurance.MICROSOFT_MFA: MULTI,
    assurance.OKTA_MFA: MULTI,
    **{name: MULTI if level == assurance.MULTI else SINGLE for name, level in assurance.CLASSES.items()},
}


@dataclass(frozen=True, slots=True)
class AskedContext:
    """The authentication context classes of a request: `unreachable` if we know of no way to what it insists on."""

    classes: tuple[str, ...] = ()
    comparison: str = "exact"

    @property
    def unreachable(self) -> bool:
        return bool(self.classes) and not self.acr.names

    @property
    def acr(self) -> AskedAcr:
        """As a step-up understands it. Of `maximum` nothing follows: nobody forgets a factor that they proved."""
        known = [KNOWN_CLASSES[name] for name in self.classes if name in KNOWN_CLASSES]
        if self.comparison == "better":
            known = [MULTI] if known and MULTI not in known else []
        elif self.comparison == "maximum":
            known = [SINGLE] if known else []
        return AskedAcr(tuple(known), essential=bool(known))

    def reached(self, level: int) -> str:
        """The class to name in the answer: the first that was asked for and is met; "" if that does not say it."""
        if self.comparison != "exact":
            return ""
        met = (
            name for name in self.classes if name in KNOWN_CLASSES and assurance.CLASSES[KNOWN_CLASSES[name]] <= level
        )
        return next(met, "")


@dataclass(frozen=True, slots=True)
class AskedSignOn:
    """A request that follows the rules. `acs` and `acs_index` exclude each other; both empty: the usual one."""

    id: str
    acs: str = ""
    acs_index: str = ""
    force: bool = False
    passive: bool = False
    name_id_format: str = ""
    sp_name_qualifier: str = ""
    context: AskedContext = field(default_factory=AskedContext)


def read(root: Element, *, issuer: str, destination: str, must_say_where: bool, at: datetime) -> AskedSignOn:
    """`must_say_where`: a signed form (SAML bindings section 3.5.5.2). Raises BadResponse with a clause."""
    try:
        return _read(root, issuer, destination, must_say_where, at)
    except Unreadable as error:
        raise BadResponse(str(error)) from None


def _read(root: Element, issuer: str, destination: str, must_say_where: bool, at: datetime) -> AskedSignOn:
    issuers = [xml.text_of(element) for element in root.findall(saml("Issuer"))]
    _check(issuers == [issuer], f"is of another application: {', '.join(issuers)[:200] or 'it has no issuer'}")
    accepted = (destination,) if must_say_where else (destination, None)
    _check(root.get("Destination") in accepted, "was sent to another destination than ours")
    issued_at = xml.instant(root.get("IssueInstant") or "")
    _check(issued_at <= at + SKEW, "was issued in the future: compare the clocks")
    _check(issued_at > at - OLDEST - SKEW, "was issued too long ago: begin again at the application")
    _check(len(root.get("ID")) <= LONGEST_ID, f"has an ID of more than {LONGEST_ID} characters")
    _check(root.get("ProtocolBinding") in (None, POST), "wants an answer by another binding than HTTP-POST")
    acs, index = root.get("AssertionConsumerServiceURL"), root.get("AssertionConsumerServiceIndex")
    _check(acs is None or index is None, "names its assertion consumer service twice, by URL and by index")
    _check(not root.findall(saml("Subject")), "names a subject, which we do not compare")
    policy = _one(root, samlp("NameIDPolicy"))
    wanted = "" if policy is None else policy.get("Format") or ""
    _check(len(wanted) <= LONGEST_NAME, "names a format that is too long")
    return AskedSignOn(
        id=root.get("ID"),
        acs=acs or "",
        acs_index=index or "",
        force=_flag(root, "ForceAuthn"),
        passive=_flag(root, "IsPassive"),
        name_id_format=wanted,
        sp_name_qualifier="" if policy is None else policy.get("SPNameQualifier") or "",
        context=_context(_one(root, samlp("RequestedAuthnContext"))),
    )


def _context(element: Element | None) -> AskedContext:
    if element is None:
        return AskedContext()
    comparison = element.get("Comparison") or "exact"
    _check(comparison in ("exact", "minimum", "better", "maximum"), "compares contexts in a way that there is not")
    names = [xml.text_of(child) for child in element.findall(saml("AuthnContextClassRef"))]
    _check(len(names) <= MOST_CLASSES, f"names more than {MOST_CLASSES} authentication contexts")
    _check(all(len(name) <= LONGEST_NAME for name in names), "names an authentication context that is too long")
    declared = element.findall(saml("AuthnContextDeclRef"))
    return AskedContext(tuple(names) or (("declaration",) if declared else ()), comparison)


def _one(root: Element, name: str) -> Element | None:
    found = root.findall(name)
    _check(len(found) <= 1, f"has more than one {name.rpartition('}')[2]}")
    return found[0] if found else None


def _flag(root: Element, name: str) -> bool:
    value = root.get(name)
    _check(value in (None, "true", "false", "1", "0"), f"has a value of {name} that is neither true nor false")
    return value in ("true", "1")


def _check(good: bool, clause: str) -> None:
    if not good:
        raise BadResponse(clause)
