"""People as a file, in Auth0's format: JSON lines or CSV, a step at a time, whatever their number."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.db.models import QuerySet

from idp.models import Connection, Identity, Strategy, User
from idp.people import brought_along
from sessions_app.audit.export import harmless

STEP = 1000
FIELDS = (
    *("user_id", "email", "email_verified", "username", "phone_number", "phone_verified", "given_name", "family_name"),
    *("name", "nickname", "picture", "blocked", "connection", "created_at", "updated_at", "last_login"),
    *("user_metadata", "app_metadata", "identities"),
)
OF_CSV = ("user_id", "email", "email_verified", "name", "connection", "blocked", "created_at", "updated_at")


def people(connection: Connection | None, *, hashes: bool = False) -> Iterator[dict[str, Any]]:
    """Everybody, or everybody with an account of this connection. `hashes`: what passwords and codes are verified by, too."""
    last = 0
    while rows := list(_step(connection, last)):
        last = rows[-1].pk
        factors = _totp(rows) if hashes else {}
        for user in rows:
            yield _document(user) | (_secrets(user, factors) if hashes else {})


def as_json(found: Iterable[dict[str, Any]], fields: Sequence[str] = ()) -> Iterator[str]:
    for document in found:
        chosen = {name: document[name] for name in fields if name in document} if fields else document
        yield json.dumps(chosen, ensure_ascii=False, separators=(",", ":")) + "\n"


def as_csv(found: Iterable[dict[str, Any]], fields: Sequence[str] = ()) -> Iterator[str]:
    columns = fields or OF_CSV
    yield _line(columns)
    for document in found:
        yield _line([harmless(_cell(document.get(name))) for name in columns])


def _step(connection: Connection | None, after: int) -> QuerySet[User]:
    rows = User.objects.filter(pk__gt=after).order_by("pk").prefetch_related("identities__connection")
    if connection is not None:
        mine = Identity.objects.filter(connection=connection, user__gt=after)
        rows = rows.filter(pk__in=mine.values("user"))
    return rows[:STEP]


def _document(user: User) -> dict[str, Any]:
    identities = sorted(user.identities.all(), key=lambda identity: identity.pk)
    first = identities[0] if identities else None
    signed_in = [identity.last_login_at for identity in identities if identity.last_login_at]
    has_name = first is not None and first.connection.strategy == Strategy.DATABASE and "@" not in (first.login or "@")
    found = {
        "user_id": user.user_id,
        "email": user.email,
        "email_verified": user.email_verified,
        "username": first.login if first and has_name else None,
        "phone_number": user.phone_number,
        "phone_verified": user.phone_number_verified if user.phone_number else None,
        **{name: getattr(user, name) for name in ("given_name", "family_name", "name", "nickname", "picture")},
        "blocked": True if not user.is_active else None,
        "connection": first.connection.name if first else None,
        "created_at": _moment(user.created_at),
        "updated_at": _moment(user.updated_at),
        "last_login": _moment(max(signed_in)) if signed_in else None,
        "user_metadata": user.user_metadata,
        "app_metadata": user.app_metadata,
        "identities": [_identity(identity) for identity in identities],
    }
    return {name: value for name, value in found.items() if value not in (None, "", {}, [])}


def _identity(identity: Identity) -> dict[str, Any]:
    strategy = identity.connection.strategy
    return {
        "connection": identity.connection.name,
        "provider": strategy,
        "user_id": identity.sub,
        "isSocial": strategy == Strategy.GOOGLE,
    }


def _totp(users: list[User]) -> dict[int, str]:
    rows = Authenticator.objects.filter(user__in=users, type=Authenticator.Type.TOTP)
    return {row.user_id: get_adapter().decrypt(row.data["secret"]) for row in rows}


def _secrets(user: User, factors: dict[int, str]) -> dict[str, Any]:
    custom = brought_along.as_custom(user.password)
    found: dict[str, Any] = {"custom_password_hash": custom} if custom else {}
    return found | ({"mfa_factors": [{"totp": {"secret": factors[user.pk]}}]} if user.pk in factors else {})


def _moment(at: Any) -> str:
    return str(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(cells: Iterable[str]) -> str:
    kept = io.StringIO()
    csv.writer(kept).writerow(cells)
    return kept.getvalue()
