"""People as a file, in Auth0's format: JSON lines or CSV, a step at a time, whatever their number."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.db.models import QuerySet

from idp.models import Connection, Identity, Strategy, User
from idp.people import brought_along
from sessions_app.audit.export import harmless

STEP = 1000
COLUMN = re.compile(r"([a-z_]+)(?:\[(\d{1,3})\])?((?:\.[^.\[\]]{1,100}){0,5})")
FIELDS = (
    *("user_id", "email", "email_verified", "username", "phone_number", "phone_verified", "given_name", "family_name"),
    *("name", "nickname", "picture", "blocked", "connection", "created_at", "updated_at", "last_login"),
    *("user_metadata", "app_metadata", "identities"),
)
OF_CSV = ("user_id", "email", "email_verified", "name", "connection", "blocked", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Column:
    """What is written of a person, and how it is called: `email`, `user_metadata.country`, `identities[0].connection`."""

    name: str
    title: str = ""

    @property
    def heading(self) -> str:
        return self.title or self.name

    @property
    def is_known(self) -> bool:
        found = COLUMN.fullmatch(self.name)
        return found is not None and found[1] in FIELDS

    def value(self, document: Mapping[str, Any]) -> Any:
        """None where there is nothing of this name."""
        if (found := COLUMN.fullmatch(self.name)) is None:
            return None
        value = document.get(found[1])
        if found[2]:
            value = value[int(found[2])] if isinstance(value, list) and int(found[2]) < len(value) else None
        for name in found[3].split(".")[1:]:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


USUAL_OF_CSV = tuple(Column(name) for name in OF_CSV)


def people(connection: Connection | None, *, hashes: bool = False) -> Iterator[dict[str, Any]]:
    """Everybody, or everybody with an account of this connection. `hashes`: what passwords and codes are verified by, too."""
    last = 0
    while rows := step(connection, last):
        last = rows[-1].pk
        factors = _totp(rows) if hashes else {}
        for user in rows:
            yield document(user) | (_secrets(user, factors) if hashes else {})


def step(connection: Connection | None, after: int, most: int = STEP) -> list[User]:
    """The next of them behind the person with this key."""
    rows = _of(connection).filter(pk__gt=after).order_by("pk").prefetch_related("identities__connection")
    return list(rows[:most])


def count(connection: Connection | None) -> int:
    return _of(connection).count()


def as_json(found: Iterable[dict[str, Any]], columns: Sequence[Column] = ()) -> Iterator[str]:
    for one in found:
        chosen = {column.heading: value for column in columns if (value := column.value(one)) is not None}
        yield json.dumps(chosen if columns else one, ensure_ascii=False, separators=(",", ":")) + "\n"


def as_csv(found: Iterable[dict[str, Any]], columns: Sequence[Column] = (), *, heading: bool = True) -> Iterator[str]:
    columns = columns or USUAL_OF_CSV
    if heading:
        yield _line([harmless(column.heading) for column in columns])
    for one in found:
        yield _line([harmless(_cell(column.value(one))) for column in columns])


def _of(connection: Connection | None) -> QuerySet[User]:
    if connection is None:
        return User.objects.all()
    return User.objects.filter(pk__in=Identity.objects.filter(connection=connection).values("user"))


def document(user: User) -> dict[str, Any]:
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
