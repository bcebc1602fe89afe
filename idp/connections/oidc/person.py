"""From verified claims to an account: who it is for ever, how to write to them, what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.attributes import BIND_ALL, RESERVED, USE_MAP
from idp.connections.oidc.options import OidcOptions
from idp.models import Strategy
from idp.protocol.standard_scopes import CLAIMS

STANDARD = frozenset((*CLAIMS["profile"], *CLAIMS["address"], *CLAIMS["phone"], "groups"))
NAMES = ("name", "given_name", "family_name", "nickname", "preferred_username")
# What names people where e-mail is no claim: directories whose sign-in names look like addresses.
EMAIL_STANDS_IN: Mapping[str, tuple[str, ...]] = {
    Strategy.ENTRA: ("upn", "preferred_username"),
    Strategy.ADFS: ("upn",),
}
MOST_GROUPS = 2000


def lacks(claims: Mapping[str, Any], options: OidcOptions) -> bool:
    """Whether the ID token leaves out what the scopes asked for, so that the UserInfo endpoint is worth a request."""
    asked = options.scope.split()
    return (
        options.attribute_map.needs_userinfo
        or ("email" in asked and not isinstance(claims.get("email"), str))
        or ("profile" in asked and not any(claims.get(name) for name in NAMES))
    )


def subject(claims: Mapping[str, Any], options: OidcOptions) -> str:
    """The id that the account keeps. Raises UpstreamFault where a claim that makes it is missing."""
    parts = [claims.get(name) for name in options.subject_claims]
    for name, part in zip(options.subject_claims, parts, strict=True):
        if not isinstance(part, str) or not part:
            raise UpstreamFault(f"The ID token has no {name}, which names the account: does the scope ask for it?")
    return ":".join(str(part) for part in parts)


def profile(claims: Mapping[str, Any], userinfo: Mapping[str, Any], options: OidcOptions) -> dict[str, Any]:
    """The fields of the person as the connection's `attribute_map` wants them; the ID token wins over UserInfo."""
    everything = {**_about_the_same_address(userinfo, claims), **claims}
    mapping = options.attribute_map
    if mapping.mode == USE_MAP:
        chosen: dict[str, Any] = {}
    elif mapping.mode == BIND_ALL:
        chosen = {name: value for name, value in everything.items() if name not in RESERVED}
    else:
        kept = STANDARD | {"email", "email_verified"} | options.preset.extra_claims
        chosen = {name: value for name, value in everything.items() if name in kept}
    if mapping.mode in (USE_MAP, BIND_ALL):
        chosen |= mapping.apply({"tokenset": everything, "userinfo": userinfo})
    if "groups" in chosen:
        chosen |= _groups(chosen.pop("groups"))
    if chosen.get("email") != everything.get("email") and "email_verified" not in mapping.attributes:
        chosen.pop("email_verified", None)  # it is said of the claim, in whose place the map put something else
    return chosen


def _groups(value: Any) -> dict[str, list[str]]:
    """ADFS, IdentityServer and others write a list of one as text."""
    named = [value] if isinstance(value, str) and value.strip() else value
    return {"groups": named} if _are_names(named) else {}


def _about_the_same_address(userinfo: Mapping[str, Any], claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """`email_verified` of the one says nothing about another address in the other."""
    if "email" not in claims or userinfo.get("email") == claims["email"]:
        return userinfo
    return {name: value for name, value in userinfo.items() if name != "email_verified"}


def email(fields: Mapping[str, Any], claims: Mapping[str, Any], options: OidcOptions) -> tuple[str, bool]:
    """The address, and whether the upstream is known to have checked that it is the person's own."""
    given = fields.get("email")
    if isinstance(given, str) and "@" in given:
        return given, _is_verified(fields, claims, options)
    for name in EMAIL_STANDS_IN.get(options.strategy, ()):
        if isinstance(stand_in := claims.get(name), str) and "@" in stand_in:
            return stand_in, False
    return "", False


def denies_email(fields: Mapping[str, Any], claims: Mapping[str, Any], options: OidcOptions) -> bool:
    """Whether the upstream itself says that it did not check the address; nobody answers for that one."""
    said = fields.get("email_verified") if options.preset.trusts_email else claims.get("xms_edov")
    return said is not None and said != "1" and not _is_true(said)


def _is_verified(fields: Mapping[str, Any], claims: Mapping[str, Any], options: OidcOptions) -> bool:
    """Some upstreams write booleans as text. Entra's `xms_edov` says that the domain of the address is its tenant's own."""
    if not options.preset.trusts_email:
        return claims.get("xms_edov") in (True, "1", "true") and fields["email"] == claims.get("email")
    return _is_true(fields.get("email_verified"))


def _is_true(value: object) -> bool:
    """Databases make 1 of it, .NET writes a capital letter. Other words and numbers may mean anything."""
    return value.lower() == "true" if isinstance(value, str) else value in (True, 1)


def _are_names(groups: object) -> bool:
    return isinstance(groups, list) and len(groups) <= MOST_GROUPS and all(isinstance(name, str) for name in groups)
