"""Mails about passwords and addresses: who gets one, what it says, and that asking tells nobody anything."""

from __future__ import annotations

import re
import smtplib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp import signals
from idp.models import User
from idp.people import accounts
from logout_app.models import LogoutEvent
from sessions_app.account import mail
from sessions_app.models import MailRequest
from sessions_app.tasks import send_mails
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, csrf_token, session_of, sign_in_by_form

pytestmark = pytest.mark.django_db
MARY = "mary@fabrikamcorp.com"
NEW = "fuchsia otter volcano"


def ask(address, client=None):
    return (client or Client()).post(reverse("account_reset_password"), {"email": address})


def link_in(message):
    return re.search(r"http://localhost:8000(/\S+)", message.body)[1]


def choose(link, new=NEW):
    """Open the link of a mail and choose a password."""
    client = csrf_client()
    form = client.get(link)["Location"]
    token = csrf_token(client, form)
    return client.post(form, {"password1": new, "password2": new, "csrfmiddlewaretoken": token})


def unverified(user):
    User.objects.filter(pk=user.pk).update(email_verified=False)
    user.refresh_from_db()
    return user


# --- who gets a mail -----------------------------------------------------------------------------------------------------
def test_two_connections_with_one_address_get_a_mail_each_and_each_link_names_its_person(mailoutbox):
    staff = make_user(connection=make_connection("Staff", display_name="Fabrikam staff"))
    partner = make_user(connection=make_connection("Partners"))
    ask(MARY)
    send_mails()

    texts = {("Staff" if "Fabrikam staff" in message.body else "Partners"): message for message in mailoutbox}
    assert set(texts) == {"Staff", "Partners"}
    assert all(message.to == [MARY] for message in mailoutbox)
    assert choose(link_in(texts["Partners"])).status_code == 302
    staff.refresh_from_db()
    partner.refresh_from_db()
    assert partner.check_password(NEW)
    assert not staff.check_password(NEW)


def test_asking_costs_the_same_for_everybody():
    """No enumeration (ASVS 6.3.8): a request looks nobody up, sends nothing, and writes one row."""
    make_user()
    counts = set()
    for address in (MARY, "nobody@fabrikamcorp.com"):
        with CaptureQueriesContext(connection) as queries:
            ask(address)
        counts.add(tuple(re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries))
    assert len(counts) == 1
    assert "idp_user" not in " ".join(next(iter(counts))).replace("idp_user_", "")
    assert MailRequest.objects.count() == 2


def test_a_mail_is_sent_once(mailoutbox):
    make_user()
    ask(MARY)
    send_mails()
    send_mails()
    assert len(mailoutbox) == 1
    assert not MailRequest.objects.exists()


def test_two_workers_do_not_send_the_same_mail(mailoutbox):
    make_user()
    ask(MARY)
    request = MailRequest.objects.get()
    assert mail._claim(request, timezone.now())
    assert not mail._claim(request, timezone.now())


def test_a_mail_server_that_is_away_is_asked_again_later_and_given_up_in_the_end(mailoutbox, monkeypatch):
    make_user()
    ask(MARY)
    now = timezone.now()
    with monkeypatch.context() as away:
        away.setattr("django.core.mail.EmailMessage.send", _refuse)
        assert mail.send_due(now) == 0
        assert mail.send_due(now + timedelta(seconds=10)) == 0
    assert mailoutbox == []
    assert mail.send_due(now + timedelta(seconds=31)) == 1
    assert len(mailoutbox) == 1
    ask(MARY)
    assert mail.send_due(now + timedelta(hours=2)) == 0
    assert not MailRequest.objects.exists()


def _refuse(*_, **__):
    raise smtplib.SMTPServerDisconnected("away")


@pytest.mark.parametrize("address", ["mary\0@fabrikamcorp.com", "no address", "a" * 300 + "@example.com", ""])
def test_odd_addresses_are_refused_or_ignored(address, mailoutbox):
    make_user()
    assert ask(address).status_code in (200, 302)
    send_mails()
    assert mailoutbox == []


# --- a new password ------------------------------------------------------------------------------------------------------
def test_a_reset_ends_the_sessions_of_the_person(mailoutbox):
    mary = make_user()
    session = make_session(mary)
    mail.ask_for_reset(MARY, timezone.now())
    heard = []

    def listen(**kwargs):
        heard.append(kwargs["user"])

    signals.password_changed.connect(listen)
    try:
        send_mails()
        choose(link_in(mailoutbox[-1]))
    finally:
        signals.password_changed.disconnect(listen)
    assert heard == [mary]
    session.refresh_from_db()
    assert session.end_initiator == "password-changed"


