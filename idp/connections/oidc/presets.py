"""What is known beforehand about each strategy: where its configuration is found and how its claims are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from idp.connections.oidc import issuers
from idp.models import Strategy
from idp.protocol import uris
from idp.protocol.assurance import MICROSOFT_MFA, OKTA_MFA, PAPE_MULTI_FACTOR

ENTRA = "https://login.microsoftonline.com"
OKTA_DOMAINS = frozenset({"okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil"})
# Entra's endpoints for accounts of several organizations: not one issuer but a template, and `oid` alone names nobody.
SEVERAL_TENANTS = frozenset({"common", "organizations"})


@dataclass(frozen=True, slots=True)
class Preset:
    """The habits of one provider.

    `freshness`: it answers `max_age` with `auth_time`, as OpenID Connect Core section 3.1.2.1 requires; without, nothing can
    prove that somebody was asked again. `login_prompt`: the `prompt` that comes nearest to asking again.
    `trusts_email`: its `email_verified` claim means what the standard says. `signs_out_by_post`: its end_session_endpoint
    takes a form, with its cookies. Every provider must take the form (RP-Initiated Logout section 2), but where cookies are
    SameSite=Lax it comes without them, and nobody is signed out. `mfa_acr_values`: how it is asked for two factors.
    """

    scope: str = "openid profile email"
    freshness: bool = True
    login_prompt: str = "login"
    trusts_email: bool = True
    signs_out_by_post: bool = False
    extra_claims: frozenset[str] = frozenset()
    mfa_acr_values: tuple[str, ...] = (PAPE_MULTI_FACTOR,)


PRESETS: Mapping[str, Preset] = {
    Strategy.OIDC: Preset(),
    Strategy.OKTA: Preset(signs_out_by_post=True, mfa_acr_values=(OKTA_MFA,)),  # and cannot go without an id_token_hint
    # Google knows neither `prompt=login` nor `auth_time`, nor `acr_values`.
    Strategy.GOOGLE: Preset(
        freshness=False, login_prompt="select_account", extra_claims=frozenset({"hd"}), mfa_acr_values=()
    ),
    # Anybody who administers a tenant writes any `email` there: only `xms_edov` says that the domain's owner did. What asks
    # for factors there are its own Conditional Access policies, not `acr_values`.
    Strategy.ENTRA: Preset(
        freshness=False, trusts_email=False, extra_claims=frozenset({"oid", "tid", "upn"}), mfa_acr_values=()
    ),
    Strategy.ADFS: Preset(
        freshness=False, extra_claims=frozenset({"upn", "unique_name"}), mfa_acr_values=(MICROSOFT_MFA,)
    ),
}


def discovery_url(strategy: str, options: Mapping[str, Any]) -> str:
    """Where the strategy's own options lead, "" if they do not."""
    if strategy == Strategy.GOOGLE:
        return issuers.GOOGLE + issuers.WELL_KNOWN
    if strategy == Strategy.OKTA and (domain := str(options.get("domain", ""))):
        return f"https://{okta_host(domain)}{issuers.WELL_KNOWN}"
    if strategy == Strategy.ENTRA and (tenant := entra_tenant(options)):
        return f"{ENTRA}/{tenant}/v2.0{issuers.WELL_KNOWN}"
    if strategy == Strategy.ADFS and (server := str(options.get("adfs_server", ""))):
        return f"https://{adfs_host(server)}/adfs{issuers.WELL_KNOWN}"
    return ""


def issuer(strategy: str, options: Mapping[str, Any]) -> str:
    """The issuer that the strategy's own options name, "" where the configuration document names it."""
    if strategy == Strategy.ENTRA and issuers.is_guid(options.get("tenantId")):
        return f"{ENTRA}/{options['tenantId'].lower()}/v2.0"
    return ""


def other_revokers(strategy: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Who else than the issuer of ID tokens asks for revocations, by its own keys.

    At Okta the organization does, by one of its own addresses, although people sign in at an authorization server of it.
    """
    found = [options.get("global_token_revocation_jwt_iss")]
    if strategy == Strategy.OKTA:
        found += [uris.origin(str(url)) for name in ("issuer", "discovery_url") if (url := options.get(name))]
        found += [f"https://{okta_host(str(domain))}" for domain in (options.get("domain"),) if domain]
    return tuple(dict.fromkeys(url for url in found if isinstance(url, str) and url))


def entra_tenant(options: Mapping[str, Any]) -> str:
    return str(options.get("tenantId") or options.get("tenant_domain") or "")


def okta_host(domain: str) -> str:
    """The host of `domain`, which may be given as a name or as any URL on it, also one of its admin console. What is no host
    is given back as it is."""
    given = domain.strip()
    try:
        parts = urlsplit(given if "://" in given else f"//{given}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return given
    if not host or "@" in given or parts.scheme not in ("", "http", "https"):
        return given
    organization, _, rest = host.partition(".")
    if rest in OKTA_DOMAINS:
        host = f"{organization.removesuffix('-admin')}.{rest}"
    return f"{host}:{port}" if port else host


def okta_server(domain: str) -> str:
    """The path of a custom authorization server, if `domain` is the address of one: people sign in there, not at the organization."""
    _, _, path = domain.strip().rpartition("://")[2].partition("/")
    return f"/{path.rstrip('/')}" if path.startswith("oauth2/") else ""


def adfs_host(server: str) -> str:
    """The host of `adfs_server`, which may be given as a name or as any URL on it."""
    return urlsplit(server).netloc if "://" in server else server


def subject_claims(strategy: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The claims that together name an account for ever.

    Entra's `sub` differs for each of its applications: `oid` is the account's own id, and what Auth0's user ids hold. It is
    unique within its tenant only. ADFS makes `sub` of the application too; an attribute may be named instead.
    """
    if strategy == Strategy.ENTRA:
        return ("tid", "oid") if entra_tenant(options) in SEVERAL_TENANTS else ("oid",)
    if strategy == Strategy.ADFS and isinstance(attribute := options.get("user_id_attribute"), str) and attribute:
        return (attribute,)
    return ("sub",)
