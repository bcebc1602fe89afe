"""The audit trail is found by what an administrator knows of a person, a place or an act."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines() -> dict[str, SessionEvent]:
    """What happened to Mary and to Bob."""
    mary, bob = make_user(given_name="Maria"), make_user("bob@acme.example")
    mary.name = "Mary van der Berg"
    mary.save()
    identity = mary.identities.get()
    identity.login = "mvdberg"
    identity.save()
    app = make_application("Timesheet SaaS")
    at = timezone.now()
    elsewhere, okta = RequestFacts("198.51.100.3", "Safari"), make_connection("okta-main")
    session = make_session(mary)
    SessionEvent.objects.create(
        at=at, type="joined", sid=session.sid, sub=mary.user_id, client_id=app.client_id, ip="2001:db8::7",
        actor=f"admin:{bob}", connection=session.connection.name if session.connection else "",
    )  # fmt: skip
    trail.record(EventType.SIGN_IN_FAILED, user=bob, connection=okta, facts=elsewhere, at=at)
    return {"mary": SessionEvent.objects.get(type="joined"), "bob": SessionEvent.objects.get(type="sign_in_failed")}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Application joined", {"mary"}),
        ("sign-in failed", {"bob"}),
        ("mary@fabrikamcorp.com", {"mary"}),
        ("MARY@fabrikamcorp.com", {"mary"}),
        (" mvdberg ", {"mary"}),
        ("Mary van der Berg", {"mary"}),
        ("maria", {"mary"}),
        ("timesheet", {"mary"}),
        ("timesheet-saas", {"mary"}),
        ("2001:0db8:0:0::7", {"mary"}),
        ("joined", {"mary"}),
        ("Sign in failed", {"bob"}),
        ("198.51.100.3", {"bob"}),
        ("okta-main", {"bob"}),
        ("bob@acme.example", {"mary", "bob"}),  # what happened to Bob, and what Bob did
        ("%", set()),
        ("198.51.100", set()),
    ],
)
def test_a_search_finds_by_address_name_place_application_and_kind(
    admin: Client, lines: dict[str, SessionEvent], typed: str, found: set[str]
) -> None:
    page = admin.get(reverse("admin:sessions_app_sessionevent_changelist"), {"q": typed})
    assert page.status_code == 200
    assert {shown["line"].row.pk for shown in page.context["lines"]} == {lines[name].pk for name in found}


@pytest.mark.parametrize("of", ["sid", "sub"])
def test_a_search_finds_by_whole_ids(admin: Client, lines: dict[str, SessionEvent], of: str) -> None:
    page = admin.get(reverse("admin:sessions_app_sessionevent_changelist"), {"q": getattr(lines["mary"], of)})
    assert [shown["line"].row.pk for shown in page.context["lines"]] == [lines["mary"].pk]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"type": "joined"}, {"mary"}),
        ({"group": "session"}, {"mary"}),
        ({"group": "sign-in"}, {"bob"}),
        ({"group": "connection"}, set()),
        ({"initiator": "rp-logout"}, set()),
    ],
    ids=str,
)
def test_the_trail_is_filtered_by_what_a_line_is_about(
    admin: Client, lines: dict[str, SessionEvent], chosen: dict[str, str], found: set[str]
) -> None:
    page = admin.get(reverse("admin:sessions_app_sessionevent_changelist"), chosen)
    assert {shown["line"].row.pk for shown in page.context["lines"]} == {lines[name].pk for name in found}


def test_filters_of_the_trail_do_not_ask_a_long_table_what_is_in_it(
    admin: Client, lines: dict[str, SessionEvent]
) -> None:
    with CaptureQueriesContext(connection) as captured:
        admin.get(reverse("admin:sessions_app_sessionevent_changelist"))
    assert [query["sql"] for query in captured if "DISTINCT" in query["sql"]] == []


def test_a_line_says_in_words_what_it_means(admin: Client, lines: dict[str, SessionEvent]) -> None:
    listed = admin.get(reverse("admin:sessions_app_sessionevent_changelist")).content.decode()
    assert "Application joined" in listed
    one = admin.get(reverse("admin:sessions_app_sessionevent_change", args=(lines["mary"].pk,))).content.decode()
    assert EventType.JOINED.meaning in one


def test_a_line_of_a_kind_that_this_version_does_not_know_is_shown(admin: Client) -> None:
    line = SessionEvent.objects.create(type="moon_full")
    assert "Moon full" in admin.get(reverse("admin:sessions_app_sessionevent_changelist")).content.decode()
    assert admin.get(reverse("admin:sessions_app_sessionevent_change", args=(line.pk,))).status_code == 200


@pytest.mark.parametrize("page", ["logoutevent", "logoutdelivery"])
def test_sign_outs_and_deliveries_are_found_by_the_person_s_address(admin: Client, page: str) -> None:
    app = make_application(backchannel_logout_uri="https://app.example/out")
    for person in (make_user(), make_user("bob@acme.example")):
        end_sessions(
            Selection.session(make_session(person, app).pk),
            initiator=Initiator.RP_LOGOUT,
            actor="user",
            at=timezone.now(),
            offline_tokens=False,
        )
    url = reverse(f"admin:logout_app_{page}_changelist")
    for typed, subs in (("mary@fabrikamcorp.com", ["mary@fabrikamcorp.com"]), ("nobody@acme.example", [])):
        rows = admin.get(url, {"q": typed}).context["cl"].result_list
        assert [User.objects.get(user_id=row.sub).email for row in rows] == subs


def test_a_search_that_finds_nothing_does_not_say_that_nothing_happened(
    admin: Client, lines: dict[str, SessionEvent]
) -> None:
    url = reverse("admin:sessions_app_sessionevent_changelist")
    text = admin.get(url, {"q": "nobody@fabrikamcorp.com"}).content.decode()
    assert "Nothing matches" in text
    assert "Nothing happened" not in text
    assert "Nothing matches" in admin.get(url, {"initiator": "session-expired"}).content.decode()


def test_the_form_of_a_person_offers_no_claims_that_nobody_would_see(admin: Client) -> None:
    mary = make_user()
    page = admin.get(reverse("admin:idp_user_change", args=(mary.pk,)))
    assert page.status_code == 200
    assert "claims" not in page.context["adminform"].form.fields
    assert "claims" not in page.content.decode()