@pytest.mark.parametrize("change", ["closed", "blocked"])
def test_a_link_is_dead_when_the_connection_was_closed_or_the_person_blocked(change, mailoutbox):
    mary = make_user()
    ask(MARY)
    send_mails()
    if change == "closed":
        accounts.disable_connection(mary.identities.get().connection, actor="system", at=timezone.now())
    else:
        accounts.block_user(mary, actor="system", at=timezone.now())
    page = Client().get(link_in(mailoutbox[-1]), follow=True)
    assert page.status_code == 200
    assert "password1" not in page.content.decode()


def test_whose_password_is_kept_elsewhere_is_told_so():
    okta = make_connection("AcmeOkta", strategy="okta")
    pat = make_user("pat@fabrikamcorp.com", connection=okta)
    pat.set_unusable_password()
    User.objects.filter(pk=pat.pk).update(password=pat.password)
    page = browser(make_session(pat)).get(reverse("account_change_password"))
    assert page.status_code == 403
    assert "not kept here" in page.content.decode()


# --- an address ----------------------------------------------------------------------------------------------------------
def test_an_address_is_verified_by_a_link_and_a_button(mailoutbox):
    mary = unverified(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    path = reverse("account_verify_email")
    assert "Verify your e-mail address" in client.get("/").content.decode()
    response = client.post(path, {"csrfmiddlewaretoken": csrf_token(client, path)})
    assert response["Location"] == f"{path}?sent"
    send_mails()

    link = link_in(mailoutbox[-1])
    assert "FabrikamAD" in mailoutbox[-1].body
    stranger = csrf_client()
    token = csrf_token(stranger, link)
    mary.refresh_from_db()
    assert not mary.email_verified  # a mail scanner opens links
    assert stranger.post(link, {"csrfmiddlewaretoken": token})["Location"] == reverse("account_email_confirmed")
    mary.refresh_from_db()
    assert mary.email_verified
    assert "does not work any more" in Client().get(link).content.decode()
    assert "is verified" in client.get(path).content.decode()


def test_a_link_opened_in_somebody_elses_browser_signs_nobody_out(mailoutbox):
    mary = unverified(make_user())
    make_user("john@fabrikamcorp.com")
    mail.ask_for_verification(mary, timezone.now())
    send_mails()
    john = csrf_client()
    sign_in_by_form(john, "john@fabrikamcorp.com")
    john.get(link_in(mailoutbox[-1]))
    assert session_of(john).ended_at is None
    assert not LogoutEvent.objects.exists()


def test_a_changed_address_is_verified_anew_and_the_old_link_is_dead(mailoutbox):
    mary = unverified(make_user())
    mail.ask_for_verification(mary, timezone.now())
    send_mails()
    accounts.change_email(mary, "mary@example.com", verified=False, actor="user", at=timezone.now())
    send_mails()

    old, new = (message for message in mailoutbox if "Verify" in message.subject)
    assert (old.to, new.to) == ([MARY], ["mary@example.com"])
    client = Client()
    assert client.post(link_in(old)).status_code == 404
    assert client.post(link_in(new)).status_code == 302
    mary.refresh_from_db()
    assert mary.email_verified


def test_a_link_to_an_address_that_is_not_the_persons_any_more_verifies_nothing(mailoutbox):
    mary = unverified(make_user())
    mail.ask_for_verification(mary, timezone.now())
    send_mails()
    User.objects.filter(pk=mary.pk).update(email="mary@example.com")
    Client().post(link_in(mailoutbox[-1]))
    mary.refresh_from_db()
    assert not mary.email_verified


def test_mails_to_verify_are_limited_and_need_somebody_to_verify(mailoutbox):
    mary = unverified(make_user())
    answers = [bool(mail.ask_for_verification(mary, timezone.now())) for _ in range(7)]
    assert answers == [True] * 5 + [False] * 2
    User.objects.filter(pk=mary.pk).update(email_verified=True)
    send_mails()
    assert mailoutbox == []


def test_the_page_is_for_people_who_are_signed_in():
    assert Client().get(reverse("account_verify_email"))["Location"].startswith("/login")


def test_an_address_that_was_verified_by_who_changed_it_is_not_verified_again(mailoutbox):
    mary = make_user()
    accounts.change_email(mary, "mary@example.com", verified=True, actor="admin", at=timezone.now())
    send_mails()
    assert [message for message in mailoutbox if "Verify" in message.subject] == []
