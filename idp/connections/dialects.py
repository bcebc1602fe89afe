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
