"""Applications that may act for somebody, and the act that takes one everything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.protocol.opaque import digest
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    Consent,
    SessionClient,
    SessionEvent,
    SSOSession,
)
from tests.protocol.account_area.test_pages import text_of
from tests.protocol.account_sessions.conftest import make_family
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.sign_in import csrf_client

pytestmark = pytest.mark.django_db
URL = "/account/applications"
REMOVE = "/account/applications/photo-prints/remove"


def test_the_page_says_what_was_allowed_in_words(client, mary, consent):
    make_family(mary, make_application("Mail app"))
    text = text_of(client, URL)
    assert "Who you are here Your e-mail address" in text
    assert "Access while you are not there, also after you signed out" in text
    assert "Open on 1 of your devices." in text
    assert "Stays signed in by itself" in text.split("Mail app")[1]


def test_nothing_of_other_people_and_nothing_dead_is_shown(client, mary, photos):
    Consent.objects.create(user=make_user("bob@fabrikamcorp.com"), application=photos, scopes=["email"])
    make_family(mary, make_application("Old app"), revoked_at=timezone.now())
    text = text_of(client, URL)
    assert "Photo Prints" not in text
    assert "Old app" not in text
    assert "No app may act for you." in text


def test_looking_asks_and_changes_nothing(client, consent):
    text = text_of(client, REMOVE)
    assert "What you allowed it ends: Your e-mail address" in text
    assert "It is signed out on 1 of your devices" in text
    assert "It is told at once." in text
    assert Consent.objects.count() == 1


def test_removing_ends_consent_tokens_and_its_part_of_sessions_and_tells_it(client, mary, desk, photos, consent):
    soon = timezone.now() + timedelta(minutes=1)
    family = make_family(mary, photos, session=desk)
    token = AccessToken.rows.create(
        user=mary, application=photos, session=desk, token="", token_checksum=digest("a token"), expires=soon
    )
    AuthorizationCode.objects.create(
        user=mary, application=photos, session=desk, code=digest("a code"), expires=soon, redirect_uri="https://x/"
    )
    other = make_application("Intranet")
    SessionClient.objects.create(session=desk, application=other)
    others = make_family(mary, other)
    answer = client.post(REMOVE, follow=True)
    assert answer.redirect_chain == [(URL, 302)]
    assert "Photo Prints cannot act for you any more. It is being told" in answer.content.decode()
    assert not Consent.objects.exists()
    assert not AuthorizationCode.objects.exists()
    for row in (family, others, token):
        row.refresh_from_db()
    assert family.revoke_reason == "session-revoked"
    assert others.revoked_at is None
    assert token.revoked_at is not None
    assert SSOSession.objects.get(pk=desk.pk).ended_at is None
    assert list(SessionClient.objects.values_list("application__client_id", flat=True)) == ["intranet"]
    told = LogoutDelivery.objects.get()
    assert (told.client_id, told.channel, told.state, told.sid) == ("photo-prints", "backchannel", "pending", desk.sid)
    line = SessionEvent.objects.get(type="application_removed")
    assert (line.sub, line.client_id, line.actor) == (mary.user_id, "photo-prints", "user")
    assert line.data == {"scopes": consent.scopes, "families": 1, "sessions": 1, "event": told.event_id}


def test_one_that_cannot_be_told_is_named(client, photos, consent):
    photos.backchannel_logout_uri = ""
    photos.save()
    assert "We have no way to tell it" in text_of(client, REMOVE)
    assert "sign out there too" in client.post(REMOVE, follow=True).content.decode()
    assert LogoutDelivery.objects.get().state == "not_told"


def test_a_consent_alone_ends_without_a_sign_out(client, consent):
    SessionClient.objects.all().delete()
    client.post(REMOVE)
    assert not Consent.objects.exists()
    assert not LogoutEvent.objects.exists()
    assert SessionEvent.objects.filter(type="application_removed").count() == 1


def test_a_second_time_is_no_error(client, consent):
    client.post(REMOVE)
    assert "could not act for you any more" in client.post(REMOVE, follow=True).content.decode()
    assert SessionEvent.objects.filter(type="application_removed").count() == 1


# --- attacks -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mine_too", [False, True])
def test_what_somebody_else_allowed_stays(client, mary, photos, mine_too):
    bob = make_user("bob@fabrikamcorp.com")
    Consent.objects.create(user=bob, application=photos, scopes=["email"])
    family, session = make_family(bob, photos), make_session(bob, photos)
    if mine_too:
        Consent.objects.create(user=mary, application=photos, scopes=["email"])
    assert client.get(REMOVE).status_code == (200 if mine_too else 404)
    client.post(REMOVE)
    family.refresh_from_db()
    assert family.revoked_at is None
    assert [row.user for row in Consent.objects.all()] == [bob]
    assert session.clients.count() == 1
    assert not LogoutDelivery.objects.filter(session=session).exists()


@pytest.mark.parametrize("name", ["nobody", "1", "%00", "x" * 300])
def test_an_unknown_application_is_not_found(client, consent, name):
    assert client.get(f"/account/applications/{name}/remove").status_code == 404


def test_another_site_and_an_older_page_remove_nothing(desk, consent):
    strict = csrf_client()
    strict.cookies = browser(desk).cookies
    answer = strict.post(REMOVE)
    assert answer.status_code == 403
    assert REMOVE in answer.content.decode()  # leads to the question
    assert strict.post(REMOVE, {"csrfmiddlewaretoken": "x" * 64}).status_code == 403
    assert Consent.objects.count() == 1


def test_whoever_holds_an_old_cookie_removes_nothing(mary, photos, consent):
    thief = browser(make_session(mary, auth_time=timezone.now() - timedelta(hours=1, seconds=1)))
    assert thief.post(REMOVE)["Location"].startswith("/account/reauthenticate/?next=%2Faccount%2Fapplications%2F")
    assert Consent.objects.count() == 1


def test_more_applications_are_no_more_statements(client, mary, consent):
    with CaptureQueriesContext(connection) as few:
        client.get(URL)
    for number in range(5):
        app = make_application(f"App {number}", is_first_party=False)
        Consent.objects.create(user=mary, application=app, scopes=["email"])
        make_family(mary, app)
    with CaptureQueriesContext(connection) as many:
        client.get(URL)
    assert len(many) <= len(few)
