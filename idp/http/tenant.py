"""The tenant's name and looks for every template."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from idp.http import visit


def context(request: HttpRequest) -> dict[str, object]:
    return {"tenant": SimpleLazyObject(lambda: visit.snapshot_of(request).tenant)}
