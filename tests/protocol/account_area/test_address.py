"""Another address of one's own: who may ask, what has to be proved, and what a link of it does for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import User
from sessions_app.models import SessionEvent, SSOSession
from sessions_app.tasks import send_mails
from tests.protocol.newcomers.conftest import link_in, send_form
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db
OLD, NEW = "mary@fabrikamcorp.com", "mary.new@fabrikamcorp.com"


def asked(client: Client, address: str = NEW):
    return client.post(reverse("account_address"), {"email": address})


def test_the_new_address_is_proved_the_old_one_is_told_and_other_devices_are_signed_out(mailoutbox):
    mary = make_user()
    elsewhere = make_session(mary)
    client = csrf_client()
    sign_in_by_form(client)
    assert send_form(client, reverse("account_address"), email=NEW)["Location"] == "/account/address?sent"
    send_mails()
    assert [message.to for message in mailoutbox] == [[NEW]]
    link = link_in(mailoutbox[0])
    assert Client().get(link, follow=True).redirect_chain[-1][0].startswith("/login")  # a scanner, or a stranger
    mary.refresh_from_db()
    assert mary.email == OLD

    assert send_form(client, link)["Location"] == reverse("account_profile")
    mary.refresh_from_db()
    assert (mary.email, mary.email_verified) == (NEW, True)
    assert mary.identities.get().login == NEW
    elsewhere.refresh_from_db()
    assert elsewhere.ended_at is not None
    assert session_of(client).ended_at is None
    send_mails()
    told = {message.to[0]: message.body for message in mailoutbox[1:]}
    assert set(told) == {OLD, NEW}
    assert "This was not you?" in told[OLD]
    line = SessionEvent.objects.get(type="email_changed")
    assert (line.sub, line.actor) == (mary.user_id, "user")
    assert NEW not in str(line.data)
    assert client.get(link, follow=True).status_code == 410


def test_it_asks_for_a_fresh_proof(mailoutbox):
    mary = make_user()
    stale = browser(make_session(mary, auth_time=timezone.now() - timedelta(hours=2)))
    for answer in (stale.get(reverse("account_address")), asked(stale)):
        assert answer["Location"].startswith("/account/reauthenticate/")
    send_mails()
    assert mailoutbox == []


def test_whoever_else_has_the_link_changes_nothing(mailoutbox):
    """It went to an address by mistake, whose reader has an account here too."""
    mary, eve = make_user(), make_user("eve@fabrikamcorp.com")
    asked(browser(make_session(mary)))
    send_mails()
    theirs = browser(make_session(eve))
    assert theirs.get(link_in(mailoutbox[-1]), follow=True).status_code == 403
    assert theirs.post(reverse("address_confirm")).status_code == 403
    assert sorted(User.objects.values_list("email", flat=True)) == ["eve@fabrikamcorp.com", OLD]


def test_an_address_that_somebody_has_gets_no_mail_and_the_page_says_the_same(mailoutbox):
    mary = make_user()
    make_user("eve@fabrikamcorp.com")
    client = browser(make_session(mary))
    assert asked(client, "eve@fabrikamcorp.com")["Location"] == "/account/address?sent"
    send_mails()
    assert mailoutbox == []
    asked(client)
    send_mails()
    make_user(NEW)  # meanwhile
    client.get(link_in(mailoutbox[-1]))
    answer = client.post(reverse("address_confirm"))
    assert answer.status_code == 409
    mary.refresh_from_db()
    assert mary.email == OLD


def test_a_source_that_owns_the_address_keeps_it(mailoutbox):
    acme = make_connection("acme", "okta")
    user = User.objects.create(user_id="okta|acme|1", email=OLD, email_verified=True)
    user.identities.create(connection=acme, sub="1", email=OLD)
    client = browser(make_session(user, connection=acme))
    assert client.get(reverse("account_address")).status_code == 403
    assert asked(client).status_code == 403
    assert SSOSession.objects.live(timezone.now()).count() == 1


def test_only_the_newest_link_works_and_nobody_is_flooded(mailoutbox):
    mary = make_user()
    client = browser(make_session(mary))
    asked(client, "first@fabrikamcorp.com")
    send_mails()
    asked(client, "second@fabrikamcorp.com")
    send_mails()
    assert client.get(link_in(mailoutbox[0]), follow=True).status_code == 410
    assert client.get(link_in(mailoutbox[1]), follow=True).status_code == 200
    answers = [asked(client, f"more{n}@fabrikamcorp.com")["Location"] for n in range(5)]
    assert answers[-1] == "/account/address?wait"
    for header_injection in ("a@x.example\r\nBcc: eve@x.example", "a@x.example\nBcc:eve@x.example", "no address"):
        assert asked(client, header_injection).status_code == 400
