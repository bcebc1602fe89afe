"""What the tenant's profile and its own switches ask of every application: the one place that reads them.

Pure functions of rows, so that a path that has them anyway pays nothing. A profile adds demands and takes none away.
"""

from __future__ import annotations

from idp.models import Application, SecurityProfile, TenantSettings
from idp.protocol.clients import STRONG_ALGORITHMS
from idp.tenants import rules

INSTEAD_OF_RS256 = "PS256"  # the same kind of key, so that whoever reads RSA keys has nothing to learn but the padding


def is_ipsie(tenant: TenantSettings) -> bool:
    return tenant.profile == SecurityProfile.IPSIE


def needs_pkce(application: Application, tenant: TenantSettings) -> bool:
    return application.is_public or application.require_pkce or tenant.require_pkce or is_ipsie(tenant)


def needs_pushed_request(application: Application, tenant: TenantSettings) -> bool:
    return application.require_pushed_authorization_requests or tenant.require_pushed_authorization_requests


def needs_second_factor(tenant: TenantSettings) -> bool:
    """Of everybody, whichever application it is: an identity service of SL1 enforces it."""
    return tenant.require_mfa or is_ipsie(tenant)


def remembered_days(tenant: TenantSettings) -> int:
    """For how many days a browser may be remembered instead of a second factor; 0: never. SL1 enforces the factor itself."""
    return 0 if is_ipsie(tenant) else rules.within(tenant, "remember_second_factor_days")


def tells_end_of_session(application: Application, tenant: TenantSettings) -> bool:
    return application.session_expiry or is_ipsie(tenant)


def is_strict_about_assertions(application: Application, tenant: TenantSettings) -> bool:
    return application.strict_client_assertions or is_ipsie(tenant)


def signing_algorithm(chosen: str, tenant: TenantSettings) -> str:
    """By what a token is signed for which somebody chose this. IPSIE's common requirements know no PKCS #1 v1.5."""
    return chosen if chosen in STRONG_ALGORITHMS or not is_ipsie(tenant) else INSTEAD_OF_RS256


def allows_plain_http(tenant: TenantSettings) -> bool:
    """Whether an answer may go to a redirect URI without TLS. Native applications on loopback always have it (RFC 8252)."""
    return not is_ipsie(tenant)


def allows_open_registration(tenant: TenantSettings) -> bool:
    """Whether strangers may register applications, where the tenant has that on."""
    return tenant.dynamic_client_registration and not is_ipsie(tenant)
