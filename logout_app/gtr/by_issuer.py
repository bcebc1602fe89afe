"""Which connection a revocation request is about, where the URL does not say: the one whose identity provider its token
says that it is from. Nothing of the token is believed for that; it chooses whose keys it must be signed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse

from idp.connections.dialects import OIDC, dialect
from idp.connections.oidc import issuers, options
from idp.connections.registry import Purpose, usable_for
from idp.models import Connection
from idp.tenants import configuration
from logout_app.gtr.trust import is_saml
from logout_app.protocol.gtr import Chooser, chosen


@dataclass(frozen=True, slots=True)
class _Asker:
    """An identity provider as it is configured: what its tokens may say of themselves, and what they call us."""

    connection: Connection
    issuers: tuple[str, ...]
    subject: str


_ASKERS = configuration.Memo[list[_Asker]]("who may ask for revocations")


def endpoint() -> str:
    """The URL for all of them, which their tokens name as their audience."""
    return f"{settings.ISSUER_ORIGIN}{reverse('global_token_revocation_by_issuer')}"


def connection_of(claims: Mapping[str, Any]) -> Connection | None:
    """The one connection whose issuer the token names and, if several have it, that is called as the token says; None
    where there is none, or where it cannot be known which."""
    askers = configuration.current().derived(_ASKERS, _load)
    choosers = [Chooser(asker.issuers, asker.subject) for asker in askers]
    index = chosen(claims, choosers)
    return None if index is None else askers[index].connection


def _load() -> list[_Asker]:
    rows = Connection.objects.filter(enabled=True).order_by("pk")
    found = (_asker(row) for row in rows if usable_for(row, Purpose.REVOCATION))
    return [asker for asker in found if asker is not None]


def _asker(connection: Connection) -> _Asker | None:
    """From its options alone: to look a stranger's issuer up, nobody else's server is asked."""
    if is_saml(connection):
        issuer, subject = (
            str(connection.options.get(f"global_token_revocation_jwt_{name}") or "") for name in ("iss", "sub")
        )
        return _Asker(connection, (issuer,), subject) if issuer and subject else None
    if dialect(connection.strategy, connection.options) != OIDC:
        return None
    given = options.of(connection)
    known = (given.issuer,) if given.issuer else issuers.of_discovery_url(given.discovery_url)
    return _Asker(connection, (*known, *given.other_revokers), given.revocation_subject or given.client_id)
