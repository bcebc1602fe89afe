"""Tenant settings, APIs and their grants, what registered itself, and the two tables of the abuse limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from idp.admin.fields import GroupsField, LinesField, ScopesField, https_urls
from idp.admin.looks import pictures
from idp.admin.looks import preview as looks_preview
from idp.admin.looks.pictures import PictureField, PictureTick
from idp.admin.rulebook import RulebookForm
from idp.admin.support import ActsAdmin, FactsAdmin, StrictAdmin, actor_of, author_of, said
from idp.branding import uploads
from idp.http.content_policy import allow
from idp.http.requests import facts
from idp.models import (
    ClientGrant,
    ClientRegistration,
    LimiterSlot,
    ResourceServer,
    SpentToken,
    TenantSettings,
)
from idp.protocol.text import colours
from idp.tenants import changes, configuration, rules, trail
from idp.tenants.changes import NO_AUTHOR, Author

if TYPE_CHECKING:
    ResourceServerForm = forms.ModelForm[ResourceServer]
    ClientGrantForm = forms.ModelForm[ClientGrant]
else:
    ResourceServerForm = ClientGrantForm = forms.ModelForm


SUPERUSERS = "Changed by superusers only, who proved within the hour that it is them."


class TenantSettingsForm(RulebookForm):
    logo = PictureField("Logo: upload", pictures.HELP)
    no_logo = PictureTick("Take the uploaded logo away")
    logo_dark = PictureField("Logo on dark pages: upload", pictures.HELP)
    no_logo_dark = PictureTick("Take the uploaded logo for dark pages away")
    favicon = PictureField("Favicon: upload", f"{pictures.HELP} ICO is taken too.", icon=True)
    no_favicon = PictureTick("Take the uploaded favicon away")
    judged = frozenset(rules.TEXTS)
    author: ClassVar[Author] = NO_AUTHOR  # the page says who it is, and where it is
    back: ClassVar[str] = ""

    allowed_logout_urls = LinesField(
        help_text="One per line. Where /v2/logout may lead when the request names no application.",
    )

    require_mfa_groups = GroupsField(
        label="Require a second factor of groups",
        help_text='One per line, by name, or {"connection": "acme-okta", "name": "staff"}: whoever is in one of them proves it.',
    )

    class Meta:
        model = TenantSettings
        formfield_callback = https_urls
        exclude = ()
        labels: ClassVar[Any] = {
            "support_email": "Support address",
            "accent_color": "Accent colour",
            "background_color": "Background colour",
            "background_color_dark": "Background colour of dark pages",
            "picture_url": "Logo URL",
            "picture_url_dark": "Logo URL for dark pages",
            "session_lifetime_in_minutes": "Longest session",
            "idle_session_lifetime_in_minutes": "Longest pause",
            "persistent_session_cookie": "Stay signed in when the browser is closed",
            "max_sessions_per_user": "Most sessions of a person",
            "password_change_ends_other_sessions": "A new password ends the other sessions",
            "require_mfa": "Require a second factor of everybody",
            "remember_second_factor_days": "Days without a second factor",
            "sign_out_timeout": "Patience of the sign-out page",
            "oidc_logout_prompt_enabled": "Ask before signing out at /oidc/logout",
            "v2_logout_confirmation": "Ask before signing out at /v2/logout",
            "require_pushed_authorization_requests": "Require pushed authorization requests (PAR)",
            "history_retention_days": "Days of history",
            "legal_hold": "Legal hold",
        }
        help_texts: ClassVar[Any] = {
            "friendly_name": "Whose accounts these are, as people read it on pages and in mails.",
            "support_email": "Whom people ask for help. Used where there is no support URL.",
            "support_url": "Where people find help: linked at the foot of every page.",
            "picture_url": "Of an image, by https. An uploaded logo is used instead.",
            "favicon_url": "Of the browser tab's icon, by https. An uploaded one is used instead.",
            "session_lifetime_in_minutes": "Minutes after which people prove again who they are, however busy they are.",
            "idle_session_lifetime_in_minutes": "Minutes without any use after which a session is over.",
            "persistent_session_cookie": "Off: the session ends for the browser when it is closed.",
            "password_change_ends_other_sessions": "All but the one in which it was changed, with their refresh tokens.",
            "v2_logout_confirmation": "Auth0 never asks there. A link on another site can sign somebody out where nothing is asked.",
            "profile": "Rules for every application at once, stricter than their own switches.",
            "dynamic_client_registration": "Programs may register applications of their own at /oidc/register.",
            "legal_hold": "Why. While this says something, nothing of the past is deleted because of its age.",
            "history_retention_days": "For how long the audit trail, deliveries and ended sessions are kept.",
            "accent_color": "Of links and buttons, as #2450b8. Where it would be hard to read a darker or lighter one is used.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen, field = self.instance.accent_color, self.fields.get("accent_color")  # who only looks has no fields
        if field and chosen and (wrong := colours.complaint(chosen)):
            field.help_text += f" {wrong}"

    def _post_clean(self) -> None:
        """After the row has what was typed: what decides about everybody's sessions is a superuser's to change."""
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            pictures.write(self.instance, self.cleaned_data)
        found = trail.guarded(trail.stored(), self.instance)
        if refused := changes.refusal(found, self.author, trail.WHY):
            self.add_error(None, said(refused, self.back))


@admin.register(TenantSettings)
class TenantSettingsAdmin(StrictAdmin):
    """One row: the list leads straight to it."""

    form = TenantSettingsForm
    tells_itself = frozenset({"add", "change", "delete"})
    fieldsets = (
        (
            "What people see",
            {
                "fields": (
                    *("friendly_name", "support_email", "support_url", "privacy_url", "imprint_url"),
                    *("default_language", "accent_color", "background_color", "background_color_dark"),
                    *("picture_url", "logo", "no_logo", "picture_url_dark", "logo_dark", "no_logo_dark"),
                    *("favicon_url", "favicon", "no_favicon"),
                )
            },
        ),
        (
            "Sessions",
            {
                "description": SUPERUSERS,
                "fields": (
                    "session_lifetime_in_minutes",
                    "idle_session_lifetime_in_minutes",
                    "persistent_session_cookie",
                    "max_sessions_per_user",
                    "password_change_ends_other_sessions",
                    "security_mails",
                    "require_mfa",
                    "require_mfa_groups",
                    "remember_second_factor_days",
                ),
            },
        ),
        (
            "Signing out",
            {
                "description": SUPERUSERS,
                "fields": (
                    "allowed_logout_urls",
                    "sign_out_timeout",
                    "oidc_logout_prompt_enabled",
                    "v2_logout_confirmation",
                ),
            },
        ),
        (
            "Protocols and history",
            {
                "description": SUPERUSERS,
                "fields": (
                    "profile",
                    "require_pkce",
                    "require_pushed_authorization_requests",
                    "session_management",
                    "dynamic_client_registration",
                    *("history_retention_days", "legal_hold"),
                ),
            },
        ),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # a class of this request
        form.author, form.back = author_of(request), request.get_full_path()
        return form

    def save_model(self, request: HttpRequest, obj: TenantSettings, form: Any, change: bool) -> None:
        before = trail.stored()
        super().save_model(request, obj, form, change)
        uploads.forget_unused(obj)
        trail.changed(before, obj, actor=actor_of(request), at=timezone.now(), facts=facts(request))
        for wrong in looks_preview.complaints(obj):
            messages.warning(request, wrong)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """What was stored before there was a rule against it is used, a number as the nearest that is allowed, and has to be
        corrected with the next change."""
        obj = kwargs.get("obj")
        if obj and request.method == "GET":
            for problem in rules.problems(obj):
                name = obj._meta.get_field(problem.field).verbose_name
                messages.warning(request, f"What is stored would not be accepted today: {name}: {problem}.")
        here = reverse("admin:looks_preview")
        context["previews"] = [(scheme, f"{here}?scheme={scheme}") for scheme in looks_preview.SCHEMES] if obj else []
        response = super().render_change_form(request, context, *args, **kwargs)
        allow(response, "frame-src", ["'self'"])
        return response

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        row = configuration.load_tenant()
        return HttpResponseRedirect(reverse("admin:idp_tenantsettings_change", args=(row.pk,)))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ResourceServerAdminForm(ResourceServerForm):
    scopes = ScopesField(help_text="One per line: the scope, a space, what it allows in words.")

    class Meta:
        model = ResourceServer
        formfield_callback = https_urls
        exclude = ()


@admin.register(ResourceServer)
class ResourceServerAdmin(ActsAdmin):
    form = ResourceServerAdminForm
    list_display = ("name_or_identifier", "identifier", "token_dialect", "token_lifetime", "allow_offline_access")
    list_filter = ("token_dialect", "signing_alg", "enforce_policies")
    search_fields = ("identifier", "name")
    fieldsets = (
        (None, {"fields": ("identifier", "name", "scopes")}),
        (
            "Access tokens",
            {"fields": ("token_dialect", "token_lifetime", "signing_alg", "allow_offline_access")},
        ),
        (
            "Permissions",
            {
                "fields": ("enforce_policies",),
                "description": "Scopes are permissions: roles have them, and people have roles. With a dialect that says so, "
                "access tokens list all permissions of the person.",
            },
        ),
    )

    @admin.display(description="API", ordering="name")
    def name_or_identifier(self, obj: ResourceServer) -> str:
        return str(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("identifier",) if obj else ()  # it is the audience of tokens that are out

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not (obj and obj.is_system) and super().has_delete_permission(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        kept = queryset.filter(is_system=True).count()
        super().delete_queryset(request, queryset.filter(is_system=False))
        if kept:
            messages.warning(request, "The Management API stays: it is Curfew's own.")


class ClientGrantAdminForm(ClientGrantForm):
    scope = LinesField(help_text="One per line, out of the API's scopes.")

    class Meta:
        model = ClientGrant
        formfield_callback = https_urls
        exclude = ()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        server = cleaned.get("resource_server")
        unknown = sorted(set(cleaned.get("scope") or []) - server.scope_values) if server else []
        if unknown:
            self.add_error("scope", f"{server} does not have: {', '.join(unknown)}.")
        return cleaned


@admin.register(ClientGrant)
class ClientGrantAdmin(StrictAdmin):
    menu_rank = 2
    form = ClientGrantAdminForm
    list_display = ("application", "resource_server", "scopes")
    list_filter = ("resource_server",)
    list_select_related = ("application", "resource_server")
    search_fields = ("application__name", "application__client_id", "resource_server__identifier")
    autocomplete_fields = ("application", "resource_server")

    @admin.display(description="scopes")
    def scopes(self, obj: ClientGrant) -> str:
        return " ".join(obj.scope)


@admin.register(ClientRegistration)
class ClientRegistrationAdmin(FactsAdmin):
    """Applications that registered themselves."""

    menu_rank = 2
    list_display = ("application", "created_at", "created_ip")
    list_select_related = ("application",)
    search_fields = ("application__name", "=application__client_id")
    fields = ("application", "metadata", "created_at", "created_ip")


@admin.register(SpentToken)
class SpentTokenAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("kind", "issuer", "jti", "expires_at")
    list_filter = ("kind",)
    search_fields = ("=jti", "issuer")
    fields = list_display


@admin.register(LimiterSlot)
class LimiterSlotAdmin(FactsAdmin):
    menu_rank = 2
    list_display = ("key", "shard", "window", "count", "expires_at")
    search_fields = ("=key",)
    fields = list_display


@admin.register(LogEntry)
class LogEntryAdmin(FactsAdmin):
    """What administrators did here."""

    list_display = ("action_time", "user", "what", "content_type", "object_repr")
    list_filter = ("action_flag", ("content_type", admin.RelatedOnlyFieldListFilter))
    allowed_lookups = ("content_type",)
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "user__email", "user__user_id")
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "what")
    readonly_fields = ("what",)

    @admin.display(description="what")
    def what(self, obj: LogEntry) -> str:
        return obj.get_change_message()
