"""`manage.py export`: what is configured, as a tenant file that makes the same of an empty Curfew.

Secrets are references to the environment. People are no part of it, nor are applications that registered themselves and groups
of connections, which come again by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from idp.models import (
    Application,
    ClientGrant,
    Connection,
    Group,
    Provisioning,
    ResourceServer,
    Role,
    TenantSettings,
)
from idp.tenants import configuration
from idp.tenants.file import exported_client, sections
from idp.tenants.file.references import SecretNames

_TENANT = (  # settings that the file calls by the same name
    *("friendly_name", "picture_url", "support_email", "support_url", "accent_color", "default_language"),
    "allowed_logout_urls",
    *("picture_url_dark", "favicon_url", "background_color", "background_color_dark", "privacy_url", "imprint_url"),
    *("texts", "mail_templates"),
    *("session_lifetime_in_minutes", "idle_session_lifetime_in_minutes", "max_sessions_per_user"),
    *("oidc_logout_prompt_enabled", "v2_logout_confirmation", "require_mfa", "require_mfa_groups"),
    "remember_second_factor_days",
    *("session_management", "profile", "require_pkce", "require_pushed_authorization_requests"),
    *("dynamic_client_registration", "sign_out_timeout", "password_change_ends_other_sessions", "security_mails"),
    *("history_retention_days", "legal_hold"),
)
_API = (
    "identifier",
    "name",
    "token_lifetime",
    "token_dialect",
    "signing_alg",
    "allow_offline_access",
    "enforce_policies",
)


class _Dumper(yaml.SafeDumper):
    """No anchors: what is the same in two places may be changed in one."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_multi_representer(str, lambda dumper, choice: dumper.represent_str(str(choice)))  # of a TextChoices


def document(secrets: SecretNames) -> dict[str, Any]:
    """The file's sections, with rows in the order of their names so that two exports can be compared."""
    clients = Application.objects.filter(registration=None).order_by("name", "client_id")
    connections = Connection.objects.order_by("name")
    return {
        "tenant": _tenant(configuration.load_tenant()),
        "clients": [exported_client.entry(row, secrets) for row in clients],
        "connections": [_connection(row, secrets) for row in connections],
        "resourceServers": [_api(row) for row in ResourceServer.objects.filter(is_system=False)],
        "groups": [{"name": row.name, "description": row.description} for row in Group.objects.filter(connection=None)],
        "roles": [_role(row) for row in Role.objects.order_by("name")],
        "clientGrants": list(_grants()),
        **{section.key: section.export(secrets) for section in sections.from_above()},
    }


def text(secrets: SecretNames) -> str:
    return yaml.dump(document(secrets), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _tenant(row: TenantSettings) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in _TENANT}
    return found | {"session_cookie": {"mode": "persistent" if row.persistent_session_cookie else "non-persistent"}}


def _connection(row: Connection, secrets: SecretNames) -> dict[str, Any]:
    options = dict(row.options)
    options |= {"icon_url": row.icon_url} if row.icon_url else {}
    options |= {name: secrets.reference("connection", row.name, name) for name in sorted(row.sealed_options)}
    found = {
        "name": row.name,
        "strategy": row.strategy,
        "display_name": row.display_name,
        "enabled": row.enabled,
        "options": dict(sorted(options.items())),
    }
    if not row.enabled_for_all:
        found["enabled_clients"] = _ids(row.enabled_clients)
    provisioning = Provisioning.objects.filter(connection=row).first()
    return found | ({"provisioning": _provisioning(provisioning)} if provisioning else {})


def _provisioning(row: Provisioning) -> dict[str, Any]:
    return {
        "enabled": row.enabled,
        "sign_in_by": row.sign_in_by,
        "required_group": row.required_group,
        "only_provisioned": row.only_provisioned,
        "applications": _ids(row.applications),
    }


def _ids(applications: Any) -> list[str]:
    rows = applications.filter(registration=None).order_by("client_id")
    return list(rows.values_list("client_id", flat=True))


def _api(row: ResourceServer) -> dict[str, Any]:
    scopes = [{key: scope[key] for key in ("value", "description") if scope.get(key)} for scope in row.scopes]
    return {name: getattr(row, name) for name in _API} | {"scopes": scopes}


def _role(row: Role) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("name", "description", "permissions", "groups")}


def _grants() -> Iterator[dict[str, Any]]:
    rows = ClientGrant.objects.filter(application__registration=None).select_related("application", "resource_server")
    for row in rows.order_by("application__client_id", "resource_server__identifier"):
        audience = row.resource_server.identifier
        yield {"client_id": row.application.client_id, "audience": audience, "scope": row.scope}
