"""Which options a connection of each strategy may have: Auth0's names and ours. Secret ones are sealed, apart from the others."""

from __future__ import annotations

from idp.crypto.sealing import unseal
from idp.models import Connection, Strategy

PASSWORD_POLICIES = ("none", "low", "fair", "good", "excellent")
EMAIL_SIGN_IN = ("off", "code", "link")
COMMON = frozenset({"domain_aliases", "icon_url", "upstream_params", "display_name", "logout", "require_mfa"})
_OIDC = frozenset(
    {
        "type",
        "discovery_url",
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "oidc_metadata",
        "client_id",
        "client_secret",
        "scope",
        "token_endpoint_auth_method",
        "attribute_map",
        "id_token_signed_response_algs",
        "id_token_session_expiry_supported",
        "own_callback",
        "shared_signals",
        "shared_signals_token",
        "shared_signals_secret",
        "trust_upstream_mfa",
        "mfa_acr_values",
    }
)
_REVOCATION = frozenset({"global_token_revocation_jwt_iss", "global_token_revocation_jwt_sub"})
_SAML = _REVOCATION | frozenset(
    {
        "metadataUrl",
        "metadataXml",
        "signInEndpoint",
        "signOutEndpoint",
        "signingCert",
        "entityId",
        "idpEntityId",
        "disableSignout",
        "protocolBinding",
        "signSAMLRequest",
        "wants_signed",
        "signatureAlgorithm",
        "digestAlgorithm",
        "fieldsMap",
        "user_id_attribute",
        "idpinitiated",
        "decryptionKey",
        "shared_signals",
        "shared_signals_token",
        "shared_signals_secret",
        "trust_upstream_mfa",
        "mfa_acr_values",
    }
)
OWN: dict[str, frozenset[str]] = {
    Strategy.DATABASE: frozenset(
        {"passwordPolicy", "brute_force_protection", "disable_signup", "signup_domains"}
        | {"requires_username", "email_sign_in", "passkey_options"}
    ),
    Strategy.OIDC: _OIDC | _REVOCATION,
    Strategy.OKTA: _OIDC | _REVOCATION | {"domain"},
    Strategy.GOOGLE: _OIDC,
    Strategy.ENTRA: _OIDC | {"tenant_domain", "tenantId", "waad_protocol"},
    Strategy.ADFS: _OIDC
    | frozenset(
        {
            "adfs_server",
            "fedMetadataXml",
            "signInEndpoint",
            "signOutEndpoint",
            "signingCert",
            "entityId",
            "thumbprints",
            "user_id_attribute",
            "fieldsMap",
            "wants_signed",
            "protocol",
        }
    ),
    Strategy.SAML: _SAML,
    Strategy.ACTIVE_DIRECTORY: frozenset(
        {
            "servers",
            "start_tls",
            "ca_certificate",
            "bind_dn",
            "bind_password",
            "base_dn",
            "user_filter",
            "group_attribute",
        }
    ),
}
# Of everybody who says elsewhere who somebody is, but for those who know of every address whether they verified it.
UPSTREAM = frozenset({"email_is_verified"})
_KNOW_THEMSELVES = (Strategy.DATABASE, Strategy.GOOGLE)
KEYS: dict[str, frozenset[str]] = {
    strategy: own | COMMON | (frozenset() if strategy in _KNOW_THEMSELVES else UPSTREAM)
    for strategy, own in OWN.items()
}
SECRETS = frozenset(
    {"client_secret", "bind_password", "decryptionKey", "shared_signals_token", "shared_signals_secret"}
)
COSMETIC = frozenset({"display_name", "icon_url"})  # every other option has a say in who gets in
ONE_OR_SEVERAL = frozenset({"signingCert", "user_id_attribute", "scope"})  # text, or a list of texts
# What a form shows of an option that is not there, and writes down when it is saved: that changes nothing.
DEFAULTS = {
    "brute_force_protection": True,
    "disable_signup": True,
    "passkey_options__enabled": True,
    "passkey_options__progressive_enrollment_enabled": True,
    "email_sign_in": "off",
    "passwordPolicy": "good",
    "protocol": "oidc",
    "signatureAlgorithm": "rsa-sha256",
    "digestAlgorithm": "sha256",
    "wants_signed": "either",
}
_NO_DESTINATION = (
    COMMON | UPSTREAM | {"type", "authorization_endpoint", "userinfo_endpoint", "jwks_uri", "oidc_metadata"}
)
# Options that say nothing about where a secret goes, and how that place is recognised. An option that is forgotten here
# counts as a destination: the secret is asked for once too often, and is not sent to a stranger.
NO_DESTINATION: dict[str, frozenset[str]] = {
    "client_secret": _NO_DESTINATION
    | {"client_id", "scope", "token_endpoint_auth_method", "attribute_map", "own_callback", "waad_protocol"}
    | {"shared_signals"}
    | {"id_token_signed_response_algs", "id_token_session_expiry_supported", "trust_upstream_mfa"}
    | {"mfa_acr_values"}
    | _REVOCATION
    | UPSTREAM
    | {"fedMetadataXml", "signInEndpoint", "signOutEndpoint", "signingCert", "entityId", "thumbprints"}  # ADFS by SAML
    | {"user_id_attribute", "fieldsMap", "wants_signed"},
    "bind_password": COMMON | UPSTREAM | {"bind_dn", "base_dn", "user_filter", "group_attribute"},
}
NEVER_SENT = frozenset({"decryptionKey"})
# Secrets that one option decides about, and no other.
ONLY = {name: frozenset({"shared_signals"}) for name in ("shared_signals_token", "shared_signals_secret")}


def destinations(strategy: str, secret: str) -> frozenset[str]:
    """The options that decide where this secret of a connection is sent."""
    if secret in NEVER_SENT:
        return frozenset()
    if secret in ONLY:
        return ONLY[secret]
    return KEYS[strategy] - SECRETS - NO_DESTINATION.get(secret, frozenset())


def secret(connection: Connection, option: str) -> str:
    """A secret option in clear, "" where there is none. Raises CannotUnseal."""
    envelope = connection.sealed_options.get(option)
    return unseal(envelope, secret_context(connection.name, option)) if envelope else ""


def secret_context(connection_name: str, option: str) -> str:
    """What the envelope of a secret option is bound to (`idp.crypto.sealing`)."""
    return f"connection:{connection_name}:{option}"
