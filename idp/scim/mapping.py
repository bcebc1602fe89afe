"""A SCIM person as columns of ours, and what is kept of what was sent. Pure: no database."""

from __future__ import annotations

import json
import re
from typing import Any

from scim2_models import InvalidValueException, User

from idp.models import Strategy
from idp.models import User as Person
from idp.protocol.text import normal_forms, storable

LONGEST_RESOURCE = 64_000  # characters of JSON
LONGEST_NAME = 255
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")  # also ann@corp.local, which no mail reaches from outside
OURS = {
    "id",
    "meta",
    "groups",
    "password",
    "schemas",
}  # never kept of what was sent; a password of ours is nobody else's


def kept(user: User[Any]) -> dict[str, Any]:
    """What is stored of a person beside its own columns. Raises InvalidValueException for what cannot be."""
    said: dict[str, Any] = user.model_dump()
    found = {name: value for name, value in said.items() if name not in OURS}
    if reason := storable.problem(found):
        raise InvalidValueException(detail=f"What was sent {reason}.")
    if len(json.dumps(found)) > LONGEST_RESOURCE:
        raise InvalidValueException(detail=f"A person has {LONGEST_RESOURCE} characters of JSON at most.")
    return found


def user_name(user: User[Any]) -> str:
    name = str(user.user_name or "").strip()
    if not name or len(normal_forms.name(name)) > LONGEST_NAME or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidValueException(detail=f"userName is printable text of 1 to {LONGEST_NAME} characters.")
    return name


def external_id(user: User[Any]) -> str:
    text = str(user.external_id or "")
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise InvalidValueException(detail=f"externalId is printable text of at most {LONGEST_NAME} characters.")
    return text


def email_keys(user: User[Any]) -> str:
    """Each address between newlines, in the form of names."""
    texts = (str(entry.value) for entry in user.emails or () if entry.value)
    keys = dict.fromkeys(normal_forms.name(text) for text in texts if text.isprintable())
    return "\n".join(("", *keys, "")) if keys else ""


def columns(user: User[Any], strategy: str) -> dict[str, str]:
    """The columns of a person. What does not fit is cut; a picture that is no usable address is left out."""
    given = str(user.name.given_name or "") if user.name else ""
    family = str(user.name.family_name or "") if user.name else ""
    whole = str(user.name.formatted or "") if user.name else ""
    picture = _chosen(user.photos)
    values = {
        "email": _email(user, strategy),
        "name": str(user.display_name or "") or whole or f"{given} {family}".strip(),
        "given_name": given,
        "family_name": family,
        "nickname": str(user.nick_name or ""),
        "picture": picture if picture.startswith("https://") and len(picture) <= 1000 else "",
        "phone_number": _chosen(user.phone_numbers)[:32],
    }
    return {name: value[: Person._meta.get_field(name).max_length] for name, value in values.items()}  # type: ignore[union-attr]


def _email(user: User[Any], strategy: str) -> str:
    """Entra's is the one of type work, everybody else's the primary one (Auth0's default mapping)."""
    entries = list(user.emails or ())
    if strategy == Strategy.ENTRA:
        entries.sort(key=lambda entry: str(entry.type or "").lower() != "work")
    address = _chosen(entries) if strategy != Strategy.ENTRA or not entries else str(entries[0].value or "")
    return address if len(address) <= 254 and _ADDRESS.fullmatch(address) and address.isprintable() else ""


def _chosen(entries: Any) -> str:
    """The primary one, else the first."""
    values = list(entries or ())
    primary = next((entry for entry in values if entry.primary), values[0] if values else None)
    return str(primary.value or "") if primary else ""
