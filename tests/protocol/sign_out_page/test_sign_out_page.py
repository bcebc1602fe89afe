"""The sign-out page: its capability, its rows, its headers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from logout_app.browser import transactions
from logout_app.models import Channel, DeliveryState, LogoutDelivery, LogoutTransaction
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
OUT = "https://both.example/out"


@pytest.fixture
def both():
    return make_application(
        "Both",
        client_id="both",
        post_logout_redirect_uris=OUT,
        backchannel_logout_uri="https://both.example/bc",
        frontchannel_logout_uri="https://both.example/fc?x=1",
        frontchannel_logout_session_required=True,
    )


@pytest.fixture
def front():
    return make_application("Front", client_id="front", frontchannel_logout_uri="https://front.example/fc")


@pytest.fixture
def session(both, front):
    return make_session(make_user(), both, front, make_application("Silent <b>", client_id="silent"))


class Page:
    def __init__(self, session):
        self.client = browser(session)
        answer = self.client.get("/v2/logout", {"client_id": "both", "returnTo": OUT}, headers=PAGE_VISIT)
        self.url = answer["Location"]

    def get(self, query=""):
        return self.client.get(self.url + query)

    def states(self):
        return {row["app"]: row["state"] for row in self.client.get(self.url + "/status").json()["rows"]}

    def outcome(self, application, outcome):
        return self.client.post(self.url + "/outcome", {"application": application.pk, "outcome": outcome})

    def retry(self, application, **headers):
        return self.client.post(self.url + "/retry", {"application": application.pk}, headers=headers)


@pytest.fixture
def page(session):
    return Page(session)


def back(application, state):
    LogoutDelivery.objects.filter(application=application, channel=Channel.BACKCHANNEL).update(
        state=state, finished_at=None if state == DeliveryState.PENDING else timezone.now()
    )


def front_state(application):
    return LogoutDelivery.objects.get(application=application, channel=Channel.FRONTCHANNEL).state


def test_every_application_of_the_session_has_a_row(page, session):
    html = page.get().content.decode()
    assert re.findall(r'data-state="(\w+)"', html) == ["pending", "pending", "unreachable"]
    assert "Cannot be signed out from here" in html
    assert "Silent &lt;b&gt;" in html
    assert "Silent <b>" not in html
    assert OUT in html
    assert f"https://both.example/fc?x=1&amp;iss=http%3A%2F%2Flocalhost%3A8000%2F&amp;sid={session.sid}" in html


def test_its_headers_let_in_the_applications_frames_and_nothing_else(page):
    response = page.get()
    policy = response["Content-Security-Policy"]
    assert "frame-src https://both.example https://front.example" in policy
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "nonce" not in policy
    assert response["X-Frame-Options"] == "DENY"
    html = response.content.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", html)
    assert set(re.findall(r'sandbox="([^"]*)"', html)) == {"allow-scripts allow-same-origin allow-forms"}
    assert set(re.findall(r'<iframe[^>]*referrerpolicy="([^"]*)"', html)) == {"no-referrer"}


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert(1)", "data:text/html,x", "http://localhost:8000/admin", "https://x.example/;script-src *"],
)
def test_an_address_that_must_not_be_framed_is_not_even_if_it_is_in_the_database(both, front, session, uri):
    type(front).objects.filter(pk=front.pk).update(frontchannel_logout_uri=uri)
    page = Page(session)
    response = page.get()
    html = response.content.decode()
    assert uri not in html
    assert "frame-src https://both.example;" in response["Content-Security-Policy"] + ";"
    assert re.findall(r'data-state="(\w+)"', html) == ["pending", "unreachable", "unreachable"]


@pytest.mark.parametrize("who", ["another browser", "no cookie", "random token", "too late"])
def test_only_the_browser_that_signed_out_sees_it_and_only_for_ten_minutes(page, session, who):
    url, client = page.url, page.client
    if who == "another browser":
        client = Client()
        client.cookies["curfew_logout"] = "x" * 43
    if who == "no cookie":
        client = Client()
    if who == "random token":
        url = "/logout/" + "x" * 43
    later = timezone.now() + timedelta(minutes=11 if who == "too late" else 0)
    with time_machine.travel(later, tick=False):
        answers = [
            client.get(url),
            client.get(url + "/status"),
            client.post(url + "/retry", {"application": 1}),
            client.post(url + "/outcome", {"application": 1, "outcome": "loaded"}),
        ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert all("Both" not in answer.content.decode() for answer in answers)


def test_two_pages_of_one_browser_live_side_by_side(page, session, both):
    page.client.cookies["curfew_sso"] = (second := make_session(session.user, both)).raw_cookie
    answer = page.client.get("/v2/logout", {"client_id": "both"}, headers=PAGE_VISIT)
    assert second.pk
    assert page.client.get(answer["Location"]).status_code == page.get().status_code == 200


def test_secrets_are_stored_hashed(page):
    row = LogoutTransaction.objects.get()
    token = page.url.removeprefix("/logout/")
    assert token not in (row.token_hash, row.browser_hash)
    assert page.client.cookies["curfew_logout"].value not in (row.token_hash, row.browser_hash)
    assert page.client.cookies["curfew_logout"]["httponly"]


def test_polling_costs_one_statement(page, django_assert_num_queries):
    with django_assert_num_queries(1):
        page.states()


def test_the_back_channel_turns_a_row_green(page, both, front):
    back(both, DeliveryState.DELIVERED)
    rows = page.client.get(page.url + "/status").json()["rows"]
    assert {row["app"]: row["state"] for row in rows} == {both.pk: "delivered", front.pk: "pending"}
    assert next(row["ms"] for row in rows if row["app"] == both.pk) >= 0


def test_a_page_that_loaded_is_not_green(page, both, front):
    assert page.outcome(front, "loaded").status_code == 204
    assert page.states()[front.pk] == "loaded"
    assert "Page loaded, not confirmed" in page.get().content.decode()


def test_an_acknowledgement_is_green_also_after_a_load(page, front):
    page.outcome(front, "loaded")
    page.outcome(front, "acknowledged")
    assert page.states()[front.pk] == "delivered"
    page.outcome(front, "no_answer")
    page.outcome(front, "loaded")
    assert front_state(front) == "delivered"


def test_no_answer_in_time_is_red_and_a_late_one_still_turns_it_green(page, both, front):
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=False):
        assert page.states() == {both.pk: "dead", front.pk: "dead"}
        html = page.get().content.decode()
        assert "Try again" in html
        assert "We keep trying in the background" in html
        back(both, DeliveryState.DELIVERED)
        page.outcome(front, "no_answer")
        page.outcome(front, "acknowledged")
        assert page.states() == {both.pk: "delivered", front.pk: "delivered"}
        assert (
            "<h1 data-headline>You are signed out everywhere" not in page.get().content.decode()
        )  # one could not be told


def test_a_back_channel_that_failed_is_red_although_the_page_loaded(page, both, front):
    """A browser loads error pages too."""
    page.outcome(both, "loaded")
    page.outcome(front, "acknowledged")
    rows = LogoutDelivery.objects.filter(application=both, channel=Channel.BACKCHANNEL)
    rows.update(attempts=1, last_status=500, last_reason="500: broken")
    assert page.states()[both.pk] == "pending"  # it is tried again within the time for an answer
    with time_machine.travel(timezone.now() + timedelta(seconds=6), tick=False):
        assert page.states()[both.pk] == "dead"
        for query in ("", "?plain"):
            html = page.get(query).content.decode()
            assert re.findall(r'data-state="(\w+)"', html) == ["dead", "delivered", "unreachable"]
            assert "Answered with an error" in html
            assert "1 app did not sign you out" in html
            assert "Try again" in html


def test_everything_green_says_everywhere(both):
    page = Page(make_session(make_user(), both))
    back(both, DeliveryState.DELIVERED)
    assert "You are signed out everywhere" in page.get().content.decode()


def test_try_again_makes_the_row_due_and_the_frame_open(page, both):
    back(both, DeliveryState.DEAD)
    page.outcome(both, "no_answer")
    later = timezone.now() + timedelta(minutes=1)
    LogoutDelivery.objects.update(due_at=later)
    assert page.retry(both).status_code == 303
    rows = LogoutDelivery.objects.filter(application=both)
    assert {row.state for row in rows} == {"pending"}
    assert all(row.due_at < later for row in rows)
    assert page.retry(both, **{"Sec-Fetch-Dest": "empty"}).status_code == 204


def test_try_again_leaves_what_was_delivered(page, both):
    back(both, DeliveryState.DELIVERED)
    page.retry(both)
    assert LogoutDelivery.objects.get(application=both, channel="backchannel").state == "delivered"


@pytest.mark.parametrize("application", ["", "x", "-1", "1.5", "9" * 30, "²"])
def test_nonsense_is_refused(page, application):
    data = {"application": application, "outcome": "loaded"}
    assert page.client.post(page.url + "/outcome", data).status_code == 400
    assert page.client.post(page.url + "/retry", data).status_code == 400


def test_an_unknown_outcome_is_refused(page, front):
    assert page.outcome(front, "green").status_code == 400
    assert front_state(front) == "pending"


def test_an_application_of_another_page_is_not_touched(page, session, both):
    other = Page(make_session(session.user, both))
    page.outcome(both, "acknowledged")
    assert other.states()[both.pk] == "pending"


def test_posts_need_csrf(page, session, front):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = page.client.cookies
    response = strict.post(page.url + "/outcome", {"application": front.pk, "outcome": "acknowledged"})
    assert response.status_code == 403
    assert front_state(front) == "pending"


def test_without_javascript_the_result_comes_with_a_reload_and_frames_load_once(page, both):
    html = page.get().content.decode()
    assert re.search(r'<noscript><meta http-equiv="refresh" content="3;url=[^"]+\?plain"></noscript>', html)
    assert len(re.findall(r"<iframe", html)) == 2
    back(both, DeliveryState.DELIVERED)
    plain = page.get("?plain")
    assert "<iframe" not in plain.content.decode()
    assert "frame-src" not in plain["Content-Security-Policy"]
    assert re.findall(r'data-state="(\w+)"', plain.content.decode()) == ["delivered", "loaded", "unreachable"]


def test_logos_come_over_https_only(session, both):
    type(both).objects.filter(pk=both.pk).update(logo_uri="javascript:alert(1)")
    assert "javascript:" not in Page(session).get().content.decode()


def test_frames_whose_page_was_closed_are_given_up(page, front):
    assert transactions.give_up_unanswered(timezone.now()) == 0
    assert transactions.give_up_unanswered(timezone.now() + timedelta(minutes=11)) == 2
    assert front_state(front) == "dead"


def test_the_session_was_over_before_the_page(page, session):
    session.refresh_from_db()
    assert session.ended_at is not None


def test_after_the_person_was_deleted_the_page_still_stands(page, session):
    session.user.delete()
    assert page.get().status_code == 200
