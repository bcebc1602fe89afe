"""The form of an application, by topic; what an application may be is `idp.applications.rules`, which the model asks."""

from __future__ import annotations

from typing import Any

from django import forms

from idp.admin.fields import GroupsField, LinesField, ListField, ObjectField, TicksField
from idp.admin.rulebook import RulebookForm
from idp.applications import rules
from idp.models import Application, default_grant_types, default_initiators
from idp.protocol import grant_types
from idp.protocol.initiators import Initiator

GRANTS = (
    ("authorization_code", "Authorization code: people sign in"),
    ("refresh_token", "Refresh token"),
    ("client_credentials", "Client credentials: the application acts for itself"),
    (grant_types.DEVICE_CODE, "Device code: televisions and command lines"),
)
INITIATORS = (
    (Initiator.RP_LOGOUT.value, "Somebody signed out in an application"),
    (Initiator.IDP_LOGOUT.value, "Somebody signed out at an identity provider or here"),
    (Initiator.PASSWORD_CHANGED.value, "The password changed"),
    (Initiator.SESSION_EXPIRED.value, "The session expired"),
    (Initiator.SESSION_REVOKED.value, "The session was revoked"),
    (Initiator.ACCOUNT_DELETED.value, "The account was deleted"),
    (Initiator.EMAIL_IDENTIFIER_CHANGED.value, "The e-mail address changed"),
    (Initiator.MFA_PHONE_UNENROLLED.value, "A second factor was removed"),
    (Initiator.ACCOUNT_DEACTIVATED.value, "The account was blocked"),
    (Initiator.ACCESS_LOST.value, "Somebody may not use this application any more"),
    (Initiator.DEPROVISIONED.value, "The account was deprovisioned (SCIM)"),
)


def url_field(label: str, help_text: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"})
    return forms.CharField(label=label, max_length=1000, required=False, widget=widget, help_text=help_text)


class ApplicationForm(RulebookForm):
    judged = rules.SINGLE

    name = forms.CharField(max_length=255, help_text="What people read on the login page and among their sessions.")
    redirect_uris = LinesField(
        label="Callback URLs", joined=True, help_text="One per line. Where /authorize sends the code."
    )
    post_logout_redirect_uris = LinesField(
        label="Allowed logout URLs",
        joined=True,
        help_text="One per line. Where people may go after they signed out.",
    )
    web_origins = LinesField(
        help_text="One per line, like https://app.example.com. Pages that may sign in silently and read /user/ssodata.",
    )
    allowed_origins = LinesField(joined=True, help_text="One per line. Further pages that may call the token endpoint.")
    outbound_hosts = LinesField(help_text="One per line. If given, logout requests go to these host names only.")
    backchannel_logout_uri = url_field("Back-channel logout URL", "Like https://app.example.com/backchannel-logout.")
    frontchannel_logout_uri = url_field("Front-channel logout URL", "On the origin of a callback URL.")
    logo_uri = url_field("Logo URL", "Of an image, for the login page and the pages of people.")
    policy_uri = url_field("Privacy policy", "Linked on the login page and where people are asked for consent.")
    tos_uri = url_field("Terms of service", "Linked there too.")
    android_fingerprints = LinesField(
        label="Android fingerprints",
        joined=True,
        help_text="One per line: the SHA-256 of the certificates that sign the application.",
    )
    jwks_uri = url_field("URL of the public keys", "For private_key_jwt: where the application publishes them.")
    sector_identifier_uri = url_field(
        "Sector identifier URL",
        "For pairwise user ids of callbacks on several hosts: applications with the same host share them.",
    )
    global_token_revocation_uri = url_field("Global Token Revocation URL", "The application's own, if it has one.")
    reauthentication_uri = url_field(
        "Reauthentication URL",
        "The application sends the person to sign in again before they go on. Empty: it is not told.",
    )
    command_endpoint = url_field(
        "Command endpoint",
        "OpenID Provider Commands, draft 02: the application is told to invalidate, suspend, reactivate or delete the account "
        "that somebody has there. Empty: it is not.",
    )
    grant_types = TicksField(choices=GRANTS, required=True, initial=default_grant_types)
    backchannel_logout_initiators = TicksField(
        label="Told when",
        choices=INITIATORS,
        initial=default_initiators,
        help_text="Only used if the choice above is Selected.",
    )

    access_groups = GroupsField(
        label="Groups",
        help_text="One per line, by name. A name means a group of any source; where several identity providers may sign in "
        'to it, name the one that you mean: {"connection": "acme-okta", "name": "staff"}.',
    )
    claim_mappings = ListField(
        label="Claims",
        help_text='A JSON list: [{"claim": "roles", "from": "groups[?starts_with(@, \'grafana-\')]", "in": ["id_token", '
        '"userinfo"]}]. from is JMESPath over user, identity, groups, roles, session and client.',
    )
    default_acr_values = LinesField(
        label="Classes of proof that it asks for",
        help_text="One per line, like multi-factor, the preferred one first: where a request names none (acr_values).",
    )
    saml = ObjectField(
        label="Settings",
        help_text="JSON, in the names of Auth0's addons.samlp. The callbacks are its assertion consumer services. "
        "Empty: it does not speak SAML.",
    )
    wsfed = ObjectField(
        label="WS-Federation",
        help_text='JSON, in the names of Auth0\'s addons.wsfed, like {"realm": "urn:sharepoint:intranet"}. The callbacks are '
        "where its tokens may go. Empty: it does not speak WS-Federation.",
    )
    jwks = ObjectField(label="Public keys", keys=("keys",), help_text="A JWK set, for private_key_jwt.")

    class Meta:
        model = Application
        exclude = ("client_secret", "user")
        labels = {
            "app_type": "Kind",
            "access_mode": "People",
            "access_loss_signs_out": "Sign out who loses access",
            "is_first_party": "Ours: people are not asked for consent",
            "allow_logout_url_wildcards": "Allow wildcards",
            "backchannel_logout_session_required": "Needs the session ID (sid)",
            "backchannel_logout_token_typ": "Type of the logout token",
            "backchannel_logout_include_sub": "Send the user ID (sub)",
            "backchannel_logout_initiators_mode": "Which sign-outs it hears of",
            "frontchannel_logout_session_required": "Needs iss and sid",
            "id_token_signed_response_alg": "Algorithm of ID tokens",
            "id_token_encrypted_response_alg": "Encryption of ID tokens",
            "subject_type": "User IDs (sub)",
            "require_pushed_authorization_requests": "Require pushed authorization requests",
            "dpop_bound_access_tokens": "Require DPoP",
            "strict_client_assertions": "Strict client assertions",
            "id_token_lifetime": "ID token lifetime",
            "scope_claims_in_userinfo_only": "Profile and e-mail by /userinfo only",
            "userinfo_signed_response_alg": "Answers of /userinfo",
            "session_expiry": "Say when the session ends",
            "require_mfa": "Require a second factor",
            "default_max_age": "Longest time since the last proof",
            "android_package_name": "Android package",
            "ios_team_id": "Apple team ID",
            "ios_bundle_id": "Apple bundle ID",
            "session_refresh_tokens": "Refresh tokens of the session",
            "refresh_token_rotating": "Rotate refresh tokens",
            "refresh_token_leeway": "Leeway of rotation",
            "token_endpoint_auth_method": "Method",
            "require_pkce": "Require PKCE",
        }
        help_texts = {"is_first_party": ""}

    def clean_jwks(self) -> Any:
        return self.cleaned_data["jwks"] or None
