"""Administrators with browsers of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from idp.models import User
from tests.support.factories import browser, make_session, make_user


@pytest.fixture
def boss(db: None) -> User:
    return make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(boss: User) -> Client:
    return browser(make_session(boss))


@pytest.fixture
def tired_admin(boss: User) -> Client:
    """Signed in two hours ago."""
    return browser(make_session(boss, auth_time=timezone.now() - timedelta(hours=2)))


@pytest.fixture
def csrf_admin(boss: User) -> Client:
    return browser(make_session(boss), enforce_csrf_checks=True)


def clerk_with(*codenames: str) -> Client:
    """A member of staff who holds these permissions and no others, just signed in."""
    clerk = make_user("clerk@elsewhere.example", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return browser(make_session(clerk))


@pytest.fixture
def clerk(db: None) -> Client:
    """May do everything about connections and people that can be permitted without being a superuser."""
    kinds = ("connection", "user", "identity")
    return clerk_with(*(f"{act}_{kind}" for act in ("view", "add", "change", "delete") for kind in kinds))
