"""Applications in the admin. `logout_app.admin` completes the page with what the application heard of sign-outs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from idp.admin import application_tabs, application_wizard
from idp.admin.application_form import ApplicationForm
from idp.admin.connections import saml_applications as saml
from idp.admin.snippets import SECRET, snippets
from idp.admin.support import ActsAdmin, AdminAct, actor_of
from idp.applications import refusals, trail
from idp.directory import own_apis
from idp.http.requests import facts
from idp.models import Application, ClientGrant
from idp.protocol.opaque import new_secret

ROTATE = "rotate-secret"
IMPORT = "import-metadata"
# Of an application that is there: who gives it a key can act as it. A new one may do nothing yet but sign people in.
CREDENTIALS = ("token_endpoint_auth_method", "strict_client_assertions", "jwks", "jwks_uri")
WHERE_CODES_GO = ("redirect_uris", "web_origins", "allowed_origins", "app_type", "grant_types")
ENDPOINTS = (
    ("Discovery", ".well-known/openid-configuration"),
    ("Authorization", "authorize"),
    ("Token", "oauth/token"),
    ("User info", "userinfo"),
    ("Keys", ".well-known/jwks.json"),
    ("Sign out (OpenID Connect)", "oidc/logout"),
    ("Sign out (Auth0 SDKs)", "v2/logout"),
)


def endpoints(application: Application) -> list[tuple[str, str]]:
    """What the application's developer copies into their configuration."""
    if application.saml:
        return saml.endpoints(application, timezone.now())
    if application.wsfed:
        return saml.wsfed_endpoints(application)
    fixed = [("Client ID", application.client_id), ("Issuer", settings.ISSUER)]
    return [*fixed, *((label, settings.ISSUER + path) for label, path in ENDPOINTS)]


def explain_rotation(application: Application) -> list[str]:
    return [
        f"The old secret of {application.name} stops working at once: it cannot exchange codes or refresh tokens until it has the new one.",
        "The new secret is shown once.",
    ]


def may_use_the_api(application: Application) -> bool:
    """Whether people act by it at an API of our own: where its codes go, decides who does."""
    grants = ClientGrant.objects.filter(application=application.pk)
    return grants.filter(resource_server__identifier__in=own_apis.identifiers()).exists()


