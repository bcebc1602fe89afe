"""The standard claims of OpenID Connect, as far as they are known of a person."""

from __future__ import annotations

from typing import Any

from idp.models import User


def known_claims(user: User) -> dict[str, Any]:
    """Every standard claim that is known of a person; `claims.select()` picks from it."""
    name = user.name or user.email
    return {
        **user.claims,
        "name": name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "nickname": user.nickname or user.email.partition("@")[0],
        "picture": user.picture,
        "updated_at": int(user.updated_at.timestamp()),
        "email": user.email,
        "email_verified": user.email_verified if user.email else None,
        "phone_number": user.phone_number,
        "phone_number_verified": user.phone_number_verified if user.phone_number else None,
    }
