"""The roles in which the pages are opened, and an installation with something to see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db.models import Model

from idp.models import User
from idp.tenants import configuration
from tests.protocol.admin.test_connection_health import certificate
from tests.support import rows, second_factors
from tests.support.factories import make_connection, make_user
from tests.support.site_map import Rows

ROLES = ("anonymous", "person", "second factor", "viewer", "some powers", "superuser")


@pytest.fixture
def person_in() -> Callable[[str], User | None]:
    return _person_in


@pytest.fixture
def furnished() -> Callable[[], Rows]:
    return _furnished


def _person_in(role: str) -> User | None:
    if role == "anonymous":
        return None
    user = make_user("role@fabrikamcorp.com", is_staff=role in ROLES[3:], is_superuser=role == "superuser")
    if role == "second factor":
        second_factors.give_all(user)
    if role == "viewer":
        user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    if role == "some powers":
        may = ["view_user", "change_user", "add_user", "view_application", "change_application", "view_ssosession"]
        user.user_permissions.set(Permission.objects.filter(codename__in=may))
    return user


def _furnished() -> dict[type[Model], Model]:
    found = rows.one_of_each()
    endpoint = {"signInEndpoint": "https://idp.example.com/sso", "signingCert": certificate(12)}
    make_connection("partner", "samlp", options=endpoint)
    tenant = configuration.load_tenant()
    tenant.support_email, tenant.accent_color = "help@fabrikamcorp.com", "#b00020"
    tenant.session_management = True
    tenant.save()
    return found
