"""What Auth0's tools ask for and is not here: truthful answers that there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from logout_app.api.frame import paging
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import CHECKPOINTS, FIELDS, PAGES, Call, Operation

EVERY = (*PAGES, *CHECKPOINTS, *FIELDS)
MAIL_SERVER = (
    "The server for mails is an environment setting here (CURFEW_EMAIL_URL): whoever runs the server changes it"
)
# What Auth0's SDKs may choose by, in one list or another: of nothing it chooses nothing.
CHOOSING = ("hydrate", "name", "enabled", "triggerId", "synchronous", "disabled")


def _none(key: str) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        return {key: []} if call.query.has("take") else paging.of_list(call, [], key)

    return answer


def _no_actions(call: Call) -> Any:
    return {"actions": [], "total": 0, "page": 0, "per_page": paging.USUAL}


def _missing(message: str, code: str = "") -> Callable[..., Any]:
    def answer(call: Call, **ids: str) -> Any:
        raise ApiError(404, message, code)

    return answer


def _refused(message: str) -> Callable[..., Any]:
    def answer(call: Call) -> Any:
        raise ApiError(400, message, "operation_not_supported")

    return answer


def _always(answer: Any) -> Callable[..., Any]:
    def same(call: Call) -> Any:
        return answer

    return same


def _empty(path: str, key: str, *, bare: bool = False) -> Operation:
    """`bare`: at Auth0 it is a list, whatever pages were asked for."""
    handler = _always([]) if bare else _none(key)
    return Operation("GET", path, ["read:tenant_settings"], handler, "Empty.", query=(*EVERY, *CHOOSING))


def _no_wrapped(path: str, key: str) -> Operation:
    """Lists that Auth0 never answers bare."""
    return Operation("GET", path, ["read:tenant_settings"], _always({key: []}), "Empty.", query=(*EVERY, *CHOOSING))


LISTS = (
    _empty("hooks", "hooks"),
    _empty("rules-configs", "rules_configs", bare=True),
    _empty("forms", "forms"),
    _empty("flows", "flows"),
    _empty("flows/vault/connections", "connections"),
    _empty("self-service-profiles", "self_service_profiles"),
    _empty("guardian/factors", "factors", bare=True),
    _empty("guardian/policies", "policies", bare=True),
    _no_wrapped("actions/triggers", "triggers"),
    _no_wrapped("actions/modules", "modules"),
    _no_wrapped("connection-profiles", "connection_profiles"),
    _no_wrapped("connections-directory-provisionings", "directory_provisionings"),
    _no_wrapped("user-attribute-profiles", "user_attribute_profiles"),
    _no_wrapped("token-exchange-profiles", "token_exchange_profiles"),
    _no_wrapped("network-acls", "network_acls"),
    _no_wrapped("branding/phone/providers", "providers"),
    _no_wrapped("branding/phone/templates", "templates"),
)
OPERATIONS = (
    Operation("GET", "organizations", ["read:organizations"], _none("organizations"), "Empty.", query=(*EVERY, "sort")),
    Operation("GET", "organizations/<str:organization_id>", ["read:organizations"],
              _missing("No organization found by that id or name"), "404."),
    Operation("GET", "custom-domains", ["read:custom_domains"], _none("custom_domains"), "Empty.", query=(*EVERY, "q", "sort")),
    Operation("GET", "rules", ["read:tenant_settings"], _none("rules"), "Empty.", query=(*EVERY, "enabled")),
    Operation("GET", "actions/actions", ["read:tenant_settings"], _no_actions,
              "Empty.", query=(*PAGES, "triggerId", "actionName", "deployed", "installed")),
    Operation("GET", "emails/provider", ["read:tenant_settings"],
              _missing("There is not a configured email provider", "inexistent_email_provider"),
              "404: the server for mails is an environment setting.", query=FIELDS),
    Operation("POST", "emails/provider", ["update:tenant_settings"], _refused(MAIL_SERVER), "Refused: it is an environment setting."),
    Operation("PATCH", "emails/provider", ["update:tenant_settings"], _refused(MAIL_SERVER), "Refused: it is an environment setting."),
    Operation("DELETE", "emails/provider", ["update:tenant_settings"], _refused(MAIL_SERVER), "Refused: it is an environment setting."),
    Operation("GET", "branding/templates/universal-login", ["read:branding"],
              _missing("The universal login template does not exist", "inexistent_templates_universal_login"), "404."),
    Operation("GET", "supplemental-signals", ["read:attack_protection"], _always({"akamai_enabled": False}), "None."),
    *LISTS,
    Operation("GET", "branding/themes/default", ["read:branding"], _missing("Theme not found", "theme_not_found"), "404."),
)  # fmt: skip
