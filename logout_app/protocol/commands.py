"""OpenID Provider Commands 1.0, draft 02 (September 2025): the claims of command tokens, and what applications answer.

A draft: names may change until it is final. Of the account commands those are sent that an act of ours means; an application
that does not take one answers `unsupported_command`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from idp.protocol import strict_json
from idp.protocol.initiators import Initiator
from logout_app.protocol import retry
from logout_app.protocol.retry import Answer, Decision, History, Outcome

TYP = "command+jwt"
FIELD = "command_token"  # of the form that is posted
LIFETIME = 120  # seconds: "preferably at most two minutes in the future" (Security Considerations)
TENANT = "organization"  # one tenant for each issuer
ABOUT = "command-"  # how the event of a delivery says which command it is, in the place of an initiator
LONGEST_ANSWER = 300  # characters of it that a reason holds


class Command(StrEnum):
    INVALIDATE = "invalidate"
    SUSPEND = "suspend"
    REACTIVATE = "reactivate"
    DELETE = "delete"
    METADATA = "metadata"  # of the tenant: what can each of us do


OF_ENDS: Mapping[Initiator, Command] = {
    Initiator.ACCOUNT_DEACTIVATED: Command.SUSPEND,
    Initiator.DEPROVISIONED: Command.SUSPEND,
    Initiator.ACCOUNT_DELETED: Command.DELETE,
}
# An account that is in one of these is where the command wants it, or has no access: asking again changes nothing.
_THERE_ALREADY: Mapping[Command, frozenset[str]] = {
    Command.INVALIDATE: frozenset({"suspended", "archived", "unknown"}),
    Command.SUSPEND: frozenset({"suspended", "archived", "unknown"}),
    Command.REACTIVATE: frozenset({"active"}),
    Command.DELETE: frozenset({"unknown"}),
}
STATES = frozenset({"unknown", "active", "suspended", "archived"})


def of_end(initiator: Initiator) -> Command:
    """What everything of a person ending for this reason means for their account elsewhere."""
    return OF_ENDS.get(initiator, Command.INVALIDATE)


def about(command: Command) -> str:
    return f"{ABOUT}{command}"


def command_of(said: str) -> Command:
    """Raises ValueError for an event that is about no command."""
    return Command(said.removeprefix(ABOUT))


def claims(*, issuer: str, endpoint: str, client_id: str, command: Command, sub: str, at: datetime) -> dict[str, Any]:
    """Fresh ones for each attempt. No `nonce`, which keeps it from passing as an ID token; a tenant's command has no `sub`."""
    issued = int(at.timestamp())
    token: dict[str, Any] = {
        "iss": issuer,
        "aud": endpoint,
        "client_id": client_id,
        "iat": issued,
        "exp": issued + LIFETIME,
        "jti": secrets.token_hex(16),
        "command": command.value,
        "tenant": TENANT,
    }
    if command is Command.METADATA:
        return token | {"metadata": {}}
    return token | {"sub": sub}


def decide(answer: Answer, history: History, *, at: datetime, jitter: float) -> Decision:
    """409 says in which state the account is: what is there already is done, any other state no waiting changes."""
    said = _object(answer.detail)
    if answer.status == 409 and (state := _state(said)):
        done = state in _THERE_ALREADY.get(command_of(history.about), frozenset())
        reason = f"409: the account is {state} there{' already' if done else ''}"
        return Decision(Outcome.DELIVERED if done else Outcome.REFUSED, reason)
    decision = retry.decide(answer, history, at=at, jitter=jitter)
    if decision.outcome is Outcome.DELIVERED and (what := _what_it_says(said)):
        return Decision(Outcome.DELIVERED, retry.printable(f"{answer.status}: {what}"))
    return decision


def _what_it_says(said: Mapping[str, Any]) -> str:
    if state := _state(said):
        return f"the account is {state}"
    supported = said.get("commands_supported")
    if isinstance(supported, list):
        return f"it takes {', '.join(str(name)[:40] for name in supported[:20])}"[:LONGEST_ANSWER]
    return ""


def _state(said: Mapping[str, Any]) -> str:
    """ "" if it says none that there is."""
    state = said.get("account_state")
    return state if isinstance(state, str) and state in STATES else ""


def _object(text: str) -> dict[str, Any]:
    """{} for what is none, as for an answer without a body."""
    try:
        return strict_json.parse_object(text)
    except ValueError:
        return {}
