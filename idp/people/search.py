"""People and applications by what administrators know of them, for tables that keep ids only: history outlives the rows."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from idp.models import Application, Identity, User


def people(typed: str) -> QuerySet[User, tuple[str]]:
    """The `sub` of everybody with this address, name or sign-in name."""
    accounts = Identity.objects.filter(Q(login=typed.lower()) | Q(email=typed.lower())).values("user")
    called = Q(name__icontains=typed) | Q(given_name__iexact=typed) | Q(family_name__iexact=typed)
    return User.objects.filter(called | Q(email__icontains=typed) | Q(pk__in=accounts)).values_list("user_id")


def applications(typed: str) -> QuerySet[Application, Any]:
    """The `client_id` of every application with this name."""
    named: QuerySet[Application, Any] = Application.objects.filter(name__icontains=typed)
    return named.values_list("client_id")
