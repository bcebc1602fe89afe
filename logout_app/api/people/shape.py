"""A person as Auth0's user object."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet

from idp.models import Identity, Strategy, User
from logout_app.api.frame.times import iso

SOCIAL = frozenset({Strategy.GOOGLE})
TEXTS = ("name", "given_name", "family_name", "nickname", "picture", "phone_number")


def people() -> QuerySet[User]:
    identities = Identity.objects.select_related("connection").order_by("pk")
    return User.objects.prefetch_related(Prefetch("identities", identities))


def user(row: User) -> dict[str, Any]:
    """Two statements for any number of people that `people()` gave."""
    identities = sorted(row.identities.all(), key=lambda one: one.own_user_id != row.user_id)
    found: dict[str, Any] = {
        "user_id": row.user_id,
        "email": row.email,
        "email_verified": row.email_verified,
        "identities": [identity(one) for one in identities],
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "user_metadata": row.user_metadata,
        "app_metadata": row.app_metadata,
        "blocked": not row.is_active,
    }
    found |= {name: value for name in TEXTS if (value := getattr(row, name))}
    if row.phone_number:
        found["phone_verified"] = row.phone_number_verified
    if username := row.claims.get("preferred_username"):
        found["username"] = username
    if last := _last_login(row, identities):
        found["last_login"] = last
    return found


def identity(one: Identity) -> dict[str, Any]:
    """`user_id` here is the account's id at its connection, as at Auth0."""
    strategy = one.connection.strategy
    local = one.sub if strategy == Strategy.DATABASE else f"{one.connection.name}|{one.sub}"
    found: dict[str, Any] = {
        "user_id": local,
        "connection": one.connection.name,
        "provider": strategy,
        "isSocial": strategy in SOCIAL,
    }
    return found | ({"profileData": dict(one.profile)} if one.profile else {})


def _last_login(row: User, identities: list[Identity]) -> str | None:
    times = [one.last_login_at for one in identities if one.last_login_at]
    return iso(max([*times, row.last_login] if row.last_login else times, default=None))
