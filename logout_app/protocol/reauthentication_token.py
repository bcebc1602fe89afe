"""Reauthentication tokens: a session goes on, and whoever is in it has to sign in again before they do anything further.

IPSIE's session lifecycle level 2 wants applications to take such a command (levels, February 2026) and names neither event nor
mechanism; Back-Channel Logout 1.0 and CAEP have none that ends nothing. So the event's URI is ours, and everything else is as
in a logout token, for which applications have the code: issuer, audience, times, `jti`, `sid`, `sub`, signature. Its own `typ`
and its own event keep the two apart.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from logout_app.protocol import logout_token

EVENT = "urn:curfew:event:reauthentication-required"
TYP = "reauthentication+jwt"
FIELD = "reauthentication_token"  # of the form that is posted


def claims(
    *, issuer: str, client_id: str, sub: str, sid: str, include_sub: bool, required_at: datetime, at: datetime
) -> dict[str, Any]:
    """`required_at`: what was proved before is not enough. It is in the event in seconds, as CAEP writes times."""
    token = logout_token.claims(issuer=issuer, client_id=client_id, sub=sub, sid=sid, include_sub=include_sub, at=at)
    return token | {"events": {EVENT: {"event_timestamp": int(required_at.timestamp())}}}
