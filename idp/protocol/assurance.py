"""How surely somebody proved who they are: classes (`acr`), methods (`amr`), and which proofs reach which class.

OpenID Connect Core sections 2, 3.1.2.1 and 5.5.1.1; RFC 8176 for the names of methods.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

SINGLE, MULTI = 1, 2
PAPE_MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
REFEDS_MFA = "https://refeds.org/profile/mfa"
CLASSES: Mapping[str, int] = {
    "1": SINGLE,
    "2": MULTI,
    "single-factor": SINGLE,
    "multi-factor": MULTI,
    PAPE_MULTI_FACTOR: MULTI,  # what applications ask of Auth0
    REFEDS_MFA: MULTI,
}
_KNOWS = frozenset({"pwd", "pin", "kba"})
_HAS = frozenset({"otp", "hwk", "swk", "sc", "sms", "tel", "pop"})
_IS = frozenset({"face", "fpt", "iris", "retina", "vbm"})
MICROSOFT_MFA = "http://schemas.microsoft.com/claims/multipleauthn"
OKTA_MFA = "urn:okta:loa:2fa:any"
UNMET = "unmet_authentication_requirements"
# How identity providers say in SAML, and in `acr`, that there were two factors.
_SEVERAL = frozenset(
    {
        PAPE_MULTI_FACTOR,
        REFEDS_MFA,
        MICROSOFT_MFA,
        OKTA_MFA,
        "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract",
        "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered",
    }
)


@dataclass(frozen=True, slots=True)
class AskedAcr:
    """Classes that a request asks for by name, in its order of preference; only names that are known here.

    `essential`: one of them must be reached, or the request fails (section 5.5.1.1).
    """

    names: tuple[str, ...] = ()
    essential: bool = False

    @property
    def preferred(self) -> int:
        """The level that its first choice needs."""
        return CLASSES[self.names[0]] if self.names else SINGLE

    def met_by(self, level: int) -> str:
        """The first of the names that somebody at this level reached; "" if none, or if none was asked for."""
        return next((name for name in self.names if CLASSES[name] <= level), "")


def known(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name in CLASSES))


def level(methods: Collection[str]) -> int:
    """What these methods reach together: two of one kind (a password here, another there) are still one factor."""
    kinds = (not _KNOWS.isdisjoint(methods)) + (not _HAS.isdisjoint(methods)) + (not _IS.isdisjoint(methods))
    return MULTI if "mfa" in methods or kinds > 1 else SINGLE


def vouches_for_several(methods: Iterable[str], contexts: Iterable[str], names: Iterable[str] = ()) -> bool:
    """Whether an identity provider's `amr`, or `acr` and AuthnContext, say that the person proved two factors there.

    `names`: what this provider calls it beside what many do.
    """
    return level(frozenset(methods)) == MULTI or not _SEVERAL.union(names).isdisjoint(contexts)
