"""Whether the people of a connection may sign in with a passkey: those of databases only, whose accounts are kept here.

Whoever signs in upstream, or by a directory's password, is known there: a passkey of ours would go on letting in somebody
who was disabled there. Auth0's names; `enabled` is its `authentication_methods.passkey.enabled`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from idp.models import Connection, Strategy

BOTH, AUTOFILL, BUTTON = "both", "autofill", "button"
CHALLENGE_UI = (BOTH, AUTOFILL, BUTTON)
# The last is Auth0's alone: here a passkey is offered on every device that can keep one.
_SWITCHES = ("enabled", "progressive_enrollment_enabled", "local_enrollment_enabled")


def are_enabled(connection: Connection) -> bool:
    return connection.strategy == Strategy.DATABASE and _options(connection).get("enabled") is not False


def are_offered(connection: Connection) -> bool:
    """Whether somebody without one is offered it after a password."""
    return are_enabled(connection) and _options(connection).get("progressive_enrollment_enabled") is not False


def challenge_ui(connection: Connection) -> str:
    """How the login page offers them: one of CHALLENGE_UI."""
    return str(_options(connection).get("challenge_ui") or BOTH)


def problems(options: Mapping[str, Any]) -> Iterator[str]:
    """Sentences that begin with the option's path; asks nobody."""
    given = options.get("passkey_options", {})
    if not isinstance(given, Mapping) or set(given) - {*_SWITCHES, "challenge_ui"}:
        yield f"passkey_options: must be an object with {', '.join(_SWITCHES[:2])} and challenge_ui"
        return
    for name in _SWITCHES:
        if not isinstance(given.get(name, True), bool):
            yield f"passkey_options.{name}: must be true or false"
    if given.get("challenge_ui", BOTH) not in CHALLENGE_UI:
        yield f"passkey_options.challenge_ui: must be one of {', '.join(CHALLENGE_UI)}"


def _options(connection: Connection) -> Mapping[str, Any]:
    given = connection.options.get("passkey_options", {})
    return given if isinstance(given, Mapping) else {}
