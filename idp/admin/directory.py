"""Groups of people and roles in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from idp.admin.fields import GroupsField
from idp.admin.support import ActsAdmin, FactsInline, StrictAdmin, actor_of
from idp.directory import memberships, roles, rules
from idp.http.requests import facts
from idp.models import Group, Membership, ResourceServer, Role

if TYPE_CHECKING:
    RoleForm = forms.ModelForm[Role]
    GroupForm = forms.ModelForm[Group]
else:
    RoleForm = GroupForm = forms.ModelForm

MOST_SHOWN = 100


class MembersInline(FactsInline):
    model = Membership
    fields = ("who", "source", "since")
    readonly_fields = fields
    verbose_name_plural = f"Who is in it (the first {MOST_SHOWN})"

    @admin.display(description="person")
    def who(self, obj: Membership) -> str:
        return str(obj.user or (obj.identity and obj.identity.user))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset(request)
        group = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        first = Membership.objects.filter(group=group).order_by("pk").values_list("pk", flat=True)[:MOST_SHOWN]
        return rows.filter(pk__in=list(first)).select_related("user", "identity__user")


class GroupAdminForm(GroupForm):
    class Meta:
        model = Group
        fields = ("name", "description")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = Group.objects.filter(connection=self.instance.connection_id, name=name).exclude(pk=self.instance.pk)
        if others.exists():
            raise ValidationError("There is a group with this name already.")
        return name


@admin.register(Group)
class GroupAdmin(ActsAdmin):
    """Groups that are added here are our own: people are put into them on their pages. Those of connections come by themselves."""

    form = GroupAdminForm
    tells_itself = frozenset({"delete"})
    empty = "None. Groups of connections appear when somebody who is in one signs in; add one of our own here."
    list_display = ("name", "source", "members", "description")
    list_filter = ("connection",)
    list_select_related = ("connection",)
    search_fields = ("name", "description")
    inlines: ClassVar[Any] = (MembersInline,)
    actions = None

    @admin.display(description="from", ordering="connection__name")
    def source(self, obj: Group) -> str:
        return str(obj.connection) if obj.connection else "ours"

    @admin.display(description="memberships")
    def members(self, obj: Any) -> int:
        return int(obj.members)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        rows: QuerySet[Group] = super().get_queryset(request)
        return rows.annotate(members=Count("memberships"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name",) if obj else ()  # applications and roles name it

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        memberships.delete_group(obj, actor=actor_of(request), at=timezone.now())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        groups = list(objs)
        lines = [f"{group}: {group.memberships.count()} memberships end, and what they allow" for group in groups]
        return lines, {"groups": len(groups)}, set(), []


class RoleAdminForm(RoleForm):
    permissions = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "class": "lines", "spellcheck": "false"}),
        help_text="One per line: the API's identifier, a space, the scope: https://api.example.com/ read:things.",
    )
    groups = GroupsField(
        help_text='One per line: everybody in it has the role. By name, or {"connection": "acme-okta", "name": "staff"}.'
    )

    class Meta:
        model = Role
        fields = ("name", "description", "permissions", "groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["permissions"] = "\n".join(
            " ".join(permission[key] for key in rules.PERMISSION) for permission in self.instance.permissions
        )

    def clean_permissions(self) -> list[dict[str, str]]:
        scopes = {api.identifier: api.scope_values for api in ResourceServer.objects.all()}
        found: list[dict[str, str]] = []
        for line in self.cleaned_data["permissions"].splitlines():
            identifier, _, name = line.strip().rpartition(" ")
            if not line.strip():
                continue
            if identifier.strip() not in scopes:
                raise ValidationError(f"{line.strip()}: there is no API {identifier.strip() or name}.")
            if name not in scopes[identifier.strip()]:
                raise ValidationError(f"{line.strip()}: the API has no scope {name}.")
            found.append(dict(zip(rules.PERMISSION, (identifier.strip(), name), strict=True)))
        return found


class RolePeopleInline(FactsInline):
    model = Role.people.through
    fields = ("user",)
    readonly_fields = fields
    verbose_name_plural = f"Who has it by themselves (the first {MOST_SHOWN})"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        role = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        first = rows.filter(role=role).order_by("pk").values_list("pk", flat=True)[:MOST_SHOWN]
        return rows.filter(pk__in=list(first)).select_related("user")


@admin.register(Role)
class RoleAdmin(StrictAdmin):
    form = RoleAdminForm
    tells_itself = frozenset({"add", "change", "delete"})
    empty = "None. A role has permissions of APIs, and a name that applications read; people get it on their pages."
    list_display = ("name", "description", "allows")
    search_fields = ("name", "description")
    inlines: ClassVar[Any] = (RolePeopleInline,)
    actions = None

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found = list(objs)
        lines = [f"{role}: {role.people.count()} people lose it, and whoever has it by a group" for role in found]
        return lines, {"roles": len(found)}, set(), []

    @admin.display(description="permissions")
    def allows(self, obj: Role) -> int:
        return len(obj.permissions)

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        before = roles.stored(obj)
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            roles.changed(before, obj, actor=actor_of(request), at=timezone.now(), facts=facts(request))

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        with transaction.atomic():
            roles.deleted(obj, actor=actor_of(request), at=timezone.now(), facts=facts(request))
            super().delete_model(request, obj)
