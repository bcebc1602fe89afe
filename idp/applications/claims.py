"""What an application may be told beside the standard claims: its mappings, one by one and together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from idp.applications.problem import Problem
from idp.protocol import expressions
from idp.protocol.expressions import Expression, Unusable
from idp.protocol.text import storable

if TYPE_CHECKING:
    from idp.models import Application

ID_TOKEN, USERINFO, ACCESS_TOKEN = "id_token", "userinfo", "access_token"
PLACES = (ID_TOKEN, USERINFO, ACCESS_TOKEN)
USUAL_PLACES = (ID_TOKEN, USERINFO)
FIELD = "claim_mappings"
KEYS = ("claim", "from", "in")
MOST_MAPPINGS = 50
LONGEST_CLAIM = 255
# What decides whose a token is, for whom, and how it is checked: we alone say it.
RESERVED = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "jti", "nonce", "azp", "acr", "amr", "auth_time", "at_hash", "c_hash", "s_hash"}
    | {
        "sid",
        "session_expiry",
        "org_id",
        "org_name",
        "act",
        "may_act",
        "cnf",
        "client_id",
        "scope",
        "permissions",
        "events",
    }
    | {
        "typ",
        "gty",
        "tenant",
        "aud_sub",
        "sub_jwk",
        "sub_id",
        "authorization_details",
        "active",
        "token_type",
        "entitlements",
    }
    | {"_claim_names", "_claim_sources", "verified_claims", "trust_chain", "vot", "vtm", "username"}
)


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """A claim, what gives its value, and where it is told without being asked for."""

    claim: str
    expression: Expression
    places: frozenset[str]


def problems(application: Application) -> Iterator[Problem]:
    given = application.claim_mappings
    if not isinstance(given, list):
        yield Problem(FIELD, "it must be a list of {claim, from, in}", is_used=False)
        return
    if len(given) > MOST_MAPPINGS:
        yield Problem(FIELD, f"it has more than {MOST_MAPPINGS} claims", is_used=False)
    names: set[str] = set()
    for index, item in enumerate(given):
        name = item.get("claim") if isinstance(item, Mapping) else None
        if reason := problem(item):
            yield Problem(FIELD, reason, value=name if isinstance(name, str) else "", index=index, is_used=False)
        elif name in names:
            yield Problem(FIELD, "it comes twice", value=str(name), index=index, is_used=False)
        names.add(str(name))


def problem(item: Any) -> str | None:
    """What is wrong with one mapping, in words that follow the claim's name."""
    if not isinstance(item, Mapping):
        return "it must be like {claim: roles, from: groups, in: [id_token]}"
    if unknown := sorted(str(key) for key in item.keys() - set(KEYS)):
        return f"it has no key {unknown[0]}"
    if reason := _name_problem(item.get("claim")) or _place_problem(item.get("in", list(USUAL_PLACES))):
        return reason
    try:
        expressions.read(item.get("from"))
    except Unusable as error:
        return f"from {error}"
    return storable.problem(item["from"])


def usable(application: Application) -> tuple[ClaimMapping, ...]:
    """The mappings that the rules allow; of two for one claim the first."""
    given = application.claim_mappings if isinstance(application.claim_mappings, list) else []
    found: dict[str, ClaimMapping] = {}
    for item in given[:MOST_MAPPINGS]:
        if problem(item) is None:
            places = frozenset(item.get("in", USUAL_PLACES))
            found.setdefault(item["claim"], ClaimMapping(item["claim"], expressions.read(item["from"]), places))
    return tuple(found.values())


def _name_problem(name: Any) -> str | None:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST_CLAIM
        or not name.isprintable()
        or name.strip() != name
    ):
        return f"claim must be printable text of 1 to {LONGEST_CLAIM} characters"
    return "it is reserved: a token's own claims are not an administrator's to say" if name in RESERVED else None


def _place_problem(places: Any) -> str | None:
    if not isinstance(places, list) or not places or any(place not in PLACES for place in places):
        return f"in must be a list with some of {', '.join(PLACES)}"
    return None
