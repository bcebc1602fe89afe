"""Paths below /api/v2/, made of the table. What is not in it is not found, and that too is said in the API's own form."""

from __future__ import annotations

from django.urls import URLPattern, path

from logout_app.api.frame.endpoint import ANYBODY, METHODS, view_of
from logout_app.api.frame.operations import Call, Operation, by_path
from logout_app.api.table import OPERATIONS


def _nothing(call: Call, rest: str) -> None:
    """Never asked: what needs no scope is answered before."""


def _name(template: str) -> str:
    return "api_" + "".join(character if character.isalnum() else "_" for character in template)


REST = {method: Operation(method, "<path:rest>", ANYBODY, _nothing, "") for method in METHODS}
urlpatterns: list[URLPattern] = [
    path(f"api/v2/{template}", view_of(_name(template), operations), name=_name(template))
    for template, operations in by_path(OPERATIONS).items()
]
urlpatterns += [path("api/v2/<path:rest>", view_of("api_nothing", REST), name="api_nothing")]
