"""A directory is tried before it is enabled: an administrator's own password at a real Active Directory, and nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from idp.limits import limiter
from idp.models import Connection, Group, Identity, User
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.admin.conftest import clerk_with
from tests.support.factories import browser, make_session, make_user
from tests.support.upstreams.samba import PASSWORD, SUFFIX, Samba

pytestmark = pytest.mark.once


@pytest.fixture
def closed(fabrikam: Connection) -> Connection:
    fabrikam.enabled = False
    fabrikam.save()
    return fabrikam


@pytest.fixture
def admin(db: None) -> Client:
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def way_to(connection: Connection, act: str = "try-password") -> str:
    return reverse("admin:idp_connection_act", args=(connection.pk, act))


def attempt(admin: Client, connection: Connection, name: str = "mary", password: str = PASSWORD) -> Any:
    return admin.post(way_to(connection), {"username": name, "password": password})


def kept() -> dict[str, Any]:
    return {
        "people": list(User.objects.values_list("pk", "last_login", "updated_at")),
        "identities": list(Identity.objects.values_list("pk", "login", "last_login_at", "profile")),
        "groups": list(Group.objects.values_list("pk")),
        "sessions": list(SSOSession.objects.values_list("pk", "auth_time", "ended_at")),
    }


def test_the_administrator_sees_who_they_would_be_and_nothing_is_kept(
    closed: Connection, admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert "Nobody has signed in through it as a test" in admin.get(way_to(closed, "enable")).content.decode()
    page = admin.get(reverse("admin:idp_connection_change", args=(closed.pk,))).content.decode()
    assert way_to(closed) in page.partition("Before people meet it")[2].partition("</section>")[0]
    assert 'type="password"' in admin.get(way_to(closed)).content.decode()
    before = kept()
    response = attempt(admin, closed)
    assert response.status_code == 200
    page = response.content.decode()
    said = ("mary@fabrikamcorp.com, not verified", f"CN=Timesheets,CN=Users,{SUFFIX}", "ad|FabrikamAD|", "mary@ad.test")
    for each in (*said, "Nobody yet"):
        assert each in page, each
    assert PASSWORD not in page
    assert PASSWORD not in caplog.text
    assert kept() == before
    assert not {"curfew_sso"} & response.cookies.keys()
    lines = list(SessionEvent.objects.values_list("type", "connection", "data"))
    assert [(kind, data["act"]) for kind, _, data in lines] == [(EventType.ADMINISTERED, "Sign in as yourself")]
    assert PASSWORD not in str(lines)
    assert "Nobody has signed in" not in admin.get(way_to(closed, "enable")).content.decode()


def test_who_is_known_and_blocked_is_named(closed: Connection, admin: Client) -> None:
    sub = attempt(admin, closed).content.decode().partition("ad|FabrikamAD|")[2][:36]
    mary = make_user("mary@elsewhere.example", is_active=False)
    Identity.objects.create(user=mary, connection=closed, sub=sub)
    assert "mary@elsewhere.example, who is known here, and blocked" in attempt(admin, closed).content.decode()


@pytest.mark.parametrize(
    ("name", "password", "said", "reason"),
    [
        ("mary", "wrong", "knows nobody by this name and password", "an administrator tried the connection"),
        ("nobody", PASSWORD, "knows nobody by this name and password", "an administrator tried the connection"),
        ("expired", PASSWORD, "has expired", "the directory says 701"),
    ],
)
def test_what_went_wrong_is_said_and_audited_as_a_sign_in(
    closed: Connection, domain: Samba, admin: Client, name: str, password: str, said: str, reason: str
) -> None:
    domain.tool("user", "setexpiry", "expired", "--days=-1")
    page = attempt(admin, closed, name, password).content.decode()
    assert "It did not work" in page
    assert said in page
    assert reason in SessionEvent.objects.get(type=EventType.SIGN_IN_FAILED).data["reason"]
    assert "Nobody has signed in" in admin.get(way_to(closed, "enable")).content.decode()


def test_guesses_share_their_budget_with_the_sign_in(
    fabrikam: Connection, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 2, limiter.QUARTER))
    attempt(admin, fabrikam)  # a right one does not count
    for _ in range(2):
        assert attempt(admin, fabrikam, password="wrong").status_code == 200
    refused = attempt(admin, fabrikam)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "too many attempts" in refused.content.decode()
    data = {"username": "mary", "password": PASSWORD}
    assert Client().post("/login", data).status_code == 429


def test_a_directory_that_does_not_answer_uses_up_nothing(
    closed: Connection, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 1, limiter.QUARTER))
    Connection.objects.update(options={**closed.options, "servers": ["ldaps://127.0.0.1:1"]})
    for _ in range(2):
        page = attempt(admin, closed)
        assert page.status_code == 200
        assert "It did not work" in page.content.decode()


def test_who_may_only_look_and_who_is_led_here_by_another_site_try_nothing(closed: Connection, admin: Client) -> None:
    assert attempt(clerk_with("view_connection"), closed).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies
    assert attempt(strict, closed).status_code == 403
    assert not SessionEvent.objects.exists()


def test_of_a_database_of_ours_nothing_is_to_be_tried(admin: Client) -> None:
    own = make_user().identities.get().connection
    assert attempt(admin, own).status_code == 302
