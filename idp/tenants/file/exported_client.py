"""One entry of `clients` in an exported tenant file: what `idp.tenants.clients` reads, written down."""

from __future__ import annotations

from typing import Any

from idp.models import Application
from idp.saml.application import addons
from idp.tenants.file.references import SecretNames

AS_IT_IS = (  # columns that the file calls by the same name
    *("app_type", "token_endpoint_auth_method", "grant_types", "allow_logout_url_wildcards", "web_origins", "logo_uri"),
    *("policy_uri", "tos_uri", "default_max_age", "default_acr_values", "session_expiry", "require_mfa"),
    *("userinfo_signed_response_alg", "scope_claims_in_userinfo_only", "is_first_party", "enabled", "require_pkce"),
    *("require_pushed_authorization_requests", "dpop_bound_access_tokens", "strict_client_assertions", "subject_type"),
    *("sector_identifier_uri", "id_token_encrypted_response_alg", "jwks", "jwks_uri", "access_token_lifetime"),
    *("access_tokens_die_with_session", "session_refresh_tokens", "global_token_revocation_uri"),
    *("reauthentication_uri", "command_endpoint", "outbound_hosts"),
)


def entry(row: Application, secrets: SecretNames) -> dict[str, Any]:
    found: dict[str, Any] = {"client_id": row.client_id, "name": row.name}
    if row.has_secret and row.client_secret:
        found["client_secret"] = secrets.reference("client", row.name, "secret")
    found |= {name: getattr(row, name) for name in AS_IT_IS}
    return found | {
        "callbacks": row.callbacks,
        "allowed_logout_urls": row.allowed_logout_urls,
        "allowed_origins": row.allowed_origins.split(),
        "jwt_configuration": {
            "alg": row.id_token_signed_response_alg,
            "lifetime_in_seconds": row.id_token_lifetime,
        },
        "mobile": _mobile(row),
        "access": {
            "mode": row.access_mode,
            "groups": row.access_groups,
            "loss_signs_out": row.access_loss_signs_out,
        },
        "claims": row.claim_mappings,
        "addons": addons.of(row),
        "oidc_logout": _oidc_logout(row),
        "refresh_token": _refresh_token(row),
    }


def _mobile(row: Application) -> dict[str, Any]:
    return {
        "android": {"app_package_name": row.android_package_name, "sha256_cert_fingerprints": row.fingerprints},
        "ios": {"team_id": row.ios_team_id, "app_bundle_identifier": row.ios_bundle_id},
    }


def _oidc_logout(row: Application) -> dict[str, Any]:
    return {
        "backchannel_logout_urls": row.backchannel_logout_uri.split(),
        "backchannel_logout_session_required": row.backchannel_logout_session_required,
        "backchannel_logout_token_typ": row.backchannel_logout_token_typ,
        "backchannel_logout_include_sub": row.backchannel_logout_include_sub,
        "backchannel_logout_initiators": {
            "mode": row.backchannel_logout_initiators_mode,
            "selected_initiators": row.backchannel_logout_initiators,
        },
        "frontchannel_logout_uri": row.frontchannel_logout_uri,
        "frontchannel_logout_session_required": row.frontchannel_logout_session_required,
    }


def _refresh_token(row: Application) -> dict[str, Any]:
    lives, idles = row.refresh_token_lifetime, row.refresh_token_idle_lifetime
    return {
        "rotation_type": "rotating" if row.refresh_token_rotating else "non-rotating",
        "leeway": row.refresh_token_leeway,
        **({"infinite_token_lifetime": True} if lives is None else {"token_lifetime": lives}),
        **({"infinite_idle_token_lifetime": True} if idles is None else {"idle_token_lifetime": idles}),
    }
