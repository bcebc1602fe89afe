"""Metadata of this issuer: OpenID Connect Discovery 1.0, RFC 8414, and the keys (RFC 7517)."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from idp.applications import claims_supported as claims
from idp.applications import client_auth
from idp.crypto import keys, lifetimes
from idp.http import languages
from idp.http.cors import any_origin
from idp.http.middleware import for_programs
from idp.models import TenantSettings
from idp.protocol import assurance, clients, grant_types, standard_scopes
from idp.tenants import configuration, profile

CLAIMS = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
    "session_expiry",
    *chain.from_iterable(standard_scopes.CLAIMS.values()),
]
CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


@for_programs
@login_not_required
@any_origin("GET", "HEAD")
@require_safe
def openid_configuration(request: HttpRequest) -> HttpResponse:
    snapshot = configuration.current()
    document = metadata(snapshot.tenant)
    return public(document | {"claims_supported": list(dict.fromkeys([*CLAIMS, *claims.mapped_names(snapshot)]))})


@for_programs
@login_not_required
@any_origin("GET", "HEAD")
@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """Every key that is not gone. Caches keep it for as long as a new key is published before it signs."""
    return public(keys.published())


def metadata(tenant: TenantSettings) -> dict[str, Any]:
    """One document for both well-known paths."""
    issuer = settings.ISSUER
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "userinfo_endpoint": f"{issuer}userinfo",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "introspection_endpoint": f"{issuer}oauth/introspect",
        "device_authorization_endpoint": f"{issuer}oauth/device/code",
        "scopes_supported": list(standard_scopes.STANDARD),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post", "web_message"],
        "grant_types_supported": list(grant_types.ALL),
        "subject_types_supported": list(clients.SUBJECT_TYPES),
        "id_token_signing_alg_values_supported": _signing(tenant),
        "userinfo_signing_alg_values_supported": _signing(tenant),
        "id_token_encryption_alg_values_supported": list(clients.ENCRYPTION_ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(clients.CONTENT_ENCRYPTION),
        "dpop_signing_alg_values_supported": list(clients.STRONG_ALGORITHMS),
        "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
        "require_pushed_authorization_requests": tenant.require_pushed_authorization_requests,
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "ui_locales_supported": languages.available(),
        "acr_values_supported": list(assurance.CLASSES),
        "claim_types_supported": ["normal"],
        "claims_supported": CLAIMS,
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": [f"{issuer}userinfo"],
    }
    return document | _client_authentication(tenant) | _logout(issuer) | _switched_on(tenant)


def _signing(tenant: TenantSettings) -> list[str]:
    """What ID tokens are signed by, whatever an application chose."""
    return list(dict.fromkeys(profile.signing_algorithm(name, tenant) for name in keys.ALGORITHMS))


def _client_authentication(tenant: TenantSettings) -> dict[str, Any]:
    algorithms = list(
        clients.STRONG_ALGORITHMS if profile.is_ipsie(tenant) else client_auth.CLIENT_ASSERTION.algorithms
    )
    return {
        "token_endpoint_auth_methods_supported": [*CLIENT_AUTHENTICATION, "none"],
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": [*CLIENT_AUTHENTICATION, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
    }


def _logout(issuer: str) -> dict[str, Any]:
    return {
        "end_session_endpoint": f"{issuer}oidc/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "global_token_revocation_endpoint": f"{issuer}oauth/global-token-revocation",
        "global_token_revocation_endpoint_auth_methods_supported": ["global-token-revocation+jwt"],
    }


def _switched_on(tenant: TenantSettings) -> dict[str, Any]:
    document = {}
    if profile.allows_open_registration(tenant):
        document["registration_endpoint"] = f"{settings.ISSUER}oidc/register"
    if tenant.session_management:
        document["check_session_iframe"] = f"{settings.ISSUER}oidc/check-session"
    return document


def public(document: dict[str, Any]) -> HttpResponse:
    max_age = int(lifetimes.cached().total_seconds())
    return JsonResponse(
        document,
        headers={"Cache-Control": f"public, max-age={max_age}"},
    )
