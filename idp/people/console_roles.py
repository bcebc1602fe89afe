"""Roles of administrators: what each may do in the console, as groups of Django's auth that every `migrate` brings up to date.

A role is permissions and nothing else, so whatever asks for a permission knows of roles. Apps above are names here. What no role
has (accounts' addresses and passwords, groups and roles of people, keys of applications, whoever opens this console) is a
superuser's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from idp import signals
from idp.http.requests import RequestFacts
from idp.models import User
from idp.tenants import changes
from idp.tenants.changes import Difference

# Acts on rows by those who may not edit them: ending a session is no change of what a person is called.
OPERATED = (
    *("idp.user", "idp.connection", "idp.application", "idp.invitation"),
    *("sessions_app.ssosession", "sessions_app.refreshtokenfamily", "logout_app.logoutdelivery"),
    *("logout_app.outgoingstream", "logout_app.webhook"),
)


@dataclass(frozen=True, slots=True)
class ConsoleRole:
    """`group` is the name of its group, `permissions` are written `app.codename`."""

    group: str
    meaning: str
    permissions: frozenset[str]


def _may(acts: str, *labels: str) -> frozenset[str]:
    """`view` and so on, of tables named `app.model`."""
    pairs = (label.split(".") for label in labels)
    return frozenset(f"{app}.{act}_{model}" for app, model in pairs for act in acts.split())


PEOPLE = (
    *("idp.user", "idp.identity", "idp.group", "idp.role", "idp.invitation"),
    *("mfa.authenticator", "sessions_app.consent"),
)
TRUST = ("idp.application", "idp.resourceserver", "idp.connection", "logout_app.revocationrequest")
SESSIONS = ("sessions_app.ssosession", "sessions_app.refreshtokenfamily")
ENDS = ("logout_app.logoutevent", "logout_app.logoutdelivery", "logout_app.drainreport")
STREAMS = ("logout_app.outgoingstream", "logout_app.webhook")
TRAIL, TENANT = "sessions_app.sessionevent", "idp.tenantsettings"
KEYS = ("idp.signingkey", "idp.samlkey")

OPERATOR = ConsoleRole(
    "Operators",
    "end sessions, block, reset second factors, send reset mails, invite and deliver again",
    _may("view", *PEOPLE, *TRUST, *SESSIONS, *ENDS, *STREAMS, TRAIL)
    | _may("operate", *OPERATED)
    | _may("add", "idp.invitation"),
)
CONFIGURATOR = ConsoleRole(
    "Configurators",
    "register and change applications, APIs, connections and how this looks; see no people",
    _may("view", *TRUST, TENANT, *KEYS)
    | _may("add change delete", "idp.application", "idp.resourceserver", "idp.connection")
    | _may("change", TENANT),
)
AUDITOR = ConsoleRole(
    "Auditors",
    "read everything but secrets, change nothing",
    _may("view", *PEOPLE, *TRUST, *SESSIONS, *ENDS, *STREAMS, TRAIL, TENANT, *KEYS),
)
ROLES = (OPERATOR, CONFIGURATOR, AUDITOR)
GROUPS = frozenset(role.group for role in ROLES)


@receiver(post_migrate, dispatch_uid="the console's roles")
def _bring_up_to_date(app_config: AppConfig, using: str, **_: Any) -> None:
    """Of each app that roles are about: its own permissions are made first, as whose receiver runs earlier is chance."""
    label = app_config.label
    wanted = {role: _codenames(role, label) for role in ROLES}
    if not any(wanted.values()):
        return
    create_permissions(app_config, verbosity=0, using=using)
    _make_operating(label, using)
    rows = {row.codename: row for row in Permission.objects.using(using).filter(content_type__app_label=label)}
    for role, codenames in wanted.items():
        group = Group.objects.using(using).get_or_create(name=role.group)[0]
        held = set(group.permissions.filter(content_type__app_label=label).values_list("codename", flat=True))
        group.permissions.add(*(rows[name] for name in codenames - held))
        group.permissions.remove(*(rows[name] for name in held - codenames))


def _codenames(role: ConsoleRole, app_label: str) -> set[str]:
    pairs = (permission.split(".") for permission in role.permissions)
    return {codename for app, codename in pairs if app == app_label}


def _make_operating(app_label: str, using: str) -> None:
    for label in OPERATED:
        app, name = label.split(".")
        if app == app_label:
            model = apps.get_model(label)
            kind = ContentType.objects.db_manager(using).get_for_model(model, for_concrete_model=False)
            words = {"name": f"Can act on {model._meta.verbose_name}"}
            Permission.objects.using(using).get_or_create(content_type=kind, codename=f"operate_{name}", defaults=words)


# --- who has which ---------------------------------------------------------------------------------------------------------
def of(user: User) -> list[ConsoleRole]:
    names = set(user.groups.filter(name__in=GROUPS).values_list("name", flat=True))
    return [role for role in ROLES if role.group in names]


def powers(user: User) -> dict[str, Any]:
    """Everything that opens something here for this person, as stored now."""
    row = User.objects.get(pk=user.pk)
    own = row.user_permissions.values_list("content_type__app_label", "codename")
    return {
        "opens this console": row.is_staff,
        "superuser": row.is_superuser,
        "roles and groups of administrators": sorted(row.groups.values_list("name", flat=True)),
        "raw permissions": sorted(".".join(pair) for pair in own),
    }


def give(
    user: User, roles: Collection[str], *, superuser: bool, actor: str, at: datetime, facts: RequestFacts | None = None
) -> list[Difference]:
    """Exactly these roles, by the names of their groups. Other groups and permissions stay; without any the console is closed."""
    with transaction.atomic():
        row = User.objects.select_for_update().get(pk=user.pk)
        before = powers(row)
        row.groups.remove(*Group.objects.filter(name__in=GROUPS - set(roles)))
        row.groups.add(*Group.objects.filter(name__in=GROUPS & set(roles)))
        others = row.groups.exclude(name__in=GROUPS).exists() or row.user_permissions.exists()
        row.is_superuser, row.is_staff = superuser, superuser or bool(roles) or (others and row.is_staff)
        row.save(update_fields=["is_superuser", "is_staff", "updated_at"])
        return tell(row, before, actor=actor, at=at, facts=facts)


def tell(
    user: User, before: dict[str, Any], *, actor: str, at: datetime, facts: RequestFacts | None = None
) -> list[Difference]:
    """The audit trail hears what somebody may do now that they might not before, in the transaction of the change."""
    found = list(_differences(before, powers(user)))
    if found:
        rows = changes.rows(found)
        signals.powers_changed.send(User, user=user, changes=rows, actor=actor, at=at, facts=facts)
    return found


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    for what, value in after.items():
        if before[what] != value:
            yield Difference(what, _shown(before[what]), _shown(value))


def _shown(value: bool | Iterable[str]) -> str:
    return changes.shown(value if isinstance(value, bool) else ", ".join(value))
