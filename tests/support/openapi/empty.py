"""What there is none of: lists that are empty, and things that nobody finds."""

from __future__ import annotations

from tests.support.openapi.words import Bodies, answer, many, mapping, switch, whole

NOTHING = mapping("There are none.")
PAGED = {
    "hooks": "hooks",
    "forms": "forms",
    "flows": "flows",
    "flows/vault/connections": "connections",
    "self-service-profiles": "self_service_profiles",
}
BARE = ("rules-configs", "guardian/factors", "guardian/policies")
WRAPPED = {
    "actions/triggers": "triggers",
    "actions/modules": "modules",
    "connection-profiles": "connection_profiles",
    "connections-directory-provisionings": "directory_provisionings",
    "user-attribute-profiles": "user_attribute_profiles",
    "token-exchange-profiles": "token_exchange_profiles",
    "network-acls": "network_acls",
    "branding/phone/providers": "providers",
    "branding/phone/templates": "templates",
}
BODIES = {
    **{f"GET {path}": Bodies(NOTHING, pages=key) for path, key in PAGED.items()},
    **{f"GET {path}": Bodies(many(NOTHING), unpaged=True) for path in BARE},
    **{f"GET {path}": Bodies(answer({key: many(NOTHING)}), unpaged=True) for path, key in WRAPPED.items()},
    "GET supplemental-signals": Bodies(answer({"akamai_enabled": switch()})),
    "GET organizations": Bodies(NOTHING, pages="organizations"),
    "GET organizations/{organization_id}": Bodies(NOTHING),
    "GET custom-domains": Bodies(NOTHING, pages="custom_domains"),
    "GET rules": Bodies(NOTHING, pages="rules"),
    "GET actions/actions": Bodies(
        answer({"actions": many(NOTHING), "total": whole(), "page": whole(), "per_page": whole()}), unpaged=True
    ),
    "GET emails/provider": Bodies(NOTHING, also=(404,)),
    "POST emails/provider": Bodies(NOTHING, mapping()),
    "PATCH emails/provider": Bodies(NOTHING, mapping()),
    "DELETE emails/provider": Bodies(NOTHING),
    "GET branding/templates/universal-login": Bodies(NOTHING, also=(404,)),
    "GET branding/themes/default": Bodies(NOTHING, also=(404,)),
}
