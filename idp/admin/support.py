"""What every admin page of ours shares: strict filters, read-only facts, and acts that ask before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import transaction
from django.db.models import CharField, Model, QuerySet, URLField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from idp import navigation, signals
from idp.admin.fields import WebUrlField, name_columns, name_fields
from idp.database.standby import reading as standby
from idp.http.requests import facts
from idp.http.visit import is_fresh, reauthentication_url
from idp.models import User
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.text import normal_forms
from idp.tenants.changes import Author, Refusal
from idp.views.errors import error_page

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline

COMPARISONS = frozenset(
    ["exact", "id__exact", "pk__exact", "in", "isnull", "gt", "gte", "lt", "lte", "year", "month", "day"]
)


def actor_of(request: HttpRequest) -> str:
    return f"admin:{request.user.get_username()}"


def author_of(request: HttpRequest) -> Author:
    return Author(bool(request.user.is_superuser), is_fresh(request, timezone.now()))


def may_touch(request: HttpRequest, user: User | None) -> bool:
    """Only a superuser changes people who have powers here: a new password, address or account would lend them to anybody."""
    return user is None or bool(request.user.is_superuser) or not user.has_powers


def ask_for_proof(why: str, back: str) -> SafeString:
    """For a form that is kept open meanwhile: what was typed is not lost."""
    return format_html(
        '{} <a href="{}" target="_blank" rel="noopener">Prove who you are</a> (in another tab), then save again.',
        why,
        reauthentication_url(back),
    )


def said(refused: Refusal, back: str) -> str:
    """The refusal in a form, with the way to the proof if that is all that is missing."""
    return ask_for_proof(refused.sentence, back) if refused.needs_proof else refused.sentence


def tell_administered(request: HttpRequest, obj: Model, act: str) -> None:
    signals.administered.send(
        type(obj), target=obj, act=act, actor=actor_of(request), at=timezone.now(), facts=facts(request)
    )


class StrictAdmin(ModelAdmin):
    """Filters by what the list offers only (Django allows every column of the table, hashes too), and no acts by GET."""

    list_per_page = 50
    show_full_result_count = False
    allowed_lookups: Sequence[str] = ()
    view_on_site = False
    change_list_template = "admin/curfew_change_list.html"
    menu_rank = 1  # 0: what people come for; 2: tables of the machinery, for superusers
    reads_standby = False  # whether its list, and nothing else of it, may come from a standby of the database
    empty = ""  # what a list without rows says: what appears here, and how
    tells_itself: ClassVar[frozenset[str]] = (
        frozenset()
    )  # of add, change, delete: which have lines of the trail of their own
    # Django's own widget says the address a second time, above its field.
    url_field: ClassVar[Any] = {"form_class": WebUrlField, "widget": forms.URLInput({"class": "vURLField"})}
    formfield_overrides: ClassVar[Any] = {URLField: {"assume_scheme": "https", **url_field}}

    def __init__(self, model: type[Any], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for named in (model, *(inline.model for inline in self.inlines)):
            name_columns(named)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # a class of this request
        name_fields(form)
        return form

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What only tells how the machine works, and under which keys, is nobody's business but a superuser's."""
        return (self.menu_rank < 2 or bool(request.user.is_superuser)) and super().has_view_permission(request, obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        names = [*self.allowed_lookups, *(n for n in self.list_filter if isinstance(n, str))]
        names += [
            f.parameter_name or "" for f in self.list_filter if isinstance(f, type) and hasattr(f, "parameter_name")
        ]
        if any(lookup in getattr(one, "parameters", ()) for one in self.list_filter):
            return True
        return any(
            lookup == name or (lookup.startswith(f"{name}__") and lookup.removeprefix(f"{name}__") in COMPARISONS)
            for name in names
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A name is found in whichever form of its letters it is kept and was typed."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        for spelling in normal_forms.spellings(search_term)[1:]:
            more, repeated = super().get_search_results(request, queryset, spelling)
            found, duplicates = found | more, duplicates or repeated
        return found, duplicates

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Facts below a form are shown, not posted: they may have changed since, and that is no mistake of the form."""
        inlines: list[Any] = super().get_inline_instances(request, obj)
        return [inline for inline in inlines if request.method != "POST" or not isinstance(inline, FactsInline)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if "action" in request.GET:
            return HttpResponseNotAllowed(["POST"])
        if any("\0" in value or not is_text(value) for values in request.GET.lists() for value in values[1]):
            raise SuspiciousOperation("a filter that is not text")
        context = {"empty": self.empty, "title": self.called, **(extra_context or {})}
        if not self.reads_standby or request.method not in ("GET", "HEAD"):  # others act on rows that were chosen
            return super().changelist_view(request, context)
        return standby.listed(lambda: self._list(request, context))

    def _list(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        """Most of its rows are read while the page is made of them."""
        answer = super().changelist_view(request, context)
        return answer.render() if standby.is_there() and isinstance(answer, SimpleTemplateResponse) else answer

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return standby.rows(super().get_queryset(request))

    @property
    def called(self) -> str:
        """The table as the navigation names it."""
        return capfirst(navigation.called(self.opts.label_lower, str(self.opts.verbose_name_plural)))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A form is compared with the row that it is saved into, and saves all of it: from here on nobody else changes it."""
        if request.method != "POST" or object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic():
            self._hold(object_id)
            return super().changeform_view(request, object_id, form_url, extra_context)

    # --- the audit trail ---------------------------------------------------------------------------------------------
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._told("add", request, obj, super().log_addition(request, obj, message))

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._told("change", request, obj, super().log_change(request, obj, message))

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            if "delete" not in self.tells_itself:
                tell_administered(request, obj, "Deleted")
        return super().log_deletions(request, queryset)

    def _told(self, what: str, request: HttpRequest, obj: Any, entry: Any) -> Any:
        if what not in self.tells_itself:
            tell_administered(request, obj, entry.get_change_message())
        return entry

    def _hold(self, object_id: str) -> None:
        with suppress(ValidationError, ValueError):  # what is no key at all: the page says that there is no such row
            key = self.opts.pk.to_python(unquote(object_id))
            self.model._default_manager.select_for_update(no_key=True).filter(pk=key).values_list("pk").first()


def is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


@dataclass(frozen=True, slots=True)
class AdminAct:
    """Something that an administrator may do to one object, behind a page that tells what it means.

    `offered(obj)` is whether it makes sense now. `operates`: operators may, who edit nothing (`idp.people.console_roles`). `do(request, obj, at, form)` returns the sentence that tells what was done, or a response of its own.
    """

    name: str
    label: str
    explain: Callable[[Any], Sequence[str]]
    do: Callable[[HttpRequest, Any, datetime, forms.Form | None], str | HttpResponse]
    offered: Callable[[Any], bool] = bool
    danger: bool = True
    form: Callable[[Any, Any], forms.Form] | None = None  # (object, POST data or None)
    operates: bool = False


class NotDone(Exception):
    """What stood in the way of an act, as a sentence: no line says that it was done."""


class NamedValues(admin.AllValuesFieldListFilter):
    """A link without words cannot be pressed by everybody: what is empty is called so."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "(none)"}


admin.FieldListFilter.register(
    lambda field: isinstance(field, CharField) and not field.choices, NamedValues, take_priority=True
)


class ActsAdmin(StrictAdmin):
    """An admin whose change page offers acts: a link to a page that asks, and a POST that does."""

    change_form_template = "admin/curfew_change_form.html"

    def get_acts(self) -> Sequence[AdminAct]:
        return ()

    def has_act_permission(self, request: HttpRequest, obj: Any) -> bool:
        """Facts cannot be edited, acts on them can be done: by those who hold the model's change permission."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def has_operate_permission(self, request: HttpRequest, obj: Any) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.operate_{self.opts.model_name}")

    def may_do(self, request: HttpRequest, obj: Any, act: AdminAct) -> bool:
        """Where acts differ in who may do them."""
        may_operate = act.operates and self.has_operate_permission(request, obj)
        return may_operate or self.has_act_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [path("<path:object_id>/act/<slug:name>/", view, name=name), *super().get_urls()]

    def act_url(self, obj: Model, act: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_act", args=(obj.pk, act))

    def object_url(self, obj: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(obj.pk,))

    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        obj = self.get_object(request, object_id)
        act = next((act for act in self.get_acts() if act.name == name), None)
        if obj is None or act is None:
            raise Http404
        if not self.has_view_permission(request, obj) or not self.may_do(request, obj, act):
            raise PermissionDenied
        if not act.offered(obj):
            messages.info(request, "There was nothing left to do.")
            return HttpResponseRedirect(self.object_url(obj))
        at = timezone.now()
        if act.danger and not is_fresh(request, at):
            return HttpResponseRedirect(reauthentication_url(self.act_url(obj, name)))
        form = act.form(obj, request.POST if request.method == "POST" else None) if act.form else None
        if form is not None:
            form.files = request.FILES
        if request.method != "POST" or (form is not None and not form.is_valid()):
            return self._ask(request, obj, act, form)
        return self._do(request, obj, act, form, at)

    def _ask(self, request: HttpRequest, obj: Model, act: AdminAct, form: forms.Form | None) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": act.label,
            "opts": self.opts,
            "called": self.called,
            "object": obj,
            "object_url": self.object_url(obj),
            "act": act,
            "sentences": act.explain(obj),
            "form": form,
        }
        return TemplateResponse(request, "admin/curfew_act.html", context)

    def _do(
        self, request: HttpRequest, obj: Model, act: AdminAct, form: forms.Form | None, at: datetime
    ) -> HttpResponse:
        try:
            result = act.do(request, obj, at, form)
        except TemporarilyUnavailable as error:
            return error_page(request, act.label, error.description, code=error.error, status=error.status)
        except NotDone as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self.object_url(obj))
        self.log_change(request, obj, act.label)
        if "change" in self.tells_itself:
            tell_administered(request, obj, act.label)
        if isinstance(result, HttpResponse):
            return result
        messages.success(request, result)
        return HttpResponseRedirect(self.object_url(obj))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        obj = kwargs.get("obj")
        context["called"] = self.called
        context["acts"] = [
            {"label": act.label, "url": self.act_url(obj, act.name), "danger": act.danger}
            for act in self.get_acts()
            if obj is not None and act.offered(obj) and self.may_do(request, obj, act)
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not is_fresh(request, timezone.now()):
            return HttpResponseRedirect(reauthentication_url(request.path))
        return super().delete_view(request, object_id, extra_context)


class FactsAdmin(ActsAdmin):
    """Rows that record what happened: to be read, searched and filtered, never written or deleted here."""

    ordering = ("-pk",)
    actions: Any = None
    reads_standby = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class FactsInline(TabularInline):
    template = "admin/curfew_facts.html"
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
