"""One row of an import: what it says of a person, or Auth0's errors about it (`{code, message, path}`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.connections.database import LONGEST_LOGIN
from idp.people import brought_along, metadata
from idp.people.brought_along import HashRefused
from idp.protocol import uris
from idp.protocol.text import normal_forms, storable
from idp.tenants.rules import check_email

PREFIX = "auth0|"
# What an export has and an import does not write: when somebody came and went elsewhere.
PASSED_OVER = frozenset(
    {
        "created_at",
        "updated_at",
        "last_login",
        "last_ip",
        "logins_count",
        "last_password_reset",
        "identities",
        "connection",
    }
)
_TEXTS = {"given_name": 150, "family_name": 150, "name": 255, "nickname": 150}
_SECRETS = frozenset({"password_hash", "custom_password_hash", "mfa_factors"})
_WHO = ("email", "username", "user_id")
LONGEST_HASH = 1000  # characters of User.password
LONGEST_SHOWN = 10_000  # characters of JSON
_SECRET = re.compile(r"[A-Z2-7]{16,128}", re.ASCII)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(slots=True)
class ImportRow:
    """`raw` is the object of the file; `columns` of the person, without those that an update leaves alone."""

    number: int
    raw: Any
    errors: list[dict[str, str]] = field(default_factory=list)
    email: str = ""
    username: str = ""
    sub: str = ""
    blocked: bool = False
    password: str = ""  # as it is stored
    is_custom_hash: bool = False
    totp: str = ""
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def login(self) -> str:
        return normal_forms.name(self.username or self.email)

    def error(self, code: str, message: str, path: str = "") -> None:
        self.errors.append({"code": code, "message": message, "path": path})

    @property
    def shown(self) -> Any:
        """The object without what opens an account; of one that is large, or that no database can hold, who it is about.

        Nor is what nobody here knows shown: a column called `password` is one.
        """
        if not isinstance(self.raw, dict):
            return {}
        is_shown = (_READERS.keys() - _SECRETS) | PASSED_OVER
        found = {key: value if key in is_shown else "*****" for key, value in self.raw.items()}
        if storable.problem(found) is None and len(json.dumps(found)) <= LONGEST_SHOWN:
            return found
        kept = {key: found[key] for key in _WHO if isinstance(found.get(key), str) and len(found[key]) <= 255}
        return kept if storable.problem(kept) is None else {}


def read(number: int, raw: Any, *, requires_username: bool) -> ImportRow:
    try:
        return _read(ImportRow(number, raw), raw, requires_username=requires_username)
    except RecursionError:
        row = ImportRow(number, None)
        row.error("FORMAT", "The row is nested too deeply")
        return row


def _read(row: ImportRow, raw: Any, *, requires_username: bool) -> ImportRow:
    if not isinstance(raw, dict):
        row.error("INVALID_TYPE", "Expected an object for each user")
        return row
    for key in raw.keys() - _READERS.keys() - PASSED_OVER:
        shown = _UNSTORABLE.sub("?", key[:100])
        row.error("OBJECT_ADDITIONAL_PROPERTIES", f"{shown} is not known", shown)
    for key, reader in _READERS.items():
        if raw.get(key) is not None:
            reader(row, key, raw[key])
    if not row.email and not any(error["path"] == "email" for error in row.errors):
        row.error("OBJECT_REQUIRED", "email is missing", "email")
    if requires_username and not row.username and not any(error["path"] == "username" for error in row.errors):
        row.error("OBJECT_REQUIRED", "username is missing, and people of this connection sign in with it", "username")
    if "password_hash" in raw and "custom_password_hash" in raw:
        row.error("NOT_PASSED", "password_hash and custom_password_hash exclude each other", "custom_password_hash")
    return row


def _checked(row: ImportRow, key: str, value: Any, longest: int, check: Callable[[str], str | None]) -> str:
    if not isinstance(value, str):
        row.error("INVALID_TYPE", f"Expected {key} to be text", key)
    elif _UNSTORABLE.search(value):
        row.error("FORMAT", f"{key} holds a character that cannot be stored", key)
    elif len(value) > longest:
        row.error("MAX_LENGTH", f"{key} is longer than {longest} characters", key)
    elif value and (reason := check(value)):
        row.error("FORMAT", f"{key} {reason}", key)
    else:
        return value
    return ""


def _email(row: ImportRow, key: str, value: Any) -> None:
    row.email = _checked(row, key, value, 254, check_email)


def _username(row: ImportRow, key: str, value: Any) -> None:
    row.username = _checked(row, key, value, 255, _user_name)


def _user_name(value: str) -> str | None:
    if "@" in value:
        return "has an @, which only addresses have"
    if normal_forms.is_longer_than(LONGEST_LOGIN, value):
        return f"is longer than {LONGEST_LOGIN} characters"
    return "has a letter that stands for another one" if normal_forms.has_look_alike(value) else None


def _user_id(row: ImportRow, key: str, value: Any) -> None:
    row.sub = _checked(row, key, value, 200, _local_id).removeprefix(PREFIX)


def _local_id(value: str) -> str | None:
    local = value.removeprefix(PREFIX)
    good = local and local.isascii() and local.isprintable() and not set(local) & set(" |")
    return None if good else "is not printable ASCII without space and |"


def _text(row: ImportRow, key: str, value: Any) -> None:
    row.columns[key] = _checked(row, key, value, _TEXTS[key], lambda _: None)


def _picture(row: ImportRow, key: str, value: Any) -> None:
    row.columns[key] = _checked(row, key, value, 1000, uris.check_web_url)


def _phone(row: ImportRow, key: str, value: Any) -> None:
    row.columns[key] = _checked(row, key, value, 32, lambda _: None)


def _switch(column: str) -> Callable[[ImportRow, str, Any], None]:
    def read_switch(row: ImportRow, key: str, value: Any) -> None:
        if not isinstance(value, bool):
            row.error("INVALID_TYPE", f"Expected {key} to be true or false", key)
        elif column == "blocked":
            row.blocked = value
        else:
            row.columns[column] = value

    return read_switch


def _metadata(row: ImportRow, key: str, value: Any) -> None:
    if reason := metadata.problem(value):
        row.error("INVALID_TYPE", f"{key} {reason}", key)
    else:
        row.columns[key] = value


def _bcrypt(row: ImportRow, key: str, value: Any) -> None:
    if text := _checked(row, key, value, 1000, lambda _: None):
        _hash(row, "", lambda: brought_along.bcrypt_hash(text))


def _custom(row: ImportRow, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        row.is_custom_hash = True
        _hash(row, f"{key}.", lambda: brought_along.custom(value))
    else:
        row.error("INVALID_TYPE", f"Expected {key} to be an object", key)


def _hash(row: ImportRow, prefix: str, read_hash: Callable[[], str]) -> None:
    try:
        password = read_hash()
    except HashRefused as refused:
        row.error(refused.code, f"{prefix}{refused.path} {refused.reason}", f"{prefix}{refused.path}")
        return
    if len(password) > LONGEST_HASH:
        row.error("MAX_LENGTH", f"{prefix}hash is longer, with its salt and key, than can be kept", f"{prefix}hash")
    else:
        row.password = password


def _factors(row: ImportRow, key: str, value: Any) -> None:
    """A factor that is not known here is an error: without it the person would be easier to impersonate than before."""
    for index, factor in enumerate(value if isinstance(value, list) else [value]):
        path = f"{key}[{index}]"
        totp = factor.get("totp") if isinstance(factor, Mapping) and set(factor) == {"totp"} else None
        if not isinstance(totp, Mapping) or row.totp:
            row.error("MFA_FACTORS_FAILED", f"{path} is not the one totp that a person has here", path)
        elif not isinstance(totp.get("secret"), str) or not _SECRET.fullmatch(totp["secret"]):
            row.error("MFA_FACTORS_FAILED", f"{path}.totp.secret is not unpadded Base32 of 16 characters or more", path)
        else:
            row.totp = totp["secret"]


_READERS: dict[str, Callable[[ImportRow, str, Any], None]] = {
    "email": _email,
    "email_verified": _switch("email_verified"),
    "user_id": _user_id,
    "username": _username,
    **dict.fromkeys(_TEXTS, _text),
    "picture": _picture,
    "phone_number": _phone,
    "phone_verified": _switch("phone_number_verified"),
    "blocked": _switch("blocked"),
    "password_hash": _bcrypt,
    "custom_password_hash": _custom,
    "app_metadata": _metadata,
    "user_metadata": _metadata,
    "mfa_factors": _factors,
}
