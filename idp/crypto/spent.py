"""One-time tokens that were used. Called inside the transaction of the act that the token pays for: if that fails, it is not spent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from idp.database import prepared
from idp.models import SpentToken
from idp.protocol.opaque import digest

LONGEST = 255  # characters

# Gives a row unless the token was spent before, and waits for whoever is about to spend it.
SPEND = f"""
INSERT INTO {SpentToken._meta.db_table} (kind, issuer, jti, expires_at)
VALUES (%(kind)s, %(issuer)s, %(jti)s, %(expires_at)s) ON CONFLICT (kind, issuer, jti) DO NOTHING RETURNING id"""  # noqa: S608  constants only


def spend(kind: str, issuer: str, jti: str, *, expires_at: datetime) -> bool:
    """Mark a token as used; False if it was before. Remembered until `expires_at`, after which the token is refused anyway."""
    return bool(prepared.fetch(SPEND, given(kind, issuer, jti, expires_at=expires_at)))


def given(kind: str, issuer: str, jti: str, *, expires_at: datetime) -> dict[str, Any]:
    """What SPEND is given."""
    ends = connection.ops.adapt_datetimefield_value(expires_at)
    return {"kind": kind, "issuer": _short(issuer), "jti": _short(jti), "expires_at": ends}


def _short(text: str) -> str:
    """What is longer than its column is kept as its digest: issuers have up to 1,000 characters, other people's ids any number."""
    return text if len(text) <= LONGEST else digest(text)
