"""What a live Auth0 tenant answered to its Terraform provider (auth0/terraform-provider-auth0, test/data/recordings, as of
August 2026), asked again here: the same status, and every key that was there but for those that `LEFT_OUT` has a reason for.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.factories import make_connection
from tests.support.management import Api

pytestmark = pytest.mark.django_db
NO_LEGACY = "a switch of an older way of Auth0's, which is not here"
NOT_KEPT = "nothing here would read it"
LEFT_OUT: dict[str, dict[str, str]] = {
    "clients": {
        "signing_keys": "applications have no keys of their own here; tokens are signed by the tenant's",
        **dict.fromkeys(("cross_origin_authentication", "custom_login_page_on", "sso_disabled"), NO_LEGACY),
        "is_token_endpoint_ip_header_trusted": "whom to believe about addresses is CURFEW_TRUSTED_PROXIES",
        "oidc_backchannel_logout": "the older name of oidc_logout",
        "organization_usage": "there are no organizations",
        "client_secret": "shown when it is made, stored as a hash",
    },
    "email-templates": {"urlLifetimeInSeconds": "how long a link lasts is not chosen for each mail"},
    "event-streams": {"updated_at": "when it changed is in the audit trail"},
    "roles": {"type": "there are no roles of organizations to tell apart"},
    "users": {"picture": "avatars are not looked up at a third party by a hash of somebody's address"},
    "connections": {"metadata": NOT_KEPT, "show_as_button": "every connection that an application may use is offered"},
    "tenants": {
        **dict.fromkeys(("change_password", "guardian_mfa_page", "universal_login"), NO_LEGACY),
        **dict.fromkeys(("sandbox_version", "sandbox_versions_available"), "no code of a tenant runs here"),
        **dict.fromkeys(("ephemeral_session_lifetime", "idle_ephemeral_session_lifetime"), "one kind of lifetime"),
        "default_directory": "no grant here takes a password",
        "client_id_metadata_document_supported": "discovery says what is supported",
        "dynamic_client_registration_security_mode": "what registers itself is never first-party",
        "phone_consolidated_experience": NOT_KEPT,
        "resource_parameter_profile": "resource (RFC 8707) is always understood",
    },
}
CLIENT = (
    "client_id cross_origin_authentication custom_login_page_on grant_types is_first_party "
    "is_token_endpoint_ip_header_trusted jwt_configuration name oidc_conformant refresh_token signing_keys sso_disabled"
)
API = (
    "allow_offline_access id identifier name signing_alg skip_consent_for_verifiable_first_party_clients "
    "subject_type_authorization token_lifetime token_lifetime_for_web"
)
CONNECTION = "authentication connected_accounts enabled_clients id is_domain_connection name options realms strategy"
USER = "created_at email email_verified identities name nickname picture updated_at user_id username"
TENANT = (
    "change_password client_id_metadata_document_supported default_directory enabled_locales ephemeral_session_lifetime "
    "dynamic_client_registration_security_mode flags friendly_name guardian_mfa_page idle_ephemeral_session_lifetime "
    "idle_session_lifetime oidc_logout phone_consolidated_experience picture_url resource_parameter_profile "
    "sandbox_version session_lifetime universal_login"
)
PAGE = "start limit total"
PERMISSION = {"resource_server_identifier": "https://uat.example/", "permission_name": "create:bar"}
OIDC = {
    "issuer": "https://login.example/",
    "client_id": "123456",
    "client_secret": "123456",
    "type": "back_channel",
    "scope": "email openid profile",
    "authorization_endpoint": "https://login.example/authorize",
    "jwks_uri": "https://login.example/keys",
    "token_endpoint": "https://login.example/token",
    "userinfo_endpoint": "https://login.example/userinfo",
    "domain_aliases": ["example.com"],
    "set_user_root_attributes": "on_each_login",
    "connection_settings": {"pkce": "disabled"},
    "id_token_session_expiry_supported": True,
}
LOG_STREAM = "id name type status sink isPriority"
EVENT_STREAM = "id status name subscriptions created_at updated_at destination"
SUBSCRIBED = [{"event_type": "user.deleted"}]
HOOK = {
    "type": "webhook",
    "configuration": {
        "webhook_endpoint": "https://example.com/webhook/events",
        "webhook_authorization": {"method": "bearer", "token": "AKIAXXXXXXXXXXXXXXXX"},
    },
}
MAIL = "template body from resultUrl subject syntax urlLifetimeInSeconds includeEmailInRedirect enabled"
SINK = {
    "httpContentFormat": "JSONLINES",
    "httpContentType": "application/json",
    "httpEndpoint": "https://example.com/webhook/logs",
    "httpAuthorization": "AKIAXXXXXXXXXXXXXXXX",
}
BACKCHANNEL = {
    "backchannel_logout_urls": ["https://auth0.test/logout"],
    "backchannel_logout_initiators": {"mode": "all"},
}
# (method, path, body, status, keys of the answer); {0} is the id in the answer to the first line of its story.
STORIES: dict[str, list[tuple[str, str, Any, int, str]]] = {
    "a client that says nothing but its name": [
        ("POST", "clients", {"name": "Minimal"}, 201, f"{CLIENT} client_secret"),
        ("GET", "clients/{0}", None, 200, f"{CLIENT} client_secret"),
        ("PATCH", "clients/{0}", {"oidc_backchannel_logout": None}, 200, CLIENT),
        ("PATCH", "clients/{0}", {"addons": None, "authorization_details": None}, 200, CLIENT),
        ("DELETE", "clients/{0}", None, 204, ""),
        ("GET", "clients/{0}", None, 404, "statusCode error message errorCode"),
    ],
    "a client that hears of sign-outs": [
        (
            "POST",
            "clients",
            {
                "name": "SPA",
                "app_type": "spa",
                "token_endpoint_auth_method": "none",
                "callbacks": ["https://auth0.test/callback"],
                "oidc_logout": {**BACKCHANNEL, "backchannel_logout_session_metadata": {"include": True}},
            },
            201,
            f"{CLIENT} app_type token_endpoint_auth_method oidc_logout oidc_backchannel_logout",
        ),
        (
            "PATCH",
            "clients/{0}",
            {"name": "SPA", "app_type": "spa", "oidc_logout": BACKCHANNEL},
            200,
            f"{CLIENT} oidc_logout",
        ),
        (
            "PATCH",
            "clients/{0}",
            {"refresh_token": {"rotation_type": "non-rotating", "expiration_type": "non-expiring", "leeway": 60}},
            200,
            f"{CLIENT} app_type",
        ),
        ("DELETE", "clients/{0}", None, 204, ""),
    ],
    "an api": [
        ("POST", "resource-servers", {"name": "Uat", "identifier": "https://uat.example/"}, 201, API),
        ("GET", "resource-servers/{0}", None, 200, API),
        (
            "PATCH",
            "resource-servers/https:%2F%2Fuat.example%2F",
            {"scopes": [{"value": "create:bar", "description": ""}]},
            200,
            f"{API} scopes",
        ),
        ("PATCH", "resource-servers/{0}", {"authorization_details": None}, 200, API),
        (
            "PATCH",
            "resource-servers/{0}",
            {
                "signing_alg": "RS256",
                "enforce_policies": True,
                "token_lifetime": 7200,
                "token_lifetime_for_web": 3600,
                "skip_consent_for_verifiable_first_party_clients": True,
            },
            200,
            f"{API} enforce_policies",
        ),
        ("DELETE", "resource-servers/{0}", None, 204, ""),
    ],
    "a role and its permissions": [
        ("POST", "roles", {"name": "The One"}, 200, "id name type"),
        ("GET", "roles/{0}", None, 200, "id name description type"),
        ("PATCH", "roles/{0}", {"name": "The One", "description": "Neo"}, 200, "id name description type"),
        (
            "POST",
            "resource-servers",
            {"name": "Uat", "identifier": "https://uat.example/", "scopes": [{"value": "create:bar"}]},
            201,
            API,
        ),
        ("POST", "roles/{0}/permissions", {"permissions": [PERMISSION]}, 201, ""),
        ("GET", "roles/{0}/permissions?include_totals=true&page=0&per_page=100", None, 200, f"{PAGE} permissions"),
        ("DELETE", "roles/{0}/permissions", {"permissions": [PERMISSION]}, 204, ""),
        ("DELETE", "roles/{0}", {}, 200, ""),
    ],
    "a person": [
        (
            "POST",
            "users",
            {
                "user_id": "testaccuser",
                "connection": "FabrikamAD",
                "email": "testaccuser@acceptance.test.com",
                "username": "testaccuser",
                "password": "passpass$12$12",
            },
            201,
            USER,
        ),
        ("GET", "users/auth0%7Ctestaccuser", None, 200, USER),
        (
            "PATCH",
            "users/auth0%7Ctestaccuser",
            {"given_name": "First", "family_name": "Last"},
            200,
            f"{USER} given_name family_name",
        ),
        ("GET", "users/auth0%7Ctestaccuser/roles?include_totals=true&page=0&per_page=100", None, 200, f"{PAGE} roles"),
        (
            "GET",
            "users/auth0%7Ctestaccuser/permissions?include_totals=true&page=0&per_page=100",
            None,
            200,
            f"{PAGE} permissions",
        ),
        ("DELETE", "users/auth0%7Ctestaccuser", None, 204, ""),
    ],
    "a database": [
        ("POST", "connections", {"name": "Acceptance-Test", "strategy": "auth0"}, 201, CONNECTION),
        ("GET", "connections/{0}", None, 200, CONNECTION),
        ("GET", "connections/{0}/clients", None, 200, "clients"),
        ("GET", "connections/{0}?fields=strategy,name&include_fields=true", None, 200, "strategy name"),
        ("DELETE", "connections/{0}", None, 202, "deleted_at"),
    ],
    "a provider that provisions": [
        (
            "POST",
            "connections",
            {"name": "Partner", "display_name": "Partner", "strategy": "oidc", "show_as_button": True, "options": OIDC},
            201,
            f"{CONNECTION} display_name",
        ),
        (
            "PATCH",
            "connections/{0}",
            {"display_name": "Partner", "show_as_button": False, "options": OIDC | {"scope": "email openid"}},
            200,
            CONNECTION,
        ),
        ("GET", "connections/{0}/scim-configuration", None, 404, "statusCode error message"),
        (
            "POST",
            "connections/{0}/scim-configuration",
            None,
            201,
            "tenant_name connection_id connection_name strategy mapping created_at updated_on user_id_attribute",
        ),
        ("GET", "connections/{0}/scim-configuration/default-mapping", None, 200, "mapping"),
        (
            "POST",
            "connections/{0}/scim-configuration/tokens",
            {"scopes": ["get:users", "post:users"]},
            201,
            "token_id token scopes created_at",
        ),
        ("DELETE", "connections/{0}/scim-configuration", None, 204, ""),
        (
            "POST",
            "connections/con_xxxxxxxxxxxxxxxx/scim-configuration",
            None,
            404,
            "statusCode error message errorCode",
        ),
        ("DELETE", "connections/{0}", None, 202, "deleted_at"),
    ],
    "the tenant": [
        (
            "PATCH",
            "tenants/settings",
            {
                "session_lifetime": 168,
                "idle_session_lifetime": 72,
                "ephemeral_session_lifetime": 72,
                "idle_ephemeral_session_lifetime": 24,
            },
            200,
            TENANT,
        ),
        ("GET", "tenants/settings", None, 200, TENANT),
        ("GET", "branding/templates/universal-login", None, 404, "statusCode error message errorCode"),
        ("GET", "branding/themes/default", None, 404, "statusCode error message errorCode"),
        (
            "GET",
            "emails/provider?fields=name,enabled&include_fields=true",
            None,
            404,
            "statusCode error message errorCode",
        ),
        ("PUT", "prompts/login/custom-text/en", {}, 200, ""),
        ("GET", "prompts/login/custom-text/en", None, 200, ""),
    ],
    "a log stream": [
        ("POST", "log-streams", {"name": "SIEM", "type": "http", "sink": SINK}, 200, LOG_STREAM),
        ("PATCH", "log-streams/{0}", {"status": "paused"}, 200, LOG_STREAM),
        ("GET", "log-streams/{0}", None, 200, LOG_STREAM),
        ("DELETE", "log-streams/{0}", None, 204, ""),
    ],
    "an event stream": [  # recorded with eventbridge as its destination
        (
            "POST",
            "event-streams",
            {"name": "Watcher", "subscriptions": SUBSCRIBED, "destination": HOOK},
            201,
            EVENT_STREAM,
        ),
        ("GET", "event-streams/{0}", None, 200, EVENT_STREAM),
        ("PATCH", "event-streams/{0}", {"name": "Other", "subscriptions": SUBSCRIBED}, 200, EVENT_STREAM),
        ("DELETE", "event-streams/{0}", None, 204, ""),
    ],
    "a mail": [
        ("GET", "email-templates/reset_email", None, 404, "statusCode error message errorCode"),
        (
            "POST",
            "email-templates",
            {
                "template": "reset_email",
                "body": "{{ url }}",
                "subject": "Welcome",
                "syntax": "liquid",
                "enabled": True,
                "includeEmailInRedirect": False,
            },
            200,
            MAIL,
        ),
        ("PATCH", "email-templates/reset_email", {"subject": "Hello"}, 200, MAIL),
        ("GET", "email-templates/reset_email", None, 200, MAIL),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_the_same_request_has_the_same_answer(story):
    api, first = Api(), ""
    make_connection()
    for method, path, body, status, keys in STORIES[story]:
        answer = api.ask(method, path.replace("{0}", first), body)
        assert answer.status_code == status, (method, path, answer.content)
        found = answer.json() if answer.content else {}
        first = first or found.get("client_id") or found.get("id") or ""
        without = LEFT_OUT.get(path.split("/")[0], {})
        assert set(keys.split()) - set(found) <= set(without), (method, path)
        assert ("client_secret" in found) <= (method == "POST"), "a secret is shown once"
        assert set(without) & set(found) <= {"client_secret"}, "what is there now needs no reason any more"
