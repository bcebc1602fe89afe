"""People and applications by what administrators know of them, for tables that keep ids only: history outlives the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from idp.models import Application, Identity, User

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


def people(typed: str) -> QuerySet[User, tuple[str]]:
    """The `sub` of everybody with this address, name or sign-in name."""
    accounts = Identity.objects.filter(Q(login=typed.lower()) | Q(email=typed.lower())).values("user")
    called = Q(name__icontains=typed) | Q(given_name__iexact=typed) | Q(family_name__iexact=typed)
    return User.objects.filter(called | Q(email__icontains=typed) | Q(pk__in=accounts)).values_list("user_id")


def applications(typed: str) -> QuerySet[Application, Any]:
    """The `client_id` of every application with this name."""
    named: QuerySet[Application, Any] = Application.objects.filter(name__icontains=typed)
    return named.values_list("client_id")


class FindsPeople(Base):
    """A table with columns `sub` and `search_fields` of whole ids is searched by the person's address or name as well."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        typed = search_term.strip()
        return (found | queryset.filter(sub__in=people(typed)) if typed else found), duplicates
