"""What a person may use, on their page: groups with where each came from, roles, assignments; and the act that changes them."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from django import forms
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html_join

from idp.admin.fields import TicksField
from idp.admin.support import AdminAct, actor_of
from idp.directory import entitlements, memberships, roles
from idp.models import AccessMode, Application, Group, Membership, Role, User
from idp.protocol.text.bidi import isolated
from idp.tenants import configuration

ACCESS_FIELDS = ("in_groups", "has_roles", "assigned_to")
MOST_SHOWN = 200
NONE = "None."


def shown_groups(user: User) -> str:
    rows = Membership.objects.filter(Q(user=user) | Q(identity__user=user)).order_by("group__name", "pk")
    found = rows.select_related("group__connection")
    lines = [f"{isolated(str(row.group))}: said by {row.get_source_display()}" for row in found[: MOST_SHOWN + 1]]
    return _list(lines, found.count())


def shown_roles(user: User) -> str:
    own = set(user.roles.values_list("pk", flat=True))
    has = entitlements.roles_of(user, configuration.current())
    return _list([f"{isolated(str(role))}{'' if role.pk in own else ': by a group'}" for role in has], len(has))


def shown_assignments(user: User) -> str:
    names = list(Application.objects.filter(assignments__user=user).values_list("name", flat=True))
    return _list([isolated(name) for name in names], len(names))


def _list(lines: list[str], count: int) -> str:
    if not lines:
        return NONE
    more = [f"and {count - MOST_SHOWN} more"] if count > MOST_SHOWN else []
    return format_html_join("", "<div>{}</div>", ((line,) for line in [*islice(lines, MOST_SHOWN), *more]))


class AccessForm(forms.Form):
    """What administrators say; what connections say stays."""

    groups = TicksField(label="Our own groups", help_text="Groups of connections are theirs to say.")
    roles = TicksField(label="Roles")
    applications = TicksField(label="Assigned to", help_text="Applications that are for assigned people only.")

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self.user = user
        for name, rows in _offered().items():
            self.fields[name].choices = [(str(row.pk), str(row)) for row in rows]  # type: ignore[attr-defined]
        self.initial = {name: [str(pk) for pk in pks] for name, pks in _has(user).items()}

    def chosen(self, name: str) -> set[int]:
        return {int(pk) for pk in self.cleaned_data[name]}


def _offered() -> dict[str, Any]:
    return {
        "groups": Group.objects.filter(connection=None),
        "roles": Role.objects.all(),
        "applications": Application.objects.filter(access_mode=AccessMode.ASSIGNED),
    }


def _has(user: User) -> dict[str, set[int]]:
    groups = Membership.objects.filter(user=user, group__connection=None)
    return {
        "groups": set(groups.values_list("group", flat=True)),
        "roles": set(user.roles.values_list("pk", flat=True)),
        "applications": set(user.assignments.values_list("application", flat=True)),
    }


ACTS = {
    "groups": (memberships.add_person, memberships.remove_person),
    "roles": (roles.give, roles.take),
    "applications": (roles.assign, roles.unassign),
}


def do_change(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    assert isinstance(form, AccessForm)  # noqa: S101  the act declares it
    has, changed = _has(user), 0
    for name, rows in _offered().items():
        give, take = ACTS[name]
        for row in rows:
            if (row.pk in form.chosen(name)) != (row.pk in has[name]):
                act = take if row.pk in has[name] else give
                changed += act(row, user, actor=actor_of(request), at=at)  # type: ignore[operator]
    return f"{changed} change{'s' * (changed != 1)} of what {user} may use."


def explain(user: User) -> list[str]:
    return [
        f"What {user} may use, as far as administrators say it. It holds at once, for the next token of every application.",
        "Who loses access to an application is refused there, and signed out of it where the application wants that.",
    ]


ACCESS = AdminAct("access", "Groups and roles", explain, do_change, form=AccessForm)
