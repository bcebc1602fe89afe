"""*Role in this console* on a person's page: what somebody may do here, given by superusers only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.text import capfirst

from idp.admin.support import AdminAct, actor_of
from idp.http.requests import facts
from idp.models import User
from idp.people import console_roles

SUPERUSER = "Superusers"
CHOICES = (
    *((role.group, f"{role.group}: {role.meaning}.") for role in console_roles.ROLES),
    (
        SUPERUSER,
        f"{SUPERUSER}: everything, also giving roles, passwords, keys of applications and lifetimes of sessions.",
    ),
)


class ConsoleRoleForm(forms.Form):
    roles = forms.MultipleChoiceField(
        label="Role",
        choices=CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Without any the console is closed to them.",
    )

    def __init__(self, user: User, data: Any = None) -> None:
        own = [SUPERUSER] if user.is_superuser else []
        super().__init__(data, initial={"roles": [*(role.group for role in console_roles.of(user)), *own]})


def shown(user: User) -> str:
    """For the person's page."""
    held = [f"{role.group}: {role.meaning}" for role in console_roles.of(user)]
    if user.is_superuser:
        return "Superuser: everything."
    other = "" if held or not user.is_staff else "No role, but raw permissions."
    return ". ".join(map(capfirst, held)) + "." if held else other or "No role: it is closed to them."


def explain(user: User) -> list[str]:
    return [
        f"What {user} may do in this console. It holds at once, also where they are signed in.",
        "Passwords, addresses and second factors of people with a role are changed by superusers only.",
        f"Now: {shown(user)}",
    ]


def do_give(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    assert form is not None  # noqa: S101  the act declares it
    if user == request.user:
        return "Nothing was changed: somebody else must change your own role."
    chosen = set(form.cleaned_data["roles"])
    found = console_roles.give(
        user,
        chosen - {SUPERUSER},
        superuser=SUPERUSER in chosen,
        actor=actor_of(request),
        at=at,
        facts=facts(request),
    )
    return "; ".join(map(str, found)) + "." if found else "Nothing was changed."


CONSOLE_ROLE = AdminAct("console-role", "Role in this console", explain, do_give, form=ConsoleRoleForm)
