"""One-time tokens that were used. Called inside the transaction of the act that the token pays for: if that fails, it is not spent."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from idp.models import SpentToken
from idp.protocol.opaque import digest

LONGEST = 255  # characters


def spend(kind: str, issuer: str, jti: str, *, expires_at: datetime) -> bool:
    """Mark a token as used; False if it was before. Remembered until `expires_at`, after which the token is refused anyway."""
    try:
        with transaction.atomic():
            SpentToken.objects.create(kind=kind, issuer=_short(issuer), jti=_short(jti), expires_at=expires_at)
    except IntegrityError:
        return False
    return True


def _short(text: str) -> str:
    """What is longer than its column is kept as its digest: issuers have up to 1,000 characters, other people's ids any number."""
    return text if len(text) <= LONGEST else digest(text)
