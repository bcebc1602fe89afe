"""Guessing passwords: who is stopped, and who still gets in."""

from __future__ import annotations

import statistics
import threading
import time
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from idp.connections import database
from idp.connections.database import DatabaseProtocol
from idp.limits import limiter
from idp.models import LimiterSlot
from idp.protocol.errors import TemporarilyUnavailable
from sessions_app.models import SessionEvent, SSOSession
from tests.support.factories import PASSWORD, make_connection, make_user
from tests.support.sign_in import session_of

NOON = datetime(2026, 11, 21, 12, 0, 1, tzinfo=UTC)


def post(client: Client, password: str = "guess", username: str = "mary@fabrikamcorp.com", ip: str = "198.51.100.7"):
    return client.post("/login", {"username": username, "password": password}, REMOTE_ADDR=ip)


def throttle(ip: str = "198.51.100.7") -> None:
    for _ in range(limiter.ACCOUNT.count):
        assert post(Client(), ip=ip).status_code == 200
    assert post(Client(), ip=ip).status_code == 429


@pytest.fixture
def noon():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.mark.spec("RFC 6585", "4", "429 says with Retry-After how long to wait")
@pytest.mark.django_db
def test_an_account_is_throttled_with_a_page_and_retry_after(noon):
    make_user()
    throttle()
    refused = post(Client(), PASSWORD)
    assert refused.status_code == 429
    assert refused["Retry-After"] == str(15 * 60 - 1)
    assert "15 minutes" in refused.content.decode()
    assert not SSOSession.objects.exists()
    assert post(Client(), PASSWORD, "other@fabrikamcorp.com").status_code == 200
    event = SessionEvent.objects.get(type="sign_in_throttled")  # once, not once per attempt
    assert event.data == {"limits": ["account"]}
    noon.shift(15 * 60)
    assert post(Client(), PASSWORD).status_code == 302


@pytest.mark.django_db
def test_unknown_accounts_are_throttled_alike(noon):
    """The limit tells nothing either."""
    make_connection()
    throttle()


@pytest.mark.django_db
def test_right_passwords_do_not_count(noon):
    make_user()
    for _ in range(limiter.ACCOUNT.count + 5):
        assert post(Client(), PASSWORD).status_code == 302
    assert set(LimiterSlot.objects.values_list("count", flat=True)) == {0}


@pytest.mark.django_db
def test_a_browser_that_mary_used_before_still_gets_in(noon):
    make_user()
    home = Client()
    assert post(home, PASSWORD, ip="203.0.113.5").status_code == 302
    del home.cookies[settings.SSO_COOKIE_NAME]
    throttle()
    assert post(home, PASSWORD, ip="192.0.2.99").status_code == 302
    assert session_of(home)


@pytest.mark.django_db
def test_a_network_that_mary_used_before_still_gets_in(noon):
    make_user()
    post(Client(), PASSWORD, ip="203.0.113.5")
    throttle()
    assert post(Client(), PASSWORD, ip="203.0.113.5").status_code == 302
    assert post(Client(), PASSWORD, ip="203.0.113.6").status_code == 429


@pytest.mark.django_db
def test_a_known_browser_may_not_guess_for_ever(noon):
    make_user()
    home = Client()
    post(home, PASSWORD)
    answers = [post(home).status_code for _ in range(100)]
    assert (
        answers.count(200) == limiter.KNOWN.count * 2 + limiter.ACCOUNT.count
    )  # its own, its network's, the account's
    assert answers[-1] == 429


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["", "nonsense", "a.b:c", "x" * 4000])
def test_a_forged_device_cookie_is_worth_nothing(noon, cookie):
    make_user()
    throttle()
    client = Client()
    client.cookies[settings.DEVICE_COOKIE_NAME] = cookie
    assert post(client, PASSWORD).status_code == 429


@pytest.mark.django_db
def test_the_device_cookie_of_one_account_is_worth_nothing_for_another(noon):
    make_user()
    make_user("eve@fabrikamcorp.com")
    eve = Client()
    post(eve, PASSWORD, "eve@fabrikamcorp.com", ip="203.0.113.66")
    throttle()
    assert post(eve, PASSWORD).status_code == 429


def tried_from_one_address(accounts: int, monkeypatch, *, limit: int) -> int:
    """How many of so many accounts somebody gets to try."""
    monkeypatch.setattr(limiter, "ADDRESS", limiter.Limit("address", limit, 900))
    answers = [post(Client(), username=f"user{n}@fabrikamcorp.com").status_code for n in range(accounts)]
    return answers.count(200)


@pytest.mark.django_db
def test_an_address_that_tries_many_accounts_is_stopped(noon, monkeypatch):
    make_user()
    assert tried_from_one_address(40, monkeypatch, limit=30) == 30
    assert post(Client(), PASSWORD, ip="203.0.113.5").status_code == 302


@pytest.mark.django_db
def test_an_attempt_that_was_refused_fills_no_other_limit(noon, monkeypatch):
    """Nothing was tried: else one address that goes on after its limit would close the sign-in to everybody."""
    make_user()
    assert tried_from_one_address(8, monkeypatch, limit=3) == 3
    of_tenant = LimiterSlot.objects.filter(key=limiter.TENANT.key("sign-in").name)
    assert sum(of_tenant.values_list("count", flat=True)) == 3


