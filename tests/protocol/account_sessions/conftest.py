"""Mary at her desk and on her telephone, with the applications that she opened there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import Application, User
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import browser, make_application, make_session, make_user

DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"
ALL = {"backchannel_logout_initiators_mode": "all"}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"


@pytest.fixture
def mary() -> User:
    return make_user()


@pytest.fixture
def intranet() -> Application:
    return make_application("Intranet", backchannel_logout_uri="https://intranet.example/bc", **ALL)


@pytest.fixture
def timesheet() -> Application:
    return make_application("Timesheet", backchannel_logout_uri="https://timesheet.example/bc", **ALL)


@pytest.fixture
def desk(mary: User, intranet: Application) -> SSOSession:
    """The session in which Mary looks at the page."""
    return make_session(mary, intranet, last_user_agent=DESK, last_ip="192.0.2.7")


@pytest.fixture
def phone(mary: User, intranet: Application, timesheet: Application) -> SSOSession:
    seen = timezone.now() - timedelta(minutes=2, seconds=5)
    return make_session(
        mary, intranet, timesheet, last_user_agent=PHONE, last_ip="2001:db8::1", last_seen_at=seen, created_at=seen
    )


@pytest.fixture
def client(desk: SSOSession) -> Client:
    return browser(desk)


def make_family(user: User, application: Application, **fields: object) -> RefreshTokenFamily:
    given = {"offline": True, "auth_time": timezone.now(), **fields}
    return RefreshTokenFamily.objects.create(user=user, application=application, **given)
