"""Your sessions: what the page tells (ASVS 7.5.2)."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from logout_app.models import DeliveryState, LogoutDelivery
from logout_app.protocol import silence
from tests.protocol.account_sessions.conftest import make_family
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
URL = "/account/sessions"


def text_of(client, path=URL):
    """What a person reads, in one line."""
    answer = client.get(path)
    assert answer.status_code == 200
    main = answer.content.decode().split("<main", 1)[1]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)).replace("\xa0", " "))


def cards(client):
    return re.findall(r'<li class="card card-wide device">.*?</form>', client.get(URL).content.decode(), re.S)


def test_this_device_comes_first_and_is_marked(client, desk, phone):
    here, there = cards(client)
    assert "Firefox on Windows" in here
    assert "This device" in here
    assert "Safari on iPhone" in there
    assert "This device" not in there


def test_a_card_tells_activity_address_connection_beginning_and_apps(client, phone):
    text = text_of(client)
    since = phone.created_at.strftime(f"{phone.created_at.day} %b %Y, %H:%M UTC")
    assert "Active 2 minutes ago, from 2001:db8::1 ." in text
    assert f"Signed in through FabrikamAD since {since} ." in text
    assert re.search(r"Intranet Timesheet Sign out : Safari on iPhone, active 2 minutes ago", text)
    assert "Active just now, from 192.0.2.7" in text


def test_the_connection_has_the_name_that_people_know(mary):
    okta = make_connection("acme-okta", "okta", display_name="Acme Okta")
    assert "through Acme Okta" in text_of(browser(make_session(mary, connection=okta)))


def test_a_session_without_connection_application_agent_and_address_has_a_card_too(mary):
    text = text_of(browser(make_session(mary, connection=None)))
    assert "Unknown browser This device Active just now" in text
    assert "Signed in since" in text
    assert "No app is open in it." in text


def test_what_has_ended_or_is_past_its_limits_is_not_shown(client, mary):
    now = timezone.now()
    make_session(mary, ended_at=now - timedelta(hours=1), end_initiator="rp-logout")
    make_session(mary, idle_expires_at=now - timedelta(seconds=1))
    make_session(mary, expires_at=now - timedelta(seconds=1))
    assert len(cards(client)) == 1


def test_nothing_of_somebody_else_is_shown(client):
    bob = make_user("bob@fabrikamcorp.com")
    app = make_application("Secret plans")
    make_session(bob, app, last_ip="203.0.113.9")
    make_family(bob, app)
    text = text_of(client)
    assert "Secret plans" not in text
    assert "203.0.113.9" not in text
    assert len(cards(client)) == 1


def test_offline_refresh_tokens_stay_signed_in_by_themselves(client, mary):
    now = timezone.now()
    used = make_family(mary, make_application("Mail app"), last_exchanged_at=now - timedelta(hours=3))
    make_family(mary, make_application("Command line"))
    text = text_of(client)
    assert text.index("Stays signed in by itself") < text.index("Command line") < text.index("Mail app")
    assert re.search(rf"Mail app Since {used.created_at.day} \w+ \d+, [\d:]+ UTC , last used 3 hours ago", text)
    assert "not used yet" in text


def test_refresh_tokens_that_are_dead_or_die_with_their_session_are_not_shown(client, mary, desk):
    now, app = timezone.now(), make_application("Mail app")
    make_family(mary, app, revoked_at=now, revoke_reason="revoked")
    make_family(mary, app, expires_at=now)
    make_family(mary, app, idle_expires_at=now)
    make_family(mary, app, offline=False, session=desk)
    assert "Stays signed in by itself" not in text_of(client)


def test_a_family_outlives_the_session_that_began_it(client, mary):
    ended = make_session(mary, ended_at=timezone.now() - timedelta(days=1), end_initiator="rp-logout")
    make_family(mary, make_application("Mail app"), session=ended)
    assert "Mail app" in text_of(client)


def test_names_of_devices_and_applications_are_text(mary):
    app = make_application("<b>bold</b>", client_id="bold")
    session = make_session(mary, app, last_user_agent="<script>alert(1)</script>")
    page = browser(session).get(URL).content.decode()
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert "<script>alert" not in page


def test_one_device_offers_nothing_for_others(client, desk):
    text = text_of(client)
    assert "Sign out of all other devices" not in text
    assert "Sign out everywhere" in text


def test_the_home_page_leads_here(client):
    assert f'href="{URL}"' in client.get("/").content.decode()


def test_without_a_session_the_login_page_comes_and_leads_back():
    for client in (Client(), browser(None)):
        answer = client.get(URL)
        assert (answer.status_code, answer["Location"]) == (302, "/login?next=/account/sessions")


def test_the_page_is_kept_by_no_cache_and_runs_nothing_inline(client, phone):
    answer = client.get(URL)
    assert answer["Cache-Control"] == "no-store"
    assert not re.search(r"<style|style=|\son\w+=|<script(?! src=)", answer.content.decode())


def test_no_cookie_value_is_in_the_page(client, desk, phone):
    page = client.get(URL).content.decode()
    for session in (desk, phone):
        assert session.raw_cookie not in page
        assert session.cookie_hash not in page


def test_the_number_of_statements_is_the_same_for_two_and_for_twenty(mary, intranet, timesheet):
    """The cookie's session; sessions and their applications; families; browsers that are
    remembered; what just ended, its applications and deliveries."""
    here = make_session(mary, intranet)

    def statements(count):
        for _ in range(count):
            make_session(mary, intranet, timesheet)
            make_family(mary, intranet)
            ended = make_session(mary, intranet, timesheet)
            browser(here).post(URL, {"act": "sign-out", "sid": ended.sid})
        with CaptureQueriesContext(connection) as captured:
            assert browser(here).get(URL).status_code == 200
        return len(captured)

    browser(here).get(URL)
    assert statements(2) == statements(18) <= 9


# --- after signing another device out --------------------------------------------------------------------------------
def told(client):
    page = client.get(URL).content.decode()
    counts = re.findall(r"data-told>([^<]+)<", page)
    return counts, re.findall(r'class="app-row" data-state="(\w+)"', page), "http-equiv" in page


def answer_of(application, state):
    finished_at = None if state == DeliveryState.PENDING else timezone.now()
    LogoutDelivery.objects.filter(application=application).update(state=state, finished_at=finished_at)


def test_the_page_tells_which_apps_were_told_and_looks_again_until_they_are(client, phone, intranet, timesheet):
    client.post(URL, {"act": "sign-out", "sid": phone.sid})
    assert told(client) == (["0 of 2 apps told"], ["pending", "pending"], True)
    answer_of(intranet, DeliveryState.DELIVERED)
    assert told(client) == (["1 of 2 apps told"], ["delivered", "pending"], True)
    answer_of(timesheet, DeliveryState.DELIVERED)
    assert told(client) == (["2 of 2 apps told"], ["delivered", "delivered"], False)


def test_an_app_that_does_not_answer_in_time_is_said_to_be_tried_again(client, phone, intranet):
    client.post(URL, {"act": "sign-out", "sid": phone.sid})
    answer_of(intranet, DeliveryState.DELIVERED)
    with time_machine.travel(timezone.now() + timedelta(seconds=30)):
        assert told(client) == (["1 of 2 apps told"], ["delivered", "dead"], False)
        assert "We keep trying in the background" in text_of(client)


def test_an_app_that_only_a_browser_could_tell_says_so(client, mary):
    front = make_application("Front", frontchannel_logout_uri="https://front.example/out")
    session = make_session(mary, front)
    client.post(URL, {"act": "sign-out", "sid": session.sid})
    assert told(client) == (["No app of it can be told from here"], ["unreachable"], False)
    assert "Cannot be signed out from here" in text_of(client)
    assert "Front was not told" in text_of(client)
    assert LogoutDelivery.objects.get().last_reason == silence.NO_BROWSER


def test_it_is_told_for_ten_minutes(client, phone):
    client.post(URL, {"act": "sign-out", "sid": phone.sid})
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "Signed out a moment ago" not in text_of(client)


def test_what_others_ended_is_not_told_as_the_persons_own(client, mary):
    make_session(mary, ended_at=timezone.now(), end_initiator="session-revoked", end_actor="admin:auth0|1")
    make_session(mary, ended_at=timezone.now(), end_initiator="rp-logout", end_actor="user")
    assert "Signed out a moment ago" not in text_of(client)
