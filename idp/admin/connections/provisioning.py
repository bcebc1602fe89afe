"""Provisioning on a connection's page: on and off, how, and its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from idp.admin.support import AdminAct, actor_of
from idp.connections.places import BUSY, turn
from idp.http.requests import facts
from idp.models import Application, Connection, ProvisionedUser, Provisioning, SignInBy, Strategy
from idp.protocol.grant_types import CLIENT_CREDENTIALS
from idp.scim import applications, standing, tokens
from idp.scim.context import SCOPES, Writer

TEST, TEST_LABEL = "test-provisioning", "Test provisioning"
LIFETIMES = (("", "until it is removed"), ("2592000", "30 days"), ("7776000", "90 days"), ("31536000", "a year"))


class TokenForm(forms.Form):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=list(SCOPES),
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
    )
    lifetime = forms.ChoiceField(choices=LIFETIMES, required=False, label="How long it lives")

    def __init__(self, connection: Connection, data: Any = None) -> None:
        super().__init__(data)


class RemoveForm(forms.Form):
    token = forms.ChoiceField(label="Token", widget=forms.RadioSelect)

    def __init__(self, connection: Connection, data: Any = None) -> None:
        super().__init__(data)
        rows = connection.provisioning.tokens.order_by("pk")
        self.fields["token"].choices = [(row.token_id, described(row)) for row in rows]  # type: ignore[attr-defined]


class TestForm(forms.Form):
    token = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=(
            "To try one as its identity provider does; it is not kept. "
            "Without it, each token and application is asked for what it may read."
        ),
    )

    def __init__(self, connection: Connection, data: Any = None) -> None:
        super().__init__(data)


class HowForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Provisioning
        fields = ("sign_in_by", "required_group", "only_provisioned", "applications")

    def __init__(self, connection: Connection, data: Any = None) -> None:
        row = of(connection)
        super().__init__(data, instance=row)
        machines = Application.objects.filter(enabled=True, grant_types__icontains=CLIENT_CREDENTIALS)
        self.fields["applications"].queryset = machines  # type: ignore[attr-defined]
        self.fields["applications"].required = False
        self.fields["sign_in_by"].choices = SignInBy.choices  # type: ignore[attr-defined]


def of(connection: Connection) -> Provisioning | None:
    return Provisioning.objects.filter(connection=connection).first()


def is_on(connection: Connection) -> bool:
    row = of(connection)
    return row is not None and row.enabled


def can_be_switched_on(connection: Connection) -> bool:
    return connection.strategy != Strategy.DATABASE and not is_on(connection)


def described(row: Any) -> str:
    ends = f"until {row.valid_until:%Y-%m-%d %H:%M}" if row.valid_until else "without end"
    used = f"last used {row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never used"
    return f"{row.token_id}, {ends}, {used}, {len(row.scopes)} of {len(SCOPES)} scopes"


def do_on(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    tokens.switch_on(connection, actor=actor_of(request), at=at, facts=facts(request))
    return f"{connection} can be provisioned now. Make a token for its identity provider."


def do_off(request: HttpRequest, connection: Connection, at: datetime, form: forms.Form | None) -> str:
    tokens.switch_off(connection.provisioning, actor=actor_of(request), at=at, facts=facts(request))
    return f"Nobody provisions {connection} any more."


def do_how(request: HttpRequest, connection: Connection, at: datetime, form: Any) -> str:
    row = form.save()
    row.connection = connection
    if form.changed_data:
        tokens.tell(
            connection, "how it is provisioned", "", ", ".join(form.changed_data), actor_of(request), at, facts(request)
        )
    changed = 0
    if "required_group" in form.changed_data:
        changed = standing.settle_all(row, Writer(row, actor_of(request), frozenset(), facts(request), at))
    people = "1 person" if changed == 1 else f"{changed} people"
    return f"Saved. It changed for {people} whether they may be in." if changed else "Saved."


def do_remove(request: HttpRequest, connection: Connection, at: datetime, form: Any) -> str:
    row = connection.provisioning.tokens.select_related("provisioning__connection").get(
        token_id=form.cleaned_data["token"]
    )
    tokens.remove(row, actor=actor_of(request), at=at, facts=facts(request))
    return f"The token {row.token_id} opens nothing any more."


ON = AdminAct(
    "provision",
    "Turn on provisioning",
    lambda connection: [
        f"The identity provider of {connection} makes, changes and deactivates people here by SCIM 2.0.",
        "Whoever it deactivates is signed out of everything at once.",
        "What it says of people cannot be changed here any more.",
    ],
    do_on,
    offered=can_be_switched_on,
)
OFF = AdminAct(
    "provision-off",
    "Turn off provisioning",
    lambda _: [
        "Its tokens open nothing while it is off.",
        "Everybody stays as they are: whoever was deactivated stays out.",
    ],
    do_off,
    offered=is_on,
)
HOW = AdminAct(
    "provision-how",
    "How it is provisioned",
    lambda _: [
        "With a required group everybody who is provisioned and not in it is signed out of everything at once, and cannot sign in.",
    ],
    do_how,
    offered=is_on,
    form=HowForm,  # type: ignore[arg-type]
)
REMOVE = AdminAct(
    "provision-remove-token",
    "Remove a provisioning token",
    lambda _: ["Whoever holds it can write nothing any more, at once."],
    do_remove,
    offered=lambda connection: is_on(connection) and connection.provisioning.tokens.exists(),
    form=RemoveForm,
)


def new_token(page: Any) -> AdminAct:
    """`page`: the admin of connections, whose frame the answer has."""

    def do(request: HttpRequest, connection: Connection, at: datetime, form: Any) -> HttpResponse | str:
        lifetime = form.cleaned_data["lifetime"]
        try:
            made = tokens.create(
                connection.provisioning,
                actor=actor_of(request),
                at=at,
                scopes=form.cleaned_data["scopes"],
                lifetime=int(lifetime) if lifetime else None,
                facts=facts(request),
            )
        except tokens.CannotProvision as refused:  # somebody else made one meanwhile
            return str(refused)
        context = {
            **page.admin_site.each_context(request),
            "title": "A new provisioning token",
            "opts": page.opts,
            "object": connection,
            "object_url": page.object_url(connection),
            "base": applications.base_url(connection),
            "token": made.raw,
        }
        return TemplateResponse(request, "admin/idp/connection/provisioning_token.html", context)

    return AdminAct(
        "provision-token",
        "New provisioning token",
        lambda _: ["It is shown once, on the next page. A connection has two at most."],
        do,
        offered=lambda connection: is_on(connection) and has_room(connection),
        form=TokenForm,
    )


def test(page: Any) -> AdminAct:
    def do(request: HttpRequest, connection: Connection, at: datetime, form: Any) -> HttpResponse:
        with turn(BUSY):
            from idp.scim import check  # the library of SCIM is a second of CPU, which no other process needs

            findings = check.check(connection.provisioning, form.cleaned_data["token"].strip(), facts(request), at)
        context = {
            **page.admin_site.each_context(request),
            "title": TEST_LABEL,
            "opts": page.opts,
            "object": connection,
            "object_url": page.object_url(connection),
            "findings": findings,
        }
        return TemplateResponse(request, "admin/idp/connection/test.html", context)

    return AdminAct(
        TEST,
        TEST_LABEL,
        lambda connection: [
            f"What an identity provider asks first is asked at the address of {connection}: what Curfew can do, a list of people, "
            "somebody by name.",
            "Nothing is written.",
        ],
        do,
        offered=is_on,
        danger=False,
        form=TestForm,
    )


def has_room(connection: Connection) -> bool:
    living = connection.provisioning.tokens.filter(tokens.alive(timezone.now()))
    return bool(living.count() < tokens.MOST_TOKENS)


def acts(page: Any) -> Sequence[AdminAct]:
    return (ON, test(page), HOW, new_token(page), REMOVE, OFF)


NAMES = ("provision", "provision-off", "provision-how", "provision-token", "provision-remove-token")


def shown(connection: Connection) -> dict[str, Any]:
    """The panel; empty where nobody can be provisioned."""
    if connection.strategy == Strategy.DATABASE:
        return {}
    row = of(connection)
    if row is None:
        return {"never": True}
    people = ProvisionedUser.objects.filter(connection=connection, deleted_at=None)
    return {
        "enabled": row.enabled,
        "base": applications.base_url(connection),
        "sign_in_by": row.get_sign_in_by_display(),
        "required_group": row.required_group,
        "only_provisioned": row.only_provisioned,
        "people": people.count(),
        "out": people.filter(is_blocked=True).count(),
        "tokens": [described(token) for token in row.tokens.order_by("pk")],
        "applications": [str(application) for application in row.applications.all()],
        "last_request_at": row.last_request_at,
    }
