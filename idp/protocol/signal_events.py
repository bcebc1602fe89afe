"""Events of other identity providers (CAEP 1.0, RISC 1.0): which of them we know, and what each does unless a connection says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
STREAM = "https://schemas.openid.net/secevent/ssf/event-type/"
VERIFICATION, STREAM_UPDATED = f"{STREAM}verification", f"{STREAM}stream-updated"
# The same as drafts had them: Google (RISC) sends the first, without a subject; profiles for Apple the others.
OLDER: Mapping[str, str] = MappingProxyType(
    {
        f"{RISC}verification": VERIFICATION,
        "https://schemas.openid.net/secevent/sse/event-type/verification": VERIFICATION,
        "https://schemas.openid.net/secevent/sse/event-type/stream-updated": STREAM_UPDATED,
    }
)


class Effect(StrEnum):
    """What an event does. Of the first two the door ends sessions; everything is what Global Token Revocation ends too."""

    END_EVERYTHING = "end_everything"
    END_SESSIONS = "end_sessions"
    REQUIRE_REAUTHENTICATION = "require_reauthentication"
    REFRESH_GROUPS = "refresh_groups"
    NOTE = "note"


# What Google calls by its old names is here too. Every other event is noted.
EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        f"{CAEP}session-revoked": Effect.END_SESSIONS,
        f"{CAEP}credential-change": Effect.REQUIRE_REAUTHENTICATION,
        f"{CAEP}assurance-level-change": Effect.REQUIRE_REAUTHENTICATION,
        f"{CAEP}device-compliance-change": Effect.REQUIRE_REAUTHENTICATION,
        f"{CAEP}risk-level-change": Effect.END_SESSIONS,
        f"{CAEP}token-claims-change": Effect.REFRESH_GROUPS,
        f"{RISC}account-disabled": Effect.END_EVERYTHING,
        f"{RISC}account-purged": Effect.END_EVERYTHING,
        f"{RISC}credential-compromise": Effect.END_EVERYTHING,
        f"{RISC}account-credential-change-required": Effect.END_SESSIONS,
        f"{RISC}sessions-revoked": Effect.END_SESSIONS,
        f"{OAUTH}tokens-revoked": Effect.END_EVERYTHING,
    }
)
# An event of these says that something became better, or not bad enough: claim, and the values that call for nothing.
_HARMLESS: Mapping[str, tuple[str, frozenset[str]]] = MappingProxyType(
    {
        f"{CAEP}credential-change": ("change_type", frozenset({"create"})),
        f"{CAEP}assurance-level-change": ("change_direction", frozenset({"increase"})),
        f"{CAEP}device-compliance-change": ("current_status", frozenset({"compliant"})),
        f"{CAEP}risk-level-change": ("current_level", frozenset({"low", "medium"})),
    }
)


def short(uri: str) -> str:
    """The name of an event type as options and pages have it, like `session-revoked`."""
    return uri.rpartition("/")[2] if uri in EFFECTS else uri


BY_NAME: Mapping[str, str] = MappingProxyType({short(uri): uri for uri in EFFECTS})


def harmless(uri: str, event: Mapping[str, Any]) -> str:
    """Why such an event calls for nothing, like "change_type is create", or ""; a claim that is missing is no reason."""
    claim, values = _HARMLESS.get(uri, ("", frozenset()))
    value = event.get(claim)
    return f"{claim} is {value}" if isinstance(value, str) and value.lower() in values else ""
