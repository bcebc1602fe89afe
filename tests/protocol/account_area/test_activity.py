"""What happened to somebody's account, for that person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.people import accounts
from logout_app.evidence import activity
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent
from tests.protocol.account_area.conftest import DESK
from tests.protocol.account_area.test_pages import text_of
from tests.support import second_factors
from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
URL = "/account/activity"


def line(kind, user, **fields):
    return SessionEvent.objects.create(type=kind, sub=user.user_id, **{"at": timezone.now(), **fields})


def test_it_tells_sign_ins_failures_and_applications_newest_first(client, mary, photos):
    at = timezone.now()
    from_desk = {"user_agent": DESK, "connection": "FabrikamAD"}
    line("sign_in_failed", mary, at=at - timedelta(minutes=3), ip="203.0.113.9", **from_desk)
    line("opened", mary, at=at - timedelta(minutes=2), ip="192.0.2.7", **from_desk)
    line("joined", mary, at=at - timedelta(minutes=1), client_id="photo-prints", ip="192.0.2.7")
    text = text_of(client, URL)
    assert "You signed in. Firefox on Windows, 192.0.2.7, through FabrikamAD" in text
    assert "! Look at this A sign-in failed. Firefox on Windows, 203.0.113.9" in text
    assert text.index("You opened Photo Prints.") < text.index("You signed in.") < text.index("A sign-in failed.")
    assert f"{at - timedelta(minutes=1):%H:%M} UTC" in text


def test_a_sign_out_says_who_was_told(mary, desk, photos):
    line("opened", mary, sid=desk.sid, user_agent=DESK)
    here = browser(make_session(mary))
    here.post("/account/sessions", {"act": "sign-out", "sid": desk.sid})
    assert "You were signed out. Firefox on Windows Being told: Photo Prints" in text_of(here, URL)


def test_password_and_factors_are_told(mary):
    second_factors.give_all(mary)
    accounts.set_password(mary, "another long password of mine", actor="admin:auth0|boss")
    text = text_of(browser(make_session(mary, auth_time=timezone.now() + timedelta(seconds=1))), URL)
    assert "Your password was changed by an administrator." in text
    assert "An authenticator app was added." in text
    assert "A security key was added." in text
    assert "A new set of recovery codes was added." in text


def test_nothing_of_other_people_is_told(client, mary):
    bob = make_user("bob@fabrikamcorp.com")
    line("sign_in_failed", bob, ip="203.0.113.77")
    admin = {"actor": f"admin:{bob.user_id}", "ip": "203.0.113.78", "user_agent": "Boss/1.0"}
    line("second_factors_reset", mary, data={"factors": ["totp"]}, **admin)
    page = client.get(URL).content.decode()
    assert "All your second factors were taken away by an administrator." in page
    for secret in ("203.0.113.77", "203.0.113.78", "Boss", bob.user_id, "bob@"):
        assert secret not in page


def test_thirty_days_and_known_kinds_only(client, mary):
    line("opened", mary, at=timezone.now() - timedelta(days=31), ip="203.0.113.1")
    line("a_later_kind", mary, ip="203.0.113.2")
    assert "Nothing happened." in text_of(client, URL)


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "1' OR 1=1"])
def test_it_has_pages_and_none_that_is_an_error(client, mary, page):
    for number in range(35):
        line("joined", mary, client_id=f"app-{number}", at=timezone.now() - timedelta(minutes=number))
    assert "Page 1 of 2" in text_of(client, URL)
    assert "You opened app-34." in text_of(client, f"{URL}?page=2")
    assert client.get(URL, {"page": page}).status_code == 200


def test_more_lines_are_no_more_statements(client, mary):
    line("ended", mary, sid="s", initiator="rp-logout", actor="user", data={"event": 1})
    with CaptureQueriesContext(connection) as few:
        client.get(URL)
    for number in range(20):
        line("ended", mary, sid=f"s{number}", initiator="rp-logout", actor="user", data={"event": number})
    with CaptureQueriesContext(connection) as many:
        client.get(URL)
    assert len(many) <= len(few)


@pytest.mark.parametrize("kind", activity.SENTENCES)
@pytest.mark.parametrize("data", [{}, {"event": None, "factor": "later"}])
def test_every_kind_is_a_sentence(client, mary, kind: EventType, data):
    line(kind, mary, initiator="session-revoked" if kind is EventType.ENDED else "", data=data)
    text = text_of(client, URL)
    assert "{" not in text
    assert "Nothing happened." not in text
