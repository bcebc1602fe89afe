"""What the dialects of an API's access tokens (Auth0's `token_dialect`) say of permissions."""

from __future__ import annotations

from idp.models import ResourceServer

_AUTHZ = "_authz"


def carries_permissions(api: ResourceServer) -> bool:
    """Whether access tokens list the person's permissions in `permissions`."""
    return bool(api.enforce_policies) and api.token_dialect.endswith(_AUTHZ)


def format_of(api: ResourceServer) -> str:
    """The dialect without what it says of permissions."""
    return api.token_dialect.removesuffix(_AUTHZ)
