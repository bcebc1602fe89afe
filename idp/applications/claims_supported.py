"""Names of claims that applications are told by their mappings: discovery says that this issuer can give them."""

from __future__ import annotations

from idp.applications import claims
from idp.models import Application
from idp.tenants.configuration import Memo, Snapshot

_NAMES = Memo[tuple[str, ...]]("mapped claims")


def mapped_names(snapshot: Snapshot) -> tuple[str, ...]:
    """Of applications that are enabled; read once for each version of the configuration."""
    return snapshot.derived(_NAMES, _read)


def _read() -> tuple[str, ...]:
    rows = Application.objects.filter(enabled=True).exclude(claim_mappings=[])
    return tuple(sorted({mapping.claim for row in rows for mapping in claims.usable(row)}))
