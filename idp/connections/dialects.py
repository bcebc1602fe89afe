"""Which protocol a connection speaks: its strategy says so, and for ADFS its `protocol` option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.models import Strategy

OIDC = "oidc"
SAML = "samlp"
_BY_STRATEGY: Mapping[str, str] = {
    Strategy.OIDC: OIDC,
    Strategy.OKTA: OIDC,
    Strategy.GOOGLE: OIDC,
    Strategy.ENTRA: OIDC,
    Strategy.SAML: SAML,
}


def dialect(strategy: str, options: Mapping[str, Any]) -> str:
    """OIDC, SAML, or "" where no identity provider is spoken to through the browser."""
    if strategy == Strategy.ADFS:
        return str(options.get("protocol") or OIDC)
    return _BY_STRATEGY.get(strategy, "")


def has_own_callback(strategy: str, options: Mapping[str, Any]) -> bool:
    """Whether answers come to an address of this connection's own; those of OpenID providers share one unless it says so.

    A provider that does not say who answers (RFC 9207) is safe from being mixed up with another only so (RFC 9700 4.4.2).
    """
    return dialect(strategy, options) == SAML or options.get("own_callback") is True
