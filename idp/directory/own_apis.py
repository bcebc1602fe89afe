"""What may be given of our own APIs, by whoever has scopes of the Management API: nobody gives more than they have.

The transmitter of Shared Signals has an API of its own, and who manages a stream there hears what the audit trail says of everybody:
what `read:logs` shows is not given by somebody who may not read it.
"""

from __future__ import annotations

from collections.abc import Collection

from idp.applications import management_api
from idp.tenants import signals_api

READ_TRAIL = "read:logs"


def identifiers() -> tuple[str, ...]:
    return management_api.audience(), signals_api.audience()


def beyond(identifier: str | None, wanted: Collection[str], held: Collection[str]) -> list[str]:
    """Scopes of the Management API that somebody who holds these lacks to give `wanted` of an API; none for APIs that are not ours."""
    if identifier == management_api.audience():
        return sorted(set(wanted) - set(held))
    hears = identifier == signals_api.audience() and signals_api.is_asked(list(wanted))
    return [READ_TRAIL] if hears and READ_TRAIL not in held else []
