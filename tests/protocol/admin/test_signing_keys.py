"""Pages of the signing keys: what is seen of each, and the two acts, of superusers alone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.crypto import keys
from idp.models import SigningKey
from idp.people.console_roles import ROLES
from logout_app.operators import doctor
from sessions_app.models import SessionEvent
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def key() -> SigningKey:
    keys.ensure()
    return SigningKey.objects.get(algorithm="RS256")


def act(key: SigningKey, name: str) -> str:
    return reverse("admin:idp_signingkey_act", args=(key.pk, name))


def superuser() -> Client:
    return browser(make_session(make_user(is_staff=True, is_superuser=True)))


def test_each_key_is_shown_with_its_state_and_its_dates_and_both_acts_ask_first(key: SigningKey) -> None:
    make_application()
    client = superuser()
    page = client.get(reverse("admin:idp_signingkey_changelist")).content.decode()
    assert key.kid in page
    assert "Signs from" in page
    asks = client.get(act(key, "withdraw"))
    assert "1 application of today" in asks.content.decode()
    assert "10 min at most" in asks.content.decode()
    key.refresh_from_db()
    assert key.status == "active"
    assert client.post(act(key, "rotate")).status_code == 302
    assert SigningKey.objects.filter(status="next").count() == len(keys.ALGORITHMS)
    client.post(act(key, "withdraw"))
    key.refresh_from_db()
    assert key.status == "gone"
    lines = SessionEvent.objects.filter(type="signing_key_moved", data__kid=key.kid)
    assert [(line.data["act"], line.actor.startswith("admin:"), line.ip) for line in lines] == [
        ("withdrawn", True, "127.0.0.1")
    ]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.group)
def test_no_role_moves_a_key(key: SigningKey, role) -> None:
    person = make_user(is_staff=True)
    person.groups.add(Group.objects.get(name=role.group))
    client = browser(make_session(person), raise_request_exception=False)
    for name in ("rotate", "withdraw"):
        assert client.post(act(key, name)).status_code == 403
    key.refresh_from_db()
    assert (key.status, SigningKey.objects.count()) == ("active", len(keys.ALGORITHMS))


def test_a_key_that_nobody_rotates_is_named_by_doctor_and_metrics_tell_its_age(key: SigningKey, settings) -> None:
    now = timezone.now()
    assert [level for level, _ in doctor._keys(now)] == ["ok"]
    SigningKey.objects.update(activated_at=now - timedelta(days=settings.SIGNING_KEY_DAYS + 2))
    ((level, sentence),) = doctor._keys(now)
    assert level == "warning"
    assert "RS256" in sentence
    told = re.search(
        r'curfew_signing_key_age_seconds\{algorithm="RS256"\} (\S+)', Client().get("/metrics").content.decode()
    )
    assert told
    assert float(told[1]) == pytest.approx((settings.SIGNING_KEY_DAYS + 2) * 86400, abs=600)
