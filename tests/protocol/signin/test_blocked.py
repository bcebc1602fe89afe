"""Who is blocked and knows the password learns why they do not get in, and whom to ask. Nobody else learns anything."""

from __future__ import annotations

import statistics
import time

import pytest
from django.test import Client
from django.utils import timezone

from idp.connections.database import DatabaseProtocol
from idp.limits import limiter
from idp.tenants import configuration
from sessions_app.models import SessionEvent
from tests.support.factories import PASSWORD, browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db
BLOCKED = "an administrator has blocked your account"


@pytest.fixture
def blocked():
    return make_user(is_active=False)


def configure(**values):
    tenant = configuration.load_tenant()
    for name, value in values.items():
        setattr(tenant, name, value)
    tenant.save()


@pytest.mark.parametrize(
    ("settings", "contact"),
    [
        (
            {"support_email": "help@fabrikamcorp.com"},
            '<a href="mailto:help@fabrikamcorp.com">help@fabrikamcorp.com</a>',
        ),
        (
            {"support_url": "https://help.example/"},
            '<a href="https://help.example/" rel="noreferrer">the support of Curfew</a>',
        ),
        ({}, "Please ask your administrator"),
    ],
)
def test_the_right_password_tells_that_they_are_blocked_and_whom_to_ask(blocked, settings, contact):
    configure(**settings)
    client = csrf_client()
    response = sign_in_by_form(client)
    page = response.content.decode()
    assert response.status_code == 200
    assert BLOCKED in page
    assert contact in page
    assert "is wrong" not in page
    assert 'role="alert"' in page
    assert session_of(client) is None
    event = SessionEvent.objects.get()
    assert (event.type, event.sub, event.data) == ("sign_in_failed", blocked.user_id, {"reason": "blocked"})


def test_a_wrong_password_tells_nothing(blocked):
    page = sign_in_by_form(csrf_client(), password="guess").content.decode()
    assert BLOCKED not in page
    assert "E-mail address or password is wrong." in page
    assert SessionEvent.objects.get().data == {}


def test_the_right_password_of_a_blocked_person_is_counted_like_a_wrong_one(blocked):
    answers = [sign_in_by_form(Client()).status_code for _ in range(limiter.ACCOUNT.count + 1)]
    assert answers == [200] * limiter.ACCOUNT.count + [429]


def test_a_blocked_person_costs_as_much_as_nobody(blocked):
    here, protocol = make_connection(), DatabaseProtocol()
    tries = {("mary@fabrikamcorp.com", PASSWORD): [], ("nobody@fabrikamcorp.com", PASSWORD): []}
    for login, password in [*tries] * 20:
        start = time.thread_time()
        protocol.verify(here, login, password, timezone.now())
        tries[login, password].append(time.thread_time() - start)
    medians = [statistics.median(values) for values in tries.values()]
    assert max(medians) - min(medians) < 0.010


def test_who_comes_from_elsewhere_reads_whom_to_ask_too():
    configure(support_email="help@fabrikamcorp.com")
    page = browser(make_session(make_user())).get("/account/inactive/").content.decode()
    assert "Your account is blocked" in page
    assert "mailto:help@fabrikamcorp.com" in page
