"""Tables of the admin that keep ids only, searched by what administrators know of the people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from idp.people.search import people

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class FindsPeople(Base):
    """A table with columns `sub` and `search_fields` of whole ids is searched by the person's address or name as well."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        typed = search_term.strip()
        return (found | queryset.filter(sub__in=people(typed)) if typed else found), duplicates
