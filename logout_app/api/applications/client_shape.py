"""An application as Auth0's client object, with our further keys as the tenant file has them."""

from __future__ import annotations

from typing import Any

from idp.models import Application
from idp.saml.application import addons


def client(row: Application) -> dict[str, Any]:
    """Never a secret: it is stored as a hash."""
    found: dict[str, Any] = {
        "client_id": row.client_id,
        "name": row.name,
        "app_type": row.app_type,
        "is_first_party": row.is_first_party,
        "oidc_conformant": True,
        "enabled": row.enabled,
        "callbacks": row.callbacks,
        "allowed_logout_urls": row.allowed_logout_urls,
        "web_origins": list(row.web_origins),
        "allowed_origins": str(row.allowed_origins).split(),
        "grant_types": list(row.grant_types),
        "token_endpoint_auth_method": row.token_endpoint_auth_method,
        "jwt_configuration": {"alg": row.id_token_signed_response_alg, "lifetime_in_seconds": row.id_token_lifetime},
        "oidc_logout": _oidc_logout(row),
        "refresh_token": _refresh_token(row),
        "require_pushed_authorization_requests": row.require_pushed_authorization_requests,
    }
    return found | _ours(row) | _where_given(row)


def _oidc_logout(row: Application) -> dict[str, Any]:
    mode = row.backchannel_logout_initiators_mode
    chosen = {} if mode == "all" else {"selected_initiators": list(row.backchannel_logout_initiators)}
    found: dict[str, Any] = {
        "backchannel_logout_urls": [row.backchannel_logout_uri] if row.backchannel_logout_uri else [],
        "backchannel_logout_initiators": {"mode": mode, **chosen},
        "backchannel_logout_session_required": row.backchannel_logout_session_required,
        "backchannel_logout_token_typ": row.backchannel_logout_token_typ,
        "backchannel_logout_include_sub": row.backchannel_logout_include_sub,
    }
    if row.frontchannel_logout_uri:
        found["frontchannel_logout_uri"] = row.frontchannel_logout_uri
        found["frontchannel_logout_session_required"] = row.frontchannel_logout_session_required
    return found


def _refresh_token(row: Application) -> dict[str, Any]:
    """A limit that is not there is said as Auth0 says it, with the number that it would count from."""
    lasting = row.refresh_token_lifetime is None and row.refresh_token_idle_lifetime is None
    return {
        "rotation_type": "rotating" if row.refresh_token_rotating else "non-rotating",
        "expiration_type": "non-expiring" if lasting else "expiring",
        "leeway": row.refresh_token_leeway,
        "token_lifetime": row.refresh_token_lifetime or 2592000,
        "infinite_token_lifetime": row.refresh_token_lifetime is None,
        "idle_token_lifetime": row.refresh_token_idle_lifetime or 1296000,
        "infinite_idle_token_lifetime": row.refresh_token_idle_lifetime is None,
    }


SWITCHES = (
    *("allow_logout_url_wildcards", "session_expiry", "require_mfa", "scope_claims_in_userinfo_only", "require_pkce"),
    *("dpop_bound_access_tokens", "strict_client_assertions", "access_tokens_die_with_session"),
)
TEXTS = (
    *("logo_uri", "policy_uri", "tos_uri", "sector_identifier_uri", "id_token_encrypted_response_alg", "jwks_uri"),
    *("userinfo_signed_response_alg", "global_token_revocation_uri", "reauthentication_uri"),
    "command_endpoint",
)


def _ours(row: Application) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in SWITCHES}
    found |= {"access_token_lifetime": row.access_token_lifetime, "subject_type": row.subject_type}
    access: dict[str, Any] = {"mode": row.access_mode, "loss_signs_out": row.access_loss_signs_out}
    if row.access_groups:
        access["groups"] = row.access_groups
    return found | {"access": access}


def _where_given(row: Application) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(row, name) or None for name in TEXTS}
    found |= {
        "jwks": row.jwks,
        "default_max_age": row.default_max_age,
        "default_acr_values": row.default_acr_values or None,
        "session_refresh_tokens": row.session_refresh_tokens,
        "outbound_hosts": row.outbound_hosts or None,
        "claims": row.claim_mappings or None,
        "mobile": _mobile(row) or None,
        "addons": addons.of(row) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _mobile(row: Application) -> dict[str, Any]:
    android = {"app_package_name": row.android_package_name, "sha256_cert_fingerprints": row.fingerprints}
    ios = {"team_id": row.ios_team_id, "app_bundle_identifier": row.ios_bundle_id}
    found = {"android": android if row.android_package_name else None, "ios": ios if row.ios_team_id else None}
    return {name: value for name, value in found.items() if value}
