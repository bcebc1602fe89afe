"""Django's admin on our session: its login and logout lead to ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator


class CurfewAdminSite(AdminSite):
    site_header = "Curfew"
    site_title = "Curfew"
    index_title = "Administration"
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """The first page of a table stays: ours, as our apps come first. A package's own may show its secrets."""
        models = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        super().register([model for model in models if not self.is_registered(model)], admin_class, **options)

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.is_authenticated:
            if self.has_permission(request):
                return HttpResponseRedirect(reverse("admin:index"))
            raise PermissionDenied  # a redirect to the login page would come back for ever
        target = request.GET.get("next", "")
        if not target.startswith(reverse("admin:index")):
            target = reverse("admin:index")
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': target})}")

    def logout(  # type: ignore[override]  # Django answers by a page, we lead to ours; 307: the POST goes on
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_logout"), status=307)


class CurfewAdminConfig(AdminConfig):
    default_site = "idp.admin_site.CurfewAdminSite"
