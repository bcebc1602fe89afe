"""Keys of Auth0's shape that have no place here, by where they stand in a tenant file.

Of some nothing is lost. Others demand something that would then not be done: they are taken only while they are switched off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NOTHING: dict[str, str] = {  # place -> keys without a meaning here
    "": """
        attackProtection branding connectionProfiles customDomains
        emailProvider emailTemplates eventStreams exclude flowVaultConnections forms guardianFactorProviders
        guardianFactorTemplates guardianFactors guardianPhoneFactorMessageTypes guardianPhoneFactorSelectedProvider
        migrations pages phoneProviders phoneTemplates prompts rulesConfigs
        selfServiceProfiles themes userAttributeProfiles
    """,
    "tenant": """
        acr_values_supported allow_organization_name_in_authentication_api allowed_claims change_password
        client_id_metadata_document_supported country_codes customize_mfa_in_postlogin_action default_directory
        default_redirection_uri default_token_quota device_flow dynamic_client_registration_security_mode enabled_locales
        ephemeral_session_lifetime ephemeral_session_lifetime_in_minutes error_page flags guardian_mfa_page
        idle_ephemeral_session_lifetime idle_ephemeral_session_lifetime_in_minutes mtls oidc_logout
        phone_consolidated_experience pushed_authorization_requests_supported resource_parameter_profile sandbox_version
        sandbox_versions_available skip_non_verifiable_callback_uri_confirmation_prompt universal_login
    """,
    "tenant.session_cookie": "",
    "tenant.sessions": "",
    "clients": """
        allowed_clients async_approval_notification_channels callback_url_template client_aliases client_metadata
        cross_origin_auth cross_origin_authentication cross_origin_loc custom_login_page custom_login_page_on
        custom_login_page_preview default_organization description express_configuration fedcm_login form_template global
        initiate_login_uri is_token_endpoint_ip_header_trusted my_organization_configuration native_social_login
        oidc_conformant organization_discovery_methods owners par_request_expiry redirection_policy
        signing_keys skip_non_verifiable_callback_uri_confirmation_prompt sso sso_disabled tenant third_party_security_mode
    """,
    "clients.jwt_configuration": "scopes secret_encoded",
    "clients.oidc_logout": "backchannel_logout_session_metadata",
    "clients.refresh_token": "",
    "connections": """
        connected_accounts directory_provisioning_configuration id is_domain_connection metadata provisioning_ticket_url realms
        scim_configuration show_as_button
    """,
    "connections.options": """
        agentID agentIP agentMode agentVersion allowed_audiences api_enable_users app_domain app_id attributes
        basic_profile cert cert_rollover_notification configuration connection_settings custom_headers
        customScripts debug disable_cache email enable_script_context expires
        ext_account_disabled ext_admin ext_agreed_terms ext_assigned_plans ext_groups ext_is_admin ext_is_suspended ext_profile
        federated_connections_access_tokens freeform_scopes granted identity_api ips max_groups_to_retrieve mfa
        password_no_personal_info precedence profile requestTemplate schema_version set_user_root_attributes signing_key
        signOutEndpointEnabled strategy_version subject use_wsfed userid_attribute validation
    """,
    "resourceServers": """
        allow_online_access client_id id is_system skip_consent_for_verifiable_first_party_clients token_lifetime_for_web
        verificationKey verificationLocation
    """,
    "clientGrants": "id is_system",
    "logStreams": "startFrom",
}
_DECIDING = """
    actions flows guardianPolicies hooks networkACLs organizations riskAssessment roles rules supplementalSignals
    tokenExchangeProfiles triggers
"""  # sections that have a say in who gets in, or in what tokens say
_ADDONS = """
    aws azure_blob azure_sb box cloudbees concur dropbox echosign egnyte firebase layer mscrm newrelic office365 oag rms salesforce
    salesforce_api salesforce_sandbox_api sap_api sentry sharepoint slack springcm sso_integration wams zendesk zoom
"""  # protocols and exchanges of tokens that we do not speak; "samlp" and "wsfed" we do
# place -> keys that demand something, and the values that demand nothing (none listed: what is empty or switched off)
_HARMLESS: dict[str, dict[str, tuple[Any, ...]]] = {
    "": dict.fromkeys(_DECIDING.split(), ()),
    "tenant": {"default_audience": ()},
    "clients": {
        "client_authentication_methods": (),
        "compliance_level": ("none",),
        "encryption_key": (),
        "identity_assertion_authorization_grant": (),
        "mobile": (),
        "organization_require_behavior": ("no_prompt",),
        "organization_usage": ("deny", "allow"),
        "require_proof_of_possession": (),
        "require_pushed_authorization_requests": (),
        "resource_server_identifier": (),
        "session_transfer": (),
        "signed_request_object": (),
        "token_exchange": (),
        "token_quota": (),
    },
    "clients.addons": dict.fromkeys(_ADDONS.split(), ()),
    "clients.refresh_token": {"policies": ()},
    "connections": {"authentication": ({"active": True},)},
    "connections.options": {
        "disable_self_service_change_password": (),
        "enabledDatabaseCustomization": (),
        "import_mode": (),
        "non_persistent_attrs": (),
        "password_history": (),
        "realm_fallback": (),
        "useCommonEndpoint": (),
    },
    "resourceServers": {
        "authorization_details": (),
        "consent_policy": (),
        "enforce_policies": (),
        "proof_of_possession": (),
        "signing_secret": (),
        "subject_type_authorization": (
            {"user": {"policy": "allow_all"}, "client": {"policy": "require_client_grant"}},
            {"user": {"policy": "allow_all"}},
            {"client": {"policy": "require_client_grant"}},
        ),
        "token_encryption": (),
    },
    "clientGrants": {
        "allow_all_scopes": (),
        "allow_any_organization": (),
        "authorization_details_types": (),
        "default_for": (),
        "organization_usage": ("deny",),
        "subject_type": ("client",),
    },
    "logStreams": {"isPriority": (), "pii_config": ()},
    "logStreams.sink": {"httpCustomHeaders": ()},
}
_WITHOUT_MEANING = {place: frozenset(keys.split()) for place, keys in _NOTHING.items()}
_SWITCHES = ("active", "enable", "enabled", "required")
_SAME = {"databases": "connections", "databases.options": "connections.options"}


def place(path: str) -> str:
    """Where in the shape something stands, whichever entry of its list it is."""
    shape = re.sub(r"\[\d+\]", "", path)
    return _SAME.get(shape, shape)


def is_meaningless(path: str, key: str, value: Any) -> bool:
    """Nothing is lost if it is ignored."""
    where = place(path)
    if key in _WITHOUT_MEANING.get(where, ()):
        return True
    harmless = _HARMLESS.get(where, {}).get(key)
    if harmless is None:
        return False
    return not value or (value in harmless if harmless else _says_nothing(value))


def is_demand(path: str, key: str) -> bool:
    return key in _HARMLESS.get(place(path), {})


def known(path: str) -> frozenset[str]:
    where = place(path)
    return _WITHOUT_MEANING.get(where, frozenset()) | _HARMLESS.get(where, {}).keys()


def _says_nothing(value: Any) -> bool:
    """It is empty, or switched off, as Auth0 answers what nobody set."""
    if isinstance(value, Mapping):
        off = any(value.get(switch) is False for switch in _SWITCHES)
        return off or all(_says_nothing(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_says_nothing(inner) for inner in value)
    return not value
