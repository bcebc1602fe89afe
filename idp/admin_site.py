"""Django's admin on our session: its login and logout lead to ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt

from idp import navigation
from idp.navigation import Page

MENU = ("idp", "sessions_app", "logout_app")
# allauth would send a reset link of anybody's account to an address that is written there.
NO_PAGE = frozenset({"account.emailaddress", "account.emailconfirmation"})


class CurfewAdminSite(AdminSite):
    site_header = "Curfew"
    site_title = "Curfew"
    index_title = "Overview"
    enable_nav_sidebar = False  # the tasks above every page are the navigation, and lists have the whole width

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: list[Page] = []

    def add_page(self, page: Page) -> None:
        """A page beside the tables, of an app above; when the admin's modules are loaded, which is before any address is."""
        self.pages.append(page)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        own = [path(page.path, self.admin_view(page.view), name=page.name) for page in self.pages]
        return [*own, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        apps = context.get("available_apps") or ()
        tasks = navigation.tasks(apps, self.pages, request.user, request.path)
        here = next((task for task in tasks if task.here), None)
        return {**context, "tasks": tasks, "task": here}

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """The first page of a table stays: ours, as our apps come first. A package's own may show its secrets."""
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        wanted = [m for m in models if not self.is_registered(m) and m._meta.label_lower not in NO_PAGE]
        super().register(wanted, admin_class, **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """In the order in which people ask; tables of the machinery come last."""
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda entry: getattr(self._registry[entry["model"]], "menu_rank", 1))
        return sorted(apps, key=lambda app: MENU.index(app["app_label"]) if app["app_label"] in MENU else len(MENU))

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

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ours counts guesses at the old password."""
        return HttpResponseRedirect(reverse("account_change_password"))

    def password_change_done(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))

    @method_decorator(csrf_exempt)  # ends nothing: `/logout`, where the form goes on to, checks it
    def logout(  # type: ignore[override]  # Django answers by a page, we lead to ours; 307: the POST goes on
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_logout"), status=307)


class CurfewAdminConfig(AdminConfig):
    default_site = "idp.admin_site.CurfewAdminSite"
