"""Scopes: what may be asked, and what is granted."""

from __future__ import annotations

from collections.abc import Collection

from idp.protocol.errors import InvalidScope
from idp.protocol.standard_scopes import GROUPS, OFFLINE_ACCESS, ROLES, STANDARD


def split(text: str) -> list[str]:
    """The scopes in order, each once."""
    return list(dict.fromkeys(text.split()))


# An authorization from before they existed, or that left them out, is still refreshed with the same list.
LEFT_OUT = frozenset({OFFLINE_ACCESS, GROUPS, ROLES})


def grant(asked: Collection[str], api: Collection[str]) -> list[str]:
    """What is granted of what was asked; what nobody knows is left out, and the answer's `scope` says so."""
    return [scope for scope in asked if scope in STANDARD or scope in api]


def allowed(granted: Collection[str], api: Collection[str], permissions: Collection[str]) -> list[str]:
    """What is left of granted scopes where an API's are permissions of people: what their roles allow."""
    return [scope for scope in granted if scope in permissions or scope not in api]


def narrow(asked: Collection[str], granted: Collection[str], api: Collection[str]) -> list[str]:
    """RFC 6749 section 6: a refresh may ask for less, never for more.

    SDKs repeat the list of their authorization request, so what was left out there for being unknown is left out again;
    a scope that exists and was not granted is an error.
    """
    if not asked:
        return list(granted)
    wider = [scope for scope in asked if scope not in granted and (scope in STANDARD or scope in api)]
    if [scope for scope in wider if scope not in LEFT_OUT or scope in api]:
        raise InvalidScope("The requested scope exceeds what was granted.")
    return [scope for scope in asked if scope in granted]
