"""Whose word it is: issuers that are compared as strings, and the two upstreams that need more than that."""

from __future__ import annotations

import re

GOOGLE = "https://accounts.google.com"
GOOGLE_IN_SHORT = "accounts.google.com"  # what Google says that its `iss` may also be
TENANT = "{tenantid}"  # Entra's placeholder in the issuer of endpoints that serve every organization
WELL_KNOWN = "/.well-known/openid-configuration"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_guid(text: object) -> bool:
    return isinstance(text, str) and _GUID.fullmatch(text) is not None


def matches(issuer: str, claimed: object, tenant: object = None) -> bool:
    """Whether `iss` names this issuer. `tenant` is the `tid` claim, which fills the placeholder if there is one."""
    if TENANT in issuer:
        return is_guid(tenant) and claimed == issuer.replace(TENANT, str(tenant))
    return claimed == issuer or (issuer == GOOGLE and claimed == GOOGLE_IN_SHORT)


def may_be(issuer: str, claimed: str) -> bool:
    """Whether this names the issuer where no claims tell the tenant: any tenant of endpoints that serve several."""
    before, placeholder, after = issuer.partition(TENANT)
    if not placeholder:
        return matches(issuer, claimed)
    tenant = claimed.removeprefix(before).removesuffix(after)
    return is_guid(tenant) and matches(issuer, claimed, tenant)


def of_discovery_url(url: str) -> tuple[str, ...]:
    """The issuers whose configuration belongs at this URL (OpenID Connect Discovery section 4): with or without a last slash."""
    prefix = url.removesuffix(WELL_KNOWN)
    return (prefix, f"{prefix}/") if prefix != url else ()
