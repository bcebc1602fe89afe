"""The scopes of OpenID Connect, and the claims that each gives (Core sections 5.4 and 11)."""

from __future__ import annotations

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"
IDENTITY = (OPENID, "profile", "email", "address", "phone")
STANDARD = (*IDENTITY, OFFLINE_ACCESS)

CLAIMS: dict[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
