"""An API of the tenant file, where it differs from Auth0's: what its access tokens are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from idp.models import ResourceServer, TokenFormat
from idp.protocol import token_dialects
from idp.tenants.reader import Reader

# What the tokens of an API that the file makes are where the file is silent: what they would be at Auth0.
WHERE_SILENT: dict[str, Any] = {"token_dialect": token_dialects.WHERE_AUTH0_IS_SILENT}


def dialect(reader: Reader) -> str | None:
    """`token_dialect` in Auth0's words, or ours: `opaque: true`, which wins over the one that Auth0 has without being asked."""
    said = reader.choice("token_dialect", TokenFormat.values)
    opaque = reader.boolean("opaque")
    if opaque and said not in (None, token_dialects.AUTH0, token_dialects.OPAQUE):
        reader.problem("opaque", f"opaque tokens carry no claims: leave out this, or token_dialect {said}")
    if opaque is False and said == token_dialects.OPAQUE:
        reader.problem("opaque", f"token_dialect says {said}: leave one of them out")
    if opaque is False and said is None:
        return token_dialects.WHERE_AUTH0_IS_SILENT
    return token_dialects.OPAQUE if opaque else said


def warnings(row: ResourceServer, columns: Mapping[str, Any]) -> Iterator[str]:
    """What changes for an API that has opaque tokens today; `row` does not have the columns yet."""
    if not row.issues_jwts and columns.get("token_dialect", TokenFormat.OPAQUE) != TokenFormat.OPAQUE:
        yield (
            f"{row.identifier} gets JWTs from now on, as at Auth0: an API that verifies them by itself takes one until it "
            "expires, also after signing out. {opaque: true} keeps tokens that are dead at once."
        )
