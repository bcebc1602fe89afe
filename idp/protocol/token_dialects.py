"""How an API's access tokens look: Auth0's four names mean what they mean at Auth0, `opaque` is ours."""

from __future__ import annotations

OPAQUE = "opaque"
AUTH0 = "access_token"
AUTH0_AUTHZ = "access_token_authz"
RFC9068 = "rfc9068_profile"
RFC9068_AUTHZ = "rfc9068_profile_authz"
AUTH0_S = (AUTH0, AUTH0_AUTHZ, RFC9068, RFC9068_AUTHZ)
WHERE_AUTH0_IS_SILENT = AUTH0

AUTH0_TYPE = "JWT"
RFC9068_TYPE = "at+jwt"


def is_rfc9068(dialect: str) -> bool:
    return dialect in (RFC9068, RFC9068_AUTHZ)


def has_permissions(dialect: str) -> bool:
    return dialect in (AUTH0_AUTHZ, RFC9068_AUTHZ)


def typ(dialect: str) -> str:
    """`typ` of the token's header."""
    return RFC9068_TYPE if is_rfc9068(dialect) else AUTH0_TYPE


def client_claim(dialect: str) -> str:
    """Which claim names the application that asked for the token."""
    return "client_id" if is_rfc9068(dialect) else "azp"
