"""The admin's navigation: by what people come to do, not by which app keeps the table.

Tables are named by label, as the apps above are only names here. What no task names is *Internals* to a superuser, and *More* to
those who were given a permission for it; tables of the machinery nobody else is shown (`StrictAdmin`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

# Task, and what belongs to it: `app.model`, or the name of a page of the admin. The first that may be seen is where it leads.
TASKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "People",
        (
            "idp.user",
            "idp.invitation",
            "idp.identity",
            "idp.group",
            "idp.role",
            "mfa.authenticator",
            "sessions_app.consent",
            "auth.group",
        ),
    ),
    ("Applications", ("idp.application", "idp.resourceserver", "idp.clientgrant", "api_reference")),
    ("Connections", ("idp.connection", "logout_app.revocationrequest")),
    ("Sessions", ("sessions_app.ssosession", "sessions_app.refreshtokenfamily")),
    ("Sign-outs", ("evidence", "logout_app.logoutevent", "logout_app.logoutdelivery")),
    ("Audit", ("sessions_app.sessionevent", "logout_app.outgoingstream", "logout_app.webhook")),
    (
        "Settings",
        (
            "idp.tenantsettings",
            "texts",
            "mails",
            "mail_test",
            "idp.signingkey",
            "idp.samlkey",
            "logout_app.drainreport",
        ),
    ),
)
# Where a table's own name is a programmer's.
NAMES = {
    "idp.user": "people",
    "idp.group": "groups",
    "auth.group": "groups of administrators",
    "mfa.authenticator": "second factors",
    "sessions_app.ssosession": "sessions",
    "sessions_app.refreshtokenfamily": "refresh tokens",
    "sessions_app.sessionevent": "audit trail",
    "logout_app.logoutevent": "ends",
    "logout_app.logoutdelivery": "deliveries",
    "logout_app.revocationrequest": "revocation requests",
    "logout_app.deliverytally": "delivery tallies",
    "logout_app.drainreport": "workers",
}
NAMED = frozenset(label for _, labels in TASKS for label in labels)
OVERVIEW, INTERNALS, MORE = "Overview", "Internals", "More"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of one's own beside the tables: `view` is wrapped by the site, `permissions` decide who is shown the way."""

    name: str
    title: str
    path: str
    view: Any
    permissions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TaskPlace:
    name: str
    url: str
    here: bool


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    url: str
    here: bool
    places: Sequence[TaskPlace] = ()


def tasks(apps: Iterable[Mapping[str, Any]], pages: Iterable[Page], user: Any, path: str) -> list[Task]:
    """`apps` as Django's `get_app_list` gives them: only what this person may see. `path` is where they are."""
    tables = {f"{app['app_label']}.{model['object_name'].lower()}": model for app in apps for model in app["models"]}
    places = {label: _place(label, model, path) for label, model in tables.items() if model.get("admin_url")}
    places |= {page.name: _page(page, path) for page in pages if page.title and user.has_perms(page.permissions)}
    found = [_task(name, [places[label] for label in labels if label in places]) for name, labels in TASKS]
    others = [place for label, place in places.items() if label in tables and label not in NAMED]
    found.append(_task(INTERNALS if user.is_superuser else MORE, others))
    home = reverse("admin:index")
    return [Task(OVERVIEW, home, path == home), *(task for task in found if task.places)]


def _task(name: str, places: Sequence[TaskPlace]) -> Task:
    return Task(name, places[0].url if places else "", any(place.here for place in places), places)


def called(label: str, plural: str) -> str:
    """A table's name for people: `label` as `app.model` in lower case, `plural` as Django names it."""
    return NAMES.get(label, plural)


def _place(label: str, model: Mapping[str, Any], path: str) -> TaskPlace:
    url = model["admin_url"]
    return TaskPlace(called(label, str(model["name"])), url, path.startswith(url))


def _page(page: Page, path: str) -> TaskPlace:
    url = reverse(f"admin:{page.name}")
    return TaskPlace(page.title, url, path.startswith(url))
