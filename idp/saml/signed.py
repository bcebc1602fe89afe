"""What of a response must be signed, and what is (SAML profiles section 4.1.4.5, with erratum E26: either will do).

Whatever is signed must be signed well. A signature over the response covers the assertion in it, also an encrypted one; one over the
assertion covers all that is read of it, and nothing is believed of the response around it that the assertion does not say again.
"""

from __future__ import annotations

from enum import StrEnum

from idp.saml.names import ds, saml
from idp.saml.structure import BadResponse
from idp.saml.xml import Element


class Wanted(StrEnum):
    RESPONSE = "response"
    ASSERTION = "assertion"
    EITHER = "either"
    BOTH = "both"


class Signed(StrEnum):
    """What came signed; of each, whether it is the right signature is not said."""

    NOTHING = "nothing"
    RESPONSE = "response"
    ASSERTION = "assertion"
    BOTH = "both"

    @property
    def words(self) -> str:
        return {"response": "the response only", "assertion": "the assertion only"}.get(self.value, self.value)


class Unproven(BadResponse):
    """It is not signed as it must be, or cannot be opened: nobody knows who wrote it."""


class UnknownSigner(Unproven):
    """Signed, but by none of the certificates that were tried."""


_ENOUGH = {
    Wanted.RESPONSE: {Signed.RESPONSE, Signed.BOTH},
    Wanted.ASSERTION: {Signed.ASSERTION, Signed.BOTH},
    Wanted.EITHER: {Signed.RESPONSE, Signed.ASSERTION, Signed.BOTH},
    Wanted.BOTH: {Signed.BOTH},
}


def has_signature(element: Element) -> bool:
    return element is not None and element.find(ds("Signature")) is not None


def of(root: Element) -> Signed:
    """What is signed of a response of one assertion in clear (`structure.check_success`)."""
    response, assertion = has_signature(root), has_signature(root.find(saml("Assertion")))
    if response and assertion:
        return Signed.BOTH
    return Signed.RESPONSE if response else Signed.ASSERTION if assertion else Signed.NOTHING


def is_enough(wanted: Wanted, came: Signed) -> bool:
    return came in _ENOUGH[wanted]


def check(wanted: Wanted, came: Signed) -> None:
    """Raises Unproven."""
    if not is_enough(wanted, came):
        raise Unproven(f"is not signed as wants_signed ({wanted}) asks: signed is {came.words}")


def check_before_opening(wanted: Wanted, root: Element) -> None:
    """The same of a response whose assertion is encrypted: what can be said without opening it. Raises Unproven."""
    if wanted in (Wanted.RESPONSE, Wanted.BOTH) and not has_signature(root):
        raise Unproven(
            f"is not signed as wants_signed ({wanted}) asks: the response around an encrypted assertion is not"
        )
