"""People and applications by what administrators know of them, for tables that keep ids only: history outlives the rows."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

from django.db.models import Q, QuerySet

from idp.models import Application, Identity, User
from idp.protocol.text import normal_forms


def people(typed: str) -> QuerySet[User, tuple[str]]:
    """The `sub` of everybody with this address, name or sign-in name, in whichever form of its letters."""
    compared = {normal_forms.name(typed), normal_forms.ascii_lower(typed)}
    accounts = Identity.objects.filter(Q(login__in=compared) | Q(email__in=compared)).values("user")
    called = reduce(operator.or_, map(_called, normal_forms.spellings(typed)))
    return User.objects.filter(called | Q(pk__in=accounts)).values_list("user_id")


def applications(typed: str) -> QuerySet[Application, Any]:
    """The `client_id` of every application with this name."""
    named: QuerySet[Application, Any] = Application.objects.filter(name__icontains=typed)
    return named.values_list("client_id")


def _called(spelling: str) -> Q:
    name = Q(name__icontains=spelling) | Q(given_name__iexact=spelling) | Q(family_name__iexact=spelling)
    return name | Q(email__icontains=spelling)