@pytest.mark.django_db
def test_spraying_from_many_addresses_trips_the_tenants_limit_and_is_audited(noon, monkeypatch):
    monkeypatch.setattr(limiter, "TENANT", limiter.Limit("tenant", 40, 900, shards=2))
    make_user()
    home = Client()
    post(home, PASSWORD, ip="203.0.113.5")
    answers = [post(Client(), username=f"u{n}@x.example", ip=f"10.0.{n}.1").status_code for n in range(120)]
    assert answers.count(200) == 40
    assert SessionEvent.objects.filter(type="sign_in_throttled", data__limits=["tenant"]).count() == 2
    assert post(home, PASSWORD).status_code == 302  # who was here before is not locked out


@pytest.mark.django_db
def test_login_and_confirmation_share_one_counter(noon):
    make_user()
    mary = Client()
    post(mary, PASSWORD)
    del mary.cookies[settings.DEVICE_COOKIE_NAME]
    SSOSession.objects.update(initial_ip="203.0.113.77")
    for _ in range(limiter.ACCOUNT.count):
        assert mary.post("/account/reauthenticate/", {"password": "guess"}).status_code == 200
    assert post(Client(), PASSWORD).status_code == 429
    page = mary.post("/account/reauthenticate/", {"password": PASSWORD})
    assert page.status_code == 200
    assert "Too many" in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_are_counted_before_they_are_checked(monkeypatch):
    make_user()
    checked = []
    monkeypatch.setattr(database, "check_password", lambda *_: False)
    original = DatabaseProtocol.verify

    def verify(self, *args):
        checked.append(1)
        return original(self, *args)

    monkeypatch.setattr(DatabaseProtocol, "verify", verify)
    answers = []

    def attack():
        try:
            answers.extend(post(Client()).status_code for _ in range(10))
        finally:
            connection.close()

    threads = [threading.Thread(target=attack) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 60
    assert len(checked) == limiter.ACCOUNT.count
    assert answers.count(429) == 60 - limiter.ACCOUNT.count


@pytest.mark.django_db
def test_every_refusal_takes_the_same_time():
    """A known login, an unknown one and one without a password; within 10 ms."""
    here = make_connection()
    make_user()
    make_user("unusable@fabrikamcorp.com", password=None)
    protocol = DatabaseProtocol()
    logins = ("mary@fabrikamcorp.com", "nobody@fabrikamcorp.com", "unusable@fabrikamcorp.com")
    times: dict[str, list[float]] = {login: [] for login in logins}
    for login in logins:
        protocol.verify(here, login, "warm-up", timezone.now())
    for _ in range(40):
        for login in logins:
            start = time.thread_time()  # what other processes take of the core is not the server's answer
            assert protocol.verify(here, login, "guess", timezone.now()) is None
            times[login].append(time.thread_time() - start)
    medians = [statistics.median(values) for values in times.values()]
    assert max(medians) - min(medians) < 0.010


@pytest.mark.django_db
def test_passwords_are_hashed_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(database, "_hashing", threading.BoundedSemaphore(1))
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    here = make_connection()
    make_user()
    with database.hashing_slot(), pytest.raises(TemporarilyUnavailable):
        DatabaseProtocol().verify(here, "mary@fabrikamcorp.com", PASSWORD, timezone.now())
    assert DatabaseProtocol().verify(here, "mary@fabrikamcorp.com", PASSWORD, timezone.now())


@pytest.mark.django_db(transaction=True)
def test_right_passwords_among_wrong_ones_at_once_leave_exactly_the_wrong_ones_counted(monkeypatch):
    """A right one gives its slots back with its session, whoever waits for the same rows."""
    monkeypatch.setattr(limiter, "TENANT", limiter.Limit("tenant", 2000, 900))  # one row that everybody writes
    names = [make_user(f"user{number}@fabrikamcorp.com").email for number in range(4)]
    answers = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                right = PASSWORD if (number + turn) % 2 else "guess"
                answers.append(post(Client(), right, names[(number + turn) % len(names)]).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(302), answers.count(200)) == (12, 12)
    for kind in ("account", "address", "tenant"):
        slots = LimiterSlot.objects.filter(key__startswith=f"{kind}:")
        assert sum(slots.values_list("count", flat=True)) == 12


@pytest.mark.django_db
def test_names_that_a_stopped_network_makes_up_leave_no_rows(noon, monkeypatch):
    """14.D7: the address has no attempts left, so that nothing is tried and nothing needs to be counted."""
    monkeypatch.setattr(limiter, "ADDRESS", limiter.Limit("address", 3, limiter.QUARTER))
    make_user()
    statuses = [post(Client(), username=f"invented{number}@example.com").status_code for number in range(30)]
    assert statuses == [200] * 3 + [429] * 27
    assert LimiterSlot.objects.count() <= 3 + 1 + limiter.TENANT.shards


@pytest.mark.django_db
def test_addresses_that_a_stopped_network_makes_up_leave_no_rows(noon, monkeypatch):
    monkeypatch.setattr(limiter, "ADDRESS", limiter.Limit("address", 3, limiter.QUARTER))
    for number in range(12):
        Client().post(
            "/account/password/reset/", {"email": f"invented{number}@example.com"}, REMOTE_ADDR="198.51.100.7"
        )
    assert 0 < LimiterSlot.objects.count() <= 3 + 1
