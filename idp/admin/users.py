"""People in the admin. `logout_app.admin` completes and registers the page, as signing somebody out is the door's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from idp import signals
from idp.admin import console_role
from idp.admin.access import ACCESS, ACCESS_FIELDS, shown_assignments, shown_groups, shown_roles
from idp.admin.console_role import CONSOLE_ROLE
from idp.admin.support import (
    ActsAdmin,
    AdminAct,
    FactsInline,
    actor_of,
    ask_for_proof,
    may_touch,
)
from idp.admin.user_forms import NewPasswordForm, NewUserForm, UserForm
from idp.http.requests import facts
from idp.http.visit import is_fresh
from idp.models import Identity, Strategy, User, new_database_sub
from idp.people import accounts, console_roles
from idp.protocol.text import normal_forms
from idp.scim import ownership

POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


def has_database_login(user: User) -> bool:
    return user.identities.filter(connection__strategy=Strategy.DATABASE).exists()


def do_block(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    accounts.block_user(user, actor=actor_of(request), at=at)
    return f"{user} is blocked and signed out."


def do_unblock(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    accounts.unblock_user(user, actor=actor_of(request), at=at)
    return f"{user} may sign in again."


def do_set_password(request: HttpRequest, user: User, at: datetime, form: forms.Form | None) -> str:
    assert form is not None  # noqa: S101  the act declares it
    accounts.set_password(user, form.cleaned_data["password"], actor=actor_of(request))
    return f"{user} has a new password."


BLOCK = AdminAct(
    "block",
    "Block this person",
    lambda user: [
        f"{user} cannot sign in any more.",
        "Every session and every token of theirs is dead at once, and their applications are told.",
    ],
    do_block,
    offered=lambda user: user.is_active,
    operates=True,
)
UNBLOCK = AdminAct(
    "unblock",
    "Unblock this person",
    lambda user: [f"{user} can sign in again. Sessions and tokens that ended stay ended."],
    do_unblock,
    offered=lambda user: not user.is_active and ownership.holder(user) is None,
    operates=True,
)
SET_PASSWORD = AdminAct(
    "password",
    "Set a password",
    lambda user: [f"{user} signs in with the new password from now on. Their sessions end."],
    do_set_password,
    offered=has_database_login,
    form=NewPasswordForm,
)


admin.site.unregister(Group)  # importing Django's page has registered it, and the first page stays


@admin.register(Group)
class PermissionGroupAdmin(auth_admin.GroupAdmin):
    """Only superusers: whoever may change their own group may give themselves everything. Roles are as this release says."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request) and not (obj and obj.name in console_roles.GROUPS)

    has_delete_permission = has_change_permission

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset.exclude(name__in=console_roles.GROUPS))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)


class IdentityInline(FactsInline):
    model = Identity
    fields = ("connection", "sub", "login", "email", "last_login_at")
    readonly_fields = fields
    show_change_link = True  # there it can be linked to another person
    verbose_name_plural = "Signs in as"


