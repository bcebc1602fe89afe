"""Connections, roles, settings, texts, keys, and what there is none of."""

from __future__ import annotations

from typing import Any

from idp.connections.options import KEYS
from idp.http import languages
from idp.models import SecurityMails, SecurityProfile, Strategy, V2LogoutConfirmation
from idp.scim import tokens
from idp.scim.context import SCOPES
from idp.tenants.rules import NUMBERS
from logout_app.api.tenant import connections, provisioning, roles
from tests.support.openapi.words import (
    Bodies,
    Schema,
    answer,
    body,
    different,
    many,
    mapping,
    maybe,
    number,
    one_of,
    ref,
    switch,
    text,
    time,
    whole,
)


def within(column: str) -> Schema:
    return whole("", NUMBERS[column].least, NUMBERS[column].most)


def hours(column: str) -> Schema:
    bounds = NUMBERS[f"{column}_in_minutes"]
    return number(f"Hours; or `{column}_in_minutes`.", minimum=bounds.least / 60, maximum=bounds.most / 60)


OPTIONS = {
    "type": "object",
    "properties": {key: {} for key in sorted(set().union(*KEYS.values()))},
    "description": "Which keys there are depends on the strategy (docs/connections.md). In a change it replaces all of them.",
}
CONNECTION: dict[str, Any] = {
    "display_name": text(),
    "enabled": switch("False signs everybody out who came through it."),
    "enabled_clients": different(text(), "Client ids. Who is not named may not use it."),
    "enabled_for_all": switch("Every application may use it. Ours."),
    "options": OPTIONS,
}
GROUPS = many(
    {"anyOf": [text(), body({"connection": maybe(text()), "name": text()})]},
    "By name, or by connection and name. Ours.",
)
PERMISSIONS = body(
    {"permissions": many(body({name: text(minLength=1) for name in roles.rules.PERMISSION}), minItems=1)}
)
TEXTS = (
    *("picture_url", "support_email", "support_url", "accent_color", "picture_url_dark", "favicon_url"),
    *("background_color", "background_color_dark", "privacy_url", "imprint_url", "legal_hold"),
)
SWITCHES = (
    *("require_mfa", "session_management", "require_pkce", "require_pushed_authorization_requests"),
    *("dynamic_client_registration", "password_change_ends_other_sessions"),
)
NUMBERED = ("max_sessions_per_user", "remember_second_factor_days", "sign_out_timeout", "history_retention_days")
CHOSEN = {
    "v2_logout_confirmation": one_of(V2LogoutConfirmation.values),
    "profile": one_of(SecurityProfile.values),
    "security_mails": one_of(SecurityMails.values),
}
OWN_WORDS = {"texts": mapping("See docs/administration.md."), "mail_templates": mapping("See docs/administration.md.")}
SETTINGS: dict[str, Any] = {
    "friendly_name": text(),
    **{name: text() for name in TEXTS},
    **{name: switch() for name in (*SWITCHES, "oidc_logout_prompt_enabled")},
    **{name: within(name) for name in (*NUMBERED, "session_lifetime_in_minutes", "idle_session_lifetime_in_minutes")},
    **CHOSEN,
    **OWN_WORDS,
    "allowed_logout_urls": different(text()),
    "session_lifetime": hours("session_lifetime"),
    "idle_session_lifetime": hours("idle_session_lifetime"),
    "require_mfa_groups": GROUPS,
    "default_language": one_of(sorted(languages.available())),
    "sessions": body(oidc_logout_prompt_enabled=switch()),
    "session_cookie": body(mode=one_of(("persistent", "non-persistent"))),
}
COMPONENTS = {
    "Connection": answer(
        {
            "id": text(),
            "name": text(),
            "strategy": one_of(Strategy.values),
            "display_name": text(),
            "enabled": switch(),
            "is_domain_connection": switch(),
            "realms": many(text()),
            "authentication": answer({"active": switch()}),
            "connected_accounts": answer({"active": switch()}),
            "enabled_clients": many(text()),
            "enabled_for_all": switch("Every application may use it. Ours."),
        },
        {"options": mapping("With `read:connections_options`; never a secret.")},
    ),
    "Finding": answer({"level": one_of(("ok", "warning", "error")), "text": text(), "expires": switch()}),
    "ScimConfiguration": answer(
        {
            "tenant_name": text(),
            "connection_id": text(),
            "connection_name": text(),
            "strategy": text(),
            "user_id_attribute": text(),
            "mapping": many(ref("ScimMapping")),
            "created_at": time(),
            "updated_on": time(),
        }
    ),
    "ScimMapping": answer({"scim": text(), "auth0": text()}),
    "ScimToken": answer(
        {"token_id": text(), "scopes": many(text()), "created_at": time()},
        {"valid_until": time(), "last_used_at": time(), "token": text("Only in the answer that makes it.")},
    ),
    "Person": answer({"user_id": text(), "email": text(), "name": text(), "picture": text()}),
    "TenantSettings": answer(
        {
            "friendly_name": text(),
            "picture_url": text(),
            "support_email": text(),
            "support_url": text(),
            "allowed_logout_urls": many(text()),
            "session_lifetime": number("Hours."),
            "idle_session_lifetime": number("Hours."),
            "session_cookie": answer({"mode": text()}),
            "sessions": answer({"oidc_logout_prompt_enabled": switch()}),
            "oidc_logout": answer({"rp_logout_end_session_endpoint_discovery": switch()}),
            "pushed_authorization_requests_supported": switch(),
            "enabled_locales": many(text()),
            "flags": mapping(of=switch()),
            "default_language": text(),
            "accent_color": text(),
            **{name: switch() for name in SWITCHES},
            **{name: whole() for name in NUMBERED},
            **CHOSEN,
            "require_mfa_groups": many({}),
        },
        {**{name: text() for name in TEXTS}, **OWN_WORDS},
    ),
    "Branding": answer({}, {"logo_url": text(), "colors": answer({"primary": text()})}),
    "SigningKey": answer(
        {
            "kid": text(),
            "cert": text("The public key in PEM: there are no certificates."),
            "fingerprint": text(),
            "thumbprint": text("RFC 7638."),
            "alg": text(),
            "jwk": mapping(),
            "current": switch(),
            "next": switch(),
            "previous": switch(),
            "revoked": switch(),
        },
        {"current_since": time(), "current_until": time(), "revoked_at": time()},
    ),
}
ONE = "connections/{connection_id}"
SCIM = f"{ONE}/scim-configuration"
ROLE = "roles/{role_id}"
ROLE_SAID: dict[str, Any] = {"description": text(maxLength=255), "groups": GROUPS}
ROLE_NAME = text(minLength=1, maxLength=roles.rules.LONGEST_ROLE)
BODIES = {
    "GET connections": Bodies(ref("Connection")),
    "POST connections": Bodies(
        ref("Connection"),
        body({"name": text(minLength=1), "strategy": one_of(Strategy.values)}, **CONNECTION),
        also=(409,),
    ),
    f"GET {ONE}": Bodies(ref("Connection")),
    f"PATCH {ONE}": Bodies(
        ref("Connection"),
        body(**CONNECTION, name=text("Cannot change."), strategy=one_of(Strategy.values, "Cannot change.")),
    ),
    f"DELETE {ONE}": Bodies(answer({"deleted_at": time()}), also=(409,)),
    f"GET {ONE}/clients": Bodies(answer({"client_id": text()})),
    f"PATCH {ONE}/clients": Bodies(
        takes=many(
            body({"client_id": text(minLength=1), "status": switch()}), minItems=1, maxItems=connections.MOST_CLIENTS
        )
    ),
    f"GET {ONE}/status": Bodies(answer({})),
    f"POST {ONE}/test": Bodies(answer({"findings": many(ref("Finding"))})),
    f"GET {SCIM}": Bodies(ref("ScimConfiguration")),
    f"POST {SCIM}": Bodies(ref("ScimConfiguration"), mapping()),
    f"DELETE {SCIM}": Bodies(),
    f"GET {SCIM}/default-mapping": Bodies(answer({"mapping": many(ref("ScimMapping"))})),
    f"GET {SCIM}/tokens": Bodies(many(ref("ScimToken"))),
    f"POST {SCIM}/tokens": Bodies(
        ref("ScimToken"),
        body(
            scopes=different(one_of(SCOPES)),
            token_lifetime=whole("Seconds.", tokens.SHORTEST, provisioning.LONGEST_LIFE),
        ),
    ),
    f"DELETE {SCIM}/tokens/{{token_id}}": Bodies(),
    "GET roles": Bodies(ref("Role"), pages="roles"),
    "POST roles": Bodies(ref("Role"), body({"name": ROLE_NAME}, **ROLE_SAID), also=(409,)),
    f"GET {ROLE}": Bodies(ref("Role")),
    f"PATCH {ROLE}": Bodies(ref("Role"), body(name=ROLE_NAME, **ROLE_SAID), also=(409,)),
    f"DELETE {ROLE}": Bodies(answer({})),
    f"GET {ROLE}/permissions": Bodies(ref("Permission"), pages="permissions"),
    f"POST {ROLE}/permissions": Bodies(answer({}), PERMISSIONS),
    f"DELETE {ROLE}/permissions": Bodies(takes=PERMISSIONS),
    f"GET {ROLE}/users": Bodies(ref("Person")),
    f"POST {ROLE}/users": Bodies(
        takes=body({"users": different(text(), minItems=1, maxItems=roles.MOST_PEOPLE)}),
    ),
    "GET tenants/settings": Bodies(ref("TenantSettings")),
    "PATCH tenants/settings": Bodies(ref("TenantSettings"), body(**SETTINGS)),
    "GET branding": Bodies(ref("Branding")),
    "PATCH branding": Bodies(ref("Branding"), body(logo_url=text(), colors=body(primary=text()))),
    "GET keys/signing": Bodies(many(ref("SigningKey"))),
    "POST keys/signing/rotate": Bodies(answer({"kid": text(), "done": many(text())}), also=(409,)),
    "PUT keys/signing/{kid}/revoke": Bodies(answer({"kid": text(), "cert": text()}), also=(404, 409)),
    "GET keys/signing/{kid}": Bodies(ref("SigningKey")),
}
