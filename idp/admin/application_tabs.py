"""The topics of an application's page, in the order of the tabs above its form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.helpers import AdminForm, Fieldset

from idp.applications import mobile


@dataclass(frozen=True, slots=True)
class Tab:
    """`name` is its anchor: a link to the page may lead to a tab."""

    name: str
    title: str
    fieldsets: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class ShownTab:
    name: str
    title: str
    fieldsets: Sequence[tuple[int, Fieldset]]  # numbered through all tabs: their headings need an id
    errors: int


def _fieldset(title: str, *fields: str, text: str = "") -> tuple[str, dict[str, Any]]:
    return title, {"fields": fields, "description": text}


TABS = (
    Tab(
        "basics",
        "Basics",
        (
            _fieldset("The application", "name", "app_type", "logo_uri", "policy_uri", "tos_uri", "is_first_party"),
            _fieldset(
                "On telephones",
                *mobile.FIELDS,
                text="Native applications that belong to this host: it says so in /.well-known/assetlinks.json and "
                "/.well-known/apple-app-site-association, for passkeys and for links that open the application.",
            ),
            _fieldset(
                "Dangerous",
                "enabled",
                text="Off: nobody signs in to it, its tokens are refused, and it is not told of sign-outs any more.",
            ),
        ),
    ),
    Tab(
        "addresses",
        "Addresses",
        (
            _fieldset(
                "Where people may come back to",
                "redirect_uris",
                "post_logout_redirect_uris",
                "allow_logout_url_wildcards",
                text="After signing in and after signing out. Compared exactly: no wildcards, unless they are allowed below.",
            ),
            _fieldset(
                "Pages that call from a browser",
                "web_origins",
                "allowed_origins",
            ),
        ),
    ),
    Tab(
        "sign-out",
        "Sign-out",
        (
            _fieldset(
                "How the application hears of sign-outs",
                "backchannel_logout_uri",
                "backchannel_logout_session_required",
                "backchannel_logout_token_typ",
                "backchannel_logout_include_sub",
                "backchannel_logout_initiators_mode",
                "backchannel_logout_initiators",
                "frontchannel_logout_uri",
                "frontchannel_logout_session_required",
                "global_token_revocation_uri",
                "reauthentication_uri",
                "command_endpoint",
                "outbound_hosts",
                text="Back channel: Curfew posts a logout token, and tries again until it is answered. "
                "Front channel: the person's browser loads a page of the application. "
                "Revocation endpoint: it gets a signed request when everything of a person ends. "
                "Reauthentication URL: it gets a token when a session goes on and somebody must sign in again. "
                "Command endpoint: it is told what becomes of a person's account (a draft of the OpenID Foundation).",
            ),
        ),
    ),
    Tab(
        "tokens",
        "Tokens",
        (
            _fieldset(
                "Tokens",
                "grant_types",
                "id_token_signed_response_alg",
                "id_token_encrypted_response_alg",
                "subject_type",
                "sector_identifier_uri",
                "id_token_lifetime",
                "session_expiry",
                "access_token_lifetime",
                "access_tokens_die_with_session",
            ),
            _fieldset(
                "Refresh tokens",
                "session_refresh_tokens",
                "refresh_token_rotating",
                "refresh_token_leeway",
                "refresh_token_lifetime",
                "refresh_token_idle_lifetime",
            ),
        ),
    ),
    Tab(
        "claims",
        "Claims",
        (
            _fieldset(
                "What it learns of people",
                "claim_mappings",
                "scope_claims_in_userinfo_only",
                "userinfo_signed_response_alg",
                text="Beside the standard claims: the scopes groups and roles give claims of these names. "
                "Preview for a person shows what somebody's tokens would say.",
            ),
        ),
    ),
    Tab(
        "saml",
        "SAML",
        (
            _fieldset(
                "If it speaks SAML",
                "saml",
                text="Import metadata fills this in, and knows what some services need. Claims of the tab Claims come as attributes; "
                "mappings says by which names.",
            ),
            _fieldset(
                "If it speaks WS-Federation",
                "wsfed",
                text="SharePoint Server, and .NET applications of ADFS's time. Its front-channel logout URL, with "
                "?wa=wsignoutcleanup1.0, signs it out in a frame of the sign-out page.",
            ),
        ),
    ),
    Tab(
        "access",
        "Access",
        (
            _fieldset(
                "Who may use it",
                "access_mode",
                "access_groups",
                "access_loss_signs_out",
                text="Others read whom to ask, and the application hears access_denied. Who loses access is refused "
                "at once, in every grant. People are assigned on their own pages.",
            ),
            _fieldset("How surely people prove who they are", "require_mfa", "default_acr_values", "default_max_age"),
        ),
    ),
    Tab(
        "keys",
        "Keys",
        (
            _fieldset(
                "How the application proves who it is",
                "token_endpoint_auth_method",
                "strict_client_assertions",
                "jwks",
                "jwks_uri",
            ),
            _fieldset(
                "Higher assurance",
                "require_pkce",
                "require_pushed_authorization_requests",
                "dpop_bound_access_tokens",
                text="What the application must do beside: check that its library can, then switch it on.",
            ),
        ),
    ),
)
FIELDSETS: Any = tuple(fieldset for tab in TABS for fieldset in tab.fieldsets)


def shown(adminform: AdminForm) -> list[ShownTab]:
    """The fieldsets of the form that is shown, by tab; how many of a tab's fields were refused stands beside its name."""
    fieldsets = list(enumerate(adminform))
    found = []
    for tab in TABS:
        mine, fieldsets = fieldsets[: len(tab.fieldsets)], fieldsets[len(tab.fieldsets) :]
        found.append(ShownTab(tab.name, tab.title, mine, _errors(adminform, tab.fieldsets)))
    return found


def _errors(adminform: AdminForm, fieldsets: Iterable[tuple[str, dict[str, Any]]]) -> int:
    return sum(field in adminform.form.errors for _, options in fieldsets for field in options["fields"])
