"""The scopes of OpenID Connect (Core sections 5.4 and 11) and ours, and the claims that each gives."""

from __future__ import annotations

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"
GROUPS = "groups"
ROLES = "roles"
IDENTITY = (OPENID, "profile", "email", "address", "phone")
PERSONAL = (*IDENTITY, OFFLINE_ACCESS)  # where there is no person, they make no sense, whatever an API calls its scopes
STANDARD = (*PERSONAL, GROUPS, ROLES)

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
    GROUPS: ("groups",),  # not of OpenID Connect, but what everybody asks for
    ROLES: ("roles",),
}
