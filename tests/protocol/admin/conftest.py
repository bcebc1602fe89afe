"""Administrators with browsers of their own."""

from __future__ import annotations

from datetime import timedelta

import pytest
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
