"""Strangers use up budgets; the owner still gets in, and guessing stays bounded."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.limits import limiter
from idp.models import LimiterSlot, User
from idp.people import accounts
from sessions_app.models import SessionEvent
from sessions_app.signin.attempts import Factor
from sessions_app.tasks import send_mails
from tests.support.factories import PASSWORD, make_connection, make_user
from tests.support.sign_in import session_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXP"
HOME, WORK, STRANGER = "203.0.113.5", "203.0.113.99", "198.51.100.7"


@pytest.fixture(autouse=True)
def noon():
    cache.clear()
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def mary() -> User:
    user = make_user()
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": get_mfa_adapter().encrypt(SECRET)}
    )
    RecoveryCodes.activate(user)
    return user


def recovery_code(user: User) -> str:
    row = Authenticator.objects.get(user=user, type=Authenticator.Type.RECOVERY_CODES)
    return RecoveryCodes(row).get_unused_codes()[0]


def app_code() -> str:
    return totp.format_hotp_value(totp.hotp_value(SECRET, next(iter(totp.yield_hotp_counters_from_time()))))


def password(client: Client, ip: str, value: str = PASSWORD, username: str = "mary@fabrikamcorp.com") -> int:
    return client.post("/login", {"username": username, "password": value}, REMOTE_ADDR=ip).status_code


def give(client: Client, code: str, ip: str) -> bool:
    """Whether the code was taken."""
    return client.post(reverse("mfa_authenticate"), {"code": code}, REMOTE_ADDR=ip).status_code == 302


def wrong_codes(code: str, ips: list[str], count: int) -> None:
    """Of somebody who knows the password."""
    for ip in ips:
        stranger = Client()
        assert password(stranger, ip) == 302
        for _ in range(count):
            assert not give(stranger, code, ip)


# --- second factors ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong", ["000000", "000 000", "00000000", "nonsense"])
def test_fourteen_wrong_codes_of_somebody_with_the_password_do_not_lock_out_the_recovery_code(mary, wrong):
    wrong_codes(wrong, [STRANGER], 14)
    owner = Client()
    password(owner, STRANGER)
    assert give(owner, recovery_code(mary), STRANGER)
    assert session_of(owner)


def test_wrong_recovery_codes_do_not_lock_out_the_app(mary):
    wrong_codes("00000000", [STRANGER, WORK], limiter.RECOVERY.count)
    owner = Client()
    password(owner, HOME)
    assert give(owner, app_code(), HOME)


def test_one_network_cannot_use_up_what_the_owner_has_elsewhere(mary):
    wrong_codes("000000", [STRANGER], 3 * limiter.CODE.count)
    owner = Client()
    password(owner, HOME)
    assert give(owner, app_code(), HOME)


def test_a_browser_in_which_both_factors_were_proved_has_a_budget_of_its_own(mary, noon):
    owner = Client()
    password(owner, HOME)
    assert give(owner, app_code(), HOME)
    del owner.cookies[settings.SSO_COOKIE_NAME]
    noon.shift(30)
    wrong_codes("000000", [f"10.0.{n}.1" for n in range(4)], limiter.CODE.count)
    wrong_codes("00000000", [f"10.0.{n}.1" for n in range(4)], limiter.RECOVERY.count)
    password(owner, WORK)
    assert give(owner, app_code(), WORK)


def test_a_network_in_which_both_factors_were_proved_has_a_budget_of_its_own(mary, noon):
    before = Client()
    password(before, HOME)
    assert give(before, app_code(), HOME)
    noon.shift(30)
    wrong_codes("000000", [f"10.0.{n}.1" for n in range(4)], limiter.CODE.count)
    fresh = Client()
    password(fresh, HOME)
    assert give(fresh, app_code(), HOME)


def test_a_password_alone_makes_no_browser_known(mary):
    stranger = Client()
    password(stranger, STRANGER)
    assert settings.DEVICE_COOKIE_NAME not in stranger.cookies


@pytest.mark.parametrize(
    ("wrong", "quarter", "day"), [("000000", "CODE", "CODE_DAY"), ("00000000", "RECOVERY", "RECOVERY_DAY")]
)
def test_guessing_codes_is_bounded_from_however_many_networks(mary, noon, monkeypatch, wrong, quarter, day):
    """At small numbers."""
    monkeypatch.setattr(limiter, quarter, limiter.Limit(quarter, 4, limiter.QUARTER))
    monkeypatch.setattr(limiter, day, limiter.Limit(day, 10, limiter.DAY))
    tried = 0
    for window in range(4):
        before = SessionEvent.objects.filter(type="second_factor_failed").count()
        wrong_codes(wrong, [f"10.{window}.{n}.1" for n in range(3)], getattr(limiter, quarter).count)
        now = SessionEvent.objects.filter(type="second_factor_failed").count()
        assert now - before <= getattr(limiter, quarter).count
        tried = now
        noon.shift(limiter.QUARTER)
    assert tried == getattr(limiter, day).count
    told = [event.data["limits"] for event in SessionEvent.objects.filter(type="second_factor_throttled")]
    assert sum(getattr(limiter, day).kind in limits for limits in told) == 1


def test_a_new_password_begins_a_new_day(mary, noon, monkeypatch):
    monkeypatch.setattr(limiter, "CODE", limiter.Limit("code", 4, limiter.QUARTER))
    monkeypatch.setattr(limiter, "CODE_DAY", limiter.Limit("code-day", 6, limiter.DAY))
    for window in range(2):
        wrong_codes("000000", [f"10.{window}.{n}.1" for n in range(3)], limiter.CODE.count)
        noon.shift(limiter.QUARTER)
    owner = Client()
    password(owner, HOME)
    assert not give(owner, app_code(), HOME)
    accounts.set_password(User.objects.get(), "another long password", actor="user")
    assert password(owner, HOME, "another long password") == 302
    assert give(owner, app_code(), HOME)


def test_nobody_can_lock_out_a_security_key_from_another_network(mary):
    stranger = Client()
    password(stranger, STRANGER)
    for _ in range(limiter.SECURITY_KEY.count + 1):
        stranger.post(reverse("mfa_authenticate"), {"credential": '{"id": "x"}'}, REMOTE_ADDR=STRANGER)
    full = [slot.key for slot in LimiterSlot.objects.filter(key__startswith="security-key", count__gt=0)]
    assert full == [limiter.SECURITY_KEY.key(mary.pk, Factor.SECURITY_KEY, STRANGER).name]


# --- passwords -----------------------------------------------------------------------------------------------------------
def test_ten_networks_cannot_close_the_sign_in_to_everybody(monkeypatch):
    """2,000 wrong passwords from few networks, at a tenth of the numbers."""
    monkeypatch.setattr(limiter, "TENANT", limiter.Limit("tenant", 500, 900))
    monkeypatch.setattr(limiter, "PRESSURE", 100)
    monkeypatch.setattr(limiter, "ADDRESS", limiter.Limit("address", 20, 900))
    make_user()
    answers = [
        password(Client(), f"10.0.{network}.1", "guess", f"u{network}.{n}@x.example")
        for network in range(10)
        for n in range(20)
    ]
    assert answers[:100] == [200] * 100
    assert answers.count(200) == 100 + 5 * limiter.UNDER_PRESSURE
    assert password(Client(), WORK) == 302
    events = [event.data["limits"] for event in SessionEvent.objects.filter(type="sign_in_throttled")]
    assert events.count(["pressure"]) == 1


def test_two_thousand_wrong_passwords_from_as_many_networks_leave_the_sign_in_open():
    make_user()
    at = timezone.now()
    for n in range(2000):
        key = limiter.ADDRESS.key(f"10.{n // 250}.{n % 250}.1")
        limiter.reserve([key, limiter.TENANT.key("sign-in")], at)
    assert password(Client(), WORK) == 302


def test_guessing_is_bounded_for_the_whole_tenant(monkeypatch):
    monkeypatch.setattr(limiter, "TENANT", limiter.Limit("tenant", 30, 900))
    monkeypatch.setattr(limiter, "PRESSURE", 10)
    make_connection()
    answers = [password(Client(), f"10.1.{n}.1", "guess", f"u{n}@x.example") for n in range(50)]
    assert answers.count(200) == 30
    assert answers[-1] == 429


def test_a_link_of_a_mail_opens_the_browser_in_which_it_was_used(mary):
    for _ in range(limiter.ACCOUNT.count + 1):
        password(Client(), STRANGER, "guess")
    owner, new = Client(), "a completely new passphrase"
    assert password(owner, WORK) == 429
    owner.post(reverse("account_reset_password"), {"email": "mary@fabrikamcorp.com"}, REMOTE_ADDR=WORK)
    send_mails()
    bodies = " ".join(sent.body for sent in mail.outbox)  # one of them tells of a second factor
    link = re.search(r"http://localhost:8000(/account/password/reset/key/\S+)", bodies)
    form = owner.get(link[1], REMOTE_ADDR=WORK)["Location"]
    owner.post(form, {"password1": new, "password2": new}, REMOTE_ADDR=WORK)
    assert password(Client(), WORK, new) == 429
    assert password(owner, WORK, new) == 302
    for _ in range(limiter.CODE.count):
        give(owner, "000000", WORK)
    assert not give(owner, app_code(), WORK)  # a mailbox is no second factor: it gives no budget for codes
