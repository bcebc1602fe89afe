"""What a database of Auth0's asks of passwords beyond `passwordPolicy`: a demand where our policy of that name asks for less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from idp.people.password_policy import HOUSE, LEAST
from idp.tenants.reader import Reader

# Older keys, and `password_options`, which has them in one: complexity, dictionary, history, profile_data.
KEYS = ("password_complexity_options", "password_dictionary", "password_options", "authentication_methods")
_SWITCHES = ("active", "enable", "enabled")


def read(reader: Reader) -> None:
    """Of the options of a database: takes these keys, ignores what asks for nothing more and refuses the rest."""
    least = LEAST.get(str(reader.values.get("passwordPolicy") or HOUSE), LEAST[HOUSE])
    for key in KEYS:
        if reader.has(key):
            value = reader.anything(key)
            if any(_demands(key, value, least)):
                reader.refuse(key)
            elif key != "authentication_methods":  # which `passkeys` reads
                reader.ignore(key)


def passkeys(reader: Reader, options: Mapping[str, Any]) -> dict[str, Any]:
    """`passkey_options` with the switch that Auth0 keeps in `authentication_methods`, if the file has it."""
    switch = _inner(_inner(reader.values.get("authentication_methods"), "passkey"), "enabled")
    told = options.get("passkey_options", {})
    if not isinstance(switch, bool) or not isinstance(told, Mapping):
        return {}
    return {"passkey_options": {"enabled": switch, **told}}


def _demands(key: str, value: Any, least: int) -> Iterator[bool]:
    if key == "authentication_methods":  # nobody may sign in by password: here everybody would
        yield _is_off(_inner(value, "password"))
    elif key == "password_complexity_options":
        yield _is_longer(value, least)
    elif key == "password_dictionary":
        yield _has_words(value, "dictionary")
    else:
        complexity = _inner(value, "complexity")
        yield _is_longer(complexity, least)
        yield any(inner for name, inner in _items(complexity) if name != "min_length")
        yield _has_words(_inner(value, "dictionary"), "custom")
        yield _is_on(_inner(value, "history"))


def _is_longer(value: Any, least: int) -> bool:
    length = _inner(value, "min_length")
    return isinstance(length, int) and length > least


def _has_words(value: Any, name: str) -> bool:
    """Common passwords are refused anyway; words of the administrator's own are not."""
    return not _is_off(value) and bool(_inner(value, name))


def _is_on(value: Any) -> bool:
    return any(_inner(value, switch) is True for switch in _SWITCHES)


def _is_off(value: Any) -> bool:
    return any(_inner(value, switch) is False for switch in _SWITCHES)


def _inner(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []
