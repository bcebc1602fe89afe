"""Words of the Shared Signals Framework 1.0 that a stream is made of, and the document that says what we offer (section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from idp.protocol.signal_events import CAEP, RISC

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
# As drafts of RISC called them; Apple still does.
OLDER: Mapping[str, str] = MappingProxyType(
    {
        "https://schemas.openid.net/secevent/risc/delivery-method/push": PUSH,
        "https://schemas.openid.net/secevent/risc/delivery-method/poll": POLL,
    }
)
SHORT: Mapping[str, str] = MappingProxyType({PUSH: "push", POLL: "poll"})
STATUSES = ("enabled", "paused", "disabled")
ALGORITHMS = ("RS256", "PS256", "ES256")
SUBJECT_FORMATS = ("iss_sub", "email", "complex")
SUBJECT_PLACES = ("sub_id", "both", "event")

SESSION_REVOKED = f"{CAEP}session-revoked"
SESSION_ESTABLISHED = f"{CAEP}session-established"
SESSION_PRESENTED = f"{CAEP}session-presented"
CREDENTIAL_CHANGE = f"{CAEP}credential-change"
ASSURANCE_LEVEL_CHANGE = f"{CAEP}assurance-level-change"
TOKEN_CLAIMS_CHANGE = f"{CAEP}token-claims-change"
ACCOUNT_DISABLED = f"{RISC}account-disabled"
ACCOUNT_ENABLED = f"{RISC}account-enabled"
ACCOUNT_PURGED = f"{RISC}account-purged"
IDENTIFIER_CHANGED = f"{RISC}identifier-changed"
SUPPORTED = (
    SESSION_REVOKED,
    CREDENTIAL_CHANGE,
    SESSION_ESTABLISHED,
    SESSION_PRESENTED,
    ASSURANCE_LEVEL_CHANGE,
    TOKEN_CLAIMS_CHANGE,
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_PURGED,
    IDENTIFIER_CHANGED,
)
MIN_VERIFICATION_INTERVAL = 60  # seconds
INACTIVITY_TIMEOUT = 30 * 86_400  # seconds without a word of the receiver, after which a stream is paused


def metadata(issuer: str) -> dict[str, Any]:
    """Of this transmitter; the CAEP interoperability profile (section 2.3) makes most of it a must."""
    base = f"{issuer}ssf/"
    return {
        "spec_version": "1_0",
        "issuer": issuer,
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": f"{base}streams",
        "status_endpoint": f"{base}status",
        "add_subject_endpoint": f"{base}subjects/add",
        "remove_subject_endpoint": f"{base}subjects/remove",
        "verification_endpoint": f"{base}verify",
        "critical_subject_members": ["user"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }


def delivered(requested: object) -> list[str]:
    """The events that a stream gets: what was asked for, of what there is."""
    asked = set(requested) if isinstance(requested, list | tuple) else set()
    return [uri for uri in SUPPORTED if uri in asked]
