"""The reference of the Management API: found by words, without scripts, and the OpenAPI document as a file."""

from __future__ import annotations

from itertools import groupby

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from idp.navigation import Page
from logout_app.admin.pages import api_document

NEEDED = ("idp.view_clientgrant",)  # who sees which programs may use it
LONGEST = 200  # of a search


def reference(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    if name := request.GET.get("operation"):
        return _page(request, _one(name))
    typed = request.GET.get("q", "")[:LONGEST].strip()
    words = typed.lower().split()
    found = [one for one in api_document.operations() if one.is_found(words)]
    things = [(thing, list(rows)) for thing, rows in groupby(found, lambda one: one.thing)]
    return _page(request, {"typed": typed, "things": things, "how_many": len(found)})


def _one(name: str) -> dict[str, object]:
    operation = next((one for one in api_document.operations() if one.name == name), None)
    if operation is None:
        raise Http404
    forms, rows = api_document.answer(operation)
    return {
        "operation": operation,
        "tables": [
            ("Parameters", api_document.parameters(operation)),
            ("Body", api_document.body(operation)),
            (f"Answer {api_document.status(operation)}", rows),
        ],
        "forms": forms,
        "refusals": api_document.refusals(operation),
    }


def openapi(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    headers = {"Content-Disposition": 'attachment; filename="openapi.json"'}
    return HttpResponse(api_document.text(), content_type="application/json", headers=headers)


def _page(request: HttpRequest, own: dict[str, object]) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": "API reference", **own}
    return TemplateResponse(request, "admin/api_reference.html", context)


API_REFERENCE = Page("api_reference", "API reference", "api/", reference, NEEDED)
API_DOCUMENT = Page("api_document", "", "api/openapi.json", openapi, NEEDED)