class ApplicationAdminBase(ActsAdmin):
    menu_rank = 0
    empty = "None. Add the first application: the next page tells what to paste where."
    form = ApplicationForm
    fieldsets = application_tabs.FIELDSETS
    change_form_template = "admin/idp/application/change_form.html"
    delete_confirmation_template = "admin/idp/application/delete_confirmation.html"
    list_display = ("name", "client_id", "app_type", "hears_by", "is_first_party", "enabled", "created")
    list_filter = ("app_type", "enabled", "is_first_party", "token_endpoint_auth_method")
    search_fields = ("name", "=client_id")
    search_help_text = "Name, or a whole client id."
    ordering = ("name", "pk")
    actions = None
    tells_itself = frozenset({"add", "change", "delete"})

    @admin.display(description="told of sign-outs by")
    def hears_by(self, obj: Application) -> str:
        channels = [
            name
            for name, url in (
                ("back channel", obj.backchannel_logout_uri),
                ("front channel", obj.frontchannel_logout_uri),
                ("SAML by SOAP", obj.saml_soap_logout_uri),
                ("SAML by the browser", "" if obj.saml_soap_logout_uri else obj.saml_logout_uri),
                ("revocation", obj.global_token_revocation_uri),
                ("commands", obj.command_endpoint),
            )
            if url
        ]
        return ", ".join(channels) or "nothing"

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """Whoever reads its secret is the application, with everything that it may do of its own."""
        if not super().may_do(request, obj, act):
            return False
        lends = act.name in (ROTATE, IMPORT)
        if not lends or request.user.is_superuser:
            return True
        return act.name == IMPORT and not may_use_the_api(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None or request.user.is_superuser:
            return ()
        return (*CREDENTIALS, *WHERE_CODES_GO) if may_use_the_api(obj) else CREDENTIALS

    def get_acts(self) -> Sequence[AdminAct]:
        return (
            AdminAct(
                IMPORT,
                "Import SAML metadata",
                saml.explain,
                self.do_import,
                offered=lambda application: bool(application.saml),
                form=saml.ImportForm,
            ),
            AdminAct(
                ROTATE,
                "Rotate secret",
                explain_rotation,
                self.do_rotate,
                offered=lambda application: not application.is_public and bool(application.grant_types),
            ),
        )

    def do_import(self, request: HttpRequest, obj: Application, at: datetime, form: forms.Form | None) -> str:
        """A form that was fetched meanwhile is compared with the row as it is now: what it says of SAML is all that it changes."""
        assert isinstance(form, saml.ImportForm)  # noqa: S101  the act declares it
        with transaction.atomic():
            row = Application.objects.select_for_update(no_key=True).get(pk=obj.pk)
            before = trail.stored(row)
            row.saml, row.redirect_uris = form.applied.saml, form.applied.redirect_uris
            row.save(update_fields=["saml", "redirect_uris", "updated"])
            trail.changed(before, row, actor=actor_of(request), at=at, facts=facts(request))
        return "The SAML settings were taken over."

    def do_rotate(self, request: HttpRequest, obj: Application, at: datetime, form: forms.Form | None) -> HttpResponse:
        before, secret = trail.stored(obj), new_secret()
        obj.client_secret = secret
        with transaction.atomic():
            obj.save(update_fields=["client_secret", "updated"])  # of the row as it is now, nothing else is this act's
            trail.changed(before, obj, actor=actor_of(request), at=at, facts=facts(request))
        return self._secret_page(request, obj, secret, "The new secret")

    def _secret_page(self, request: HttpRequest, obj: Application, secret: str, title: str) -> HttpResponse:
        """The answer to the POST itself: nothing keeps the secret but this page."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "object": obj,
            "object_url": self.object_url(obj),
            "secret": secret,
            "environment": f"{SECRET}={secret}" if secret else "",
            "endpoints": endpoints(obj),
            "snippets": snippets(obj),
        }
        return TemplateResponse(request, "admin/idp/application/secret.html", context)

    def save_model(self, request: HttpRequest, obj: Application, form: Any, change: bool) -> None:
        if not change:
            # Public clients get one too, known to nobody: a blank secret would be one that everybody knows.
            obj._new_secret = obj.client_secret = new_secret()
        before = trail.stored(obj)
        super().save_model(request, obj, form, change)
        trail.changed(before, obj, actor=actor_of(request), at=timezone.now(), facts=facts(request))

    def delete_model(self, request: HttpRequest, obj: Application) -> None:
        trail.deleted(obj, actor=actor_of(request), at=timezone.now(), facts=facts(request))
        super().delete_model(request, obj)

    # --- adding: the kind, then what it needs ---------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if application_wizard.is_undecided(request):
            return self._page(request, "Add application", "choose.html", {"kinds": application_wizard.choices()})
        kind = application_wizard.chosen(request)
        if kind is None:
            return super().add_view(request, form_url, extra_context)
        form = application_wizard.form_of(kind, request)(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._register(request, form)
        return self._page(request, f"Add {kind.title.lower()}", "wizard.html", {"form": form, "kind": kind})

    def _register(self, request: HttpRequest, form: application_wizard.WizardForm) -> HttpResponse:
        with transaction.atomic():
            obj: Application = form.save(commit=False)
            self.save_model(request, obj, form, change=False)
            form.grant()
            self.log_addition(request, obj, [{"added": {}}])
        secret = obj._new_secret if obj.has_secret and not (obj.saml or obj.wsfed) else ""
        return self._secret_page(request, obj, secret, f"{obj.name} is registered")

    def _page(self, request: HttpRequest, title: str, template: str, more: dict[str, Any]) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        context["list_url"] = reverse("admin:idp_application_changelist")
        return TemplateResponse(request, f"admin/idp/application/{template}", context | more)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        if obj.is_public:
            return super().response_add(request, obj, self.object_url(obj))
        return self._secret_page(request, obj, obj._new_secret, f"{obj.name} is registered")

    # --- the page ---------------------------------------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        if obj:
            context |= {
                "endpoints": endpoints(obj),
                "snippets": snippets(obj),
                "saml_warnings": saml.warnings(obj, timezone.now()),
                "refused": list(refusals.lately(obj, timezone.now())),
            }
        context["tabs"] = application_tabs.shown(context["adminform"])
        return super().render_change_form(request, context, *args, **kwargs)

    def consequences(self, application: Application) -> list[str]:
        """What deleting it means, for the confirmation page; the app above knows the sessions."""
        return [
            f"{application.name} can no longer sign anybody in, and its tokens die.",
            "Sessions go on, but this application will not be told when they end: people stay signed in there.",
            "Sign-outs that still wait to be delivered to it are dropped.",
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """In words instead of a list of every token."""
        applications = list(objs)
        lines = [line for application in applications for line in self.consequences(application)]
        return lines, {"applications": len(applications)}, set(), []