class UserAdminBase(ActsAdmin):
    menu_rank = 0
    reads_standby = True
    empty = "Nobody. Add somebody to a database connection; people of other connections appear at their first sign-in."
    form = UserForm
    list_display = ("who", "name", "user_id", "signs_in_by", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "identities__connection")
    search_fields = ("email", "name", "=user_id", "=identities__sub")
    search_help_text = "E-mail address, name, or a whole user id."
    ordering = ("-pk",)
    readonly_fields = (
        *("user_id", "is_active", "revoked_before", "last_login", "created_at", "updated_at"),
        *(*ACCESS_FIELDS, "in_this_console"),
    )
    filter_horizontal = ("groups", "user_permissions")
    inlines: ClassVar[Any] = (IdentityInline,)
    fieldsets = (
        ("Who", {"fields": ("user_id", "email", "email_verified", "name", "given_name", "family_name", "nickname")}),
        (
            "More about this person",
            {"fields": ("picture", "phone_number", "phone_number_verified"), "classes": ("collapse",)},
        ),
        ("State", {"fields": ("is_active", "revoked_before", "last_login", "created_at", "updated_at")}),
        ("What they may use", {"fields": (*ACCESS_FIELDS, "in_this_console")}),
        ("Metadata", {"fields": ("user_metadata", "app_metadata"), "classes": ("collapse",)}),
    )
    advanced = (
        "Advanced: raw permissions",
        {
            "fields": POWERS,
            "classes": ("collapse",),
            "description": "Roles in this console are given by the act of this name. Here is what Django keeps of them.",
        },
    )
    tells_itself = frozenset({"change"})
    add_fieldsets = ((None, {"fields": ("connection", "email", "email_verified", "username", "name", "password")}),)

    @admin.display(description="person", ordering="email")
    def who(self, obj: User) -> str:
        return str(obj)

    @admin.display(description="signs in by")
    def signs_in_by(self, obj: User) -> str:
        return ", ".join(str(identity.connection) for identity in obj.identities.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        identities = Prefetch("identities", Identity.objects.select_related("connection"))
        return super().get_queryset(request).prefetch_related(identities)

    def get_acts(self) -> Sequence[AdminAct]:
        return (ACCESS, SET_PASSWORD, UNBLOCK, BLOCK, CONSOLE_ROLE)

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """Whoever could give roles could have all."""
        may = act.name != CONSOLE_ROLE.name or bool(request.user.is_superuser)
        return may and super().may_do(request, obj, act)

    @admin.display(description="groups")
    def in_groups(self, obj: User) -> str:
        return shown_groups(obj)

    @admin.display(description="roles")
    def has_roles(self, obj: User) -> str:
        return shown_roles(obj)

    @admin.display(description="assigned to")
    def assigned_to(self, obj: User) -> str:
        return shown_assignments(obj)

    @admin.display(description="in this console")
    def in_this_console(self, obj: User) -> str:
        return console_role.shown(obj)

    # --- who may change whom -------------------------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and may_touch(request, obj) and obj != request.user

    def has_act_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_act_permission(request, obj) and may_touch(request, obj)

    def has_operate_permission(self, request: HttpRequest, obj: Any) -> bool:
        return super().has_operate_permission(request, obj) and may_touch(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = () if request.user.is_superuser else POWERS
        owned = ownership.OWNED if obj is not None and ownership.owner(obj) else ()
        return (*self.readonly_fields, *fixed, *owned)

    # --- forms ---------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not obj:
            return self.add_fieldsets
        found = super().get_fieldsets(request, obj)
        return (*found, self.advanced) if request.user.is_superuser else found

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return NewUserForm
        form = super().get_form(request, obj, change, **kwargs)
        back, fresh = request.path, is_fresh(request, timezone.now())

        class Guarded(form):  # type: ignore[misc, valid-type]
            """Giving powers, and the address of who has some, ask for a fresh proof; what was typed is kept."""

            def clean(self) -> dict[str, Any] | None:
                guarded = {*POWERS, "email", "email_verified"} if obj.has_powers else set(POWERS)
                if not fresh and guarded & set(self.changed_data):
                    raise forms.ValidationError(ask_for_proof("This change asks who you are.", back))
                cleaned: dict[str, Any] | None = super().clean()
                return cleaned

        return Guarded

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        if obj is not None and request.method == "GET":
            for row, sentence in (
                (ownership.owner(obj), ownership.why_fixed),
                (ownership.holder(obj), ownership.why_out),
            ):
                if row is not None:
                    messages.info(request, sentence(row))
        return super().render_change_form(request, context, *args, **kwargs)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            self._create(obj, form.cleaned_data)
            return
        form.powers_before = console_roles.powers(obj)
        if "email" in form.changed_data:
            self._change_email(request, obj, form)
        super().save_model(request, obj, form, change)
        if attributes := [name for name in form.changed_data if name not in POWERS]:
            signals.person_edited.send(
                User, user=obj, attributes=attributes, actor=actor_of(request), at=timezone.now(), facts=facts(request)
            )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if change and set(POWERS) & set(form.changed_data):
            console_roles.tell(
                form.instance, form.powers_before, actor=actor_of(request), at=timezone.now(), facts=facts(request)
            )

    def _create(self, user: User, data: dict[str, Any]) -> None:
        sub, address = new_database_sub(), normal_forms.name(data["email"])
        with transaction.atomic():
            user.user_id = f"auth0|{sub}"
            if "@" not in data["login"]:
                user.claims = {"preferred_username": data["username"].strip()}
            user.set_password(data["password"])
            user.save()
            Identity.objects.create(
                user=user, connection=data["connection"], sub=sub, login=data["login"], email=address
            )

    def _change_email(self, request: HttpRequest, user: User, form: Any) -> None:
        """The act tells of it and renames the sign-in name; the form's other values are saved after it."""
        stored = User.objects.get(pk=user.pk)
        verified = form.cleaned_data["email_verified"] if "email_verified" in form.changed_data else False
        accounts.change_email(stored, user.email, verified=verified, actor=actor_of(request), at=timezone.now())
        user.email_verified = verified

    # --- deleting ------------------------------------------------------------------------------------------------

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        accounts.delete_user(obj, actor=actor_of(request), at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        at = timezone.now()
        with transaction.atomic():
            for user in queryset.order_by("pk"):
                if not self.has_delete_permission(request, user):
                    raise PermissionDenied
                accounts.delete_user(user, actor=actor_of(request), at=at)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """In words instead of a list of every row: sessions, tokens and history may be thousands."""
        people = list(objs)
        refused = (
            {"people with powers in this admin"}
            if any(not self.has_delete_permission(request, user) for user in people)
            else set()
        )
        lines = [line for user in people for line in self.consequences(user)]
        return lines, {"users": len(people)}, refused, []

    def consequences(self, user: User) -> list[str]:
        """What deleting means; the app above knows who is not told."""
        return [f"{user}: every session ends, every token dies, and their applications are told"]

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if not is_fresh(request, timezone.now()):
            actions.pop("delete_selected", None)
        return actions

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if obj == request.user and not obj.is_staff:
            messages.warning(request, "You took away your own access.")
            return HttpResponseRedirect("/")
        return super().response_change(request, obj)
