"""*This was not me* at the old address: who lost their account by a changed address has it back, and the other mailbox undoes nothing."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone

from idp.models import MailLink, MailLinkKind, User
from idp.people import accounts, mail_links
from sessions_app.account import password_forms
from sessions_app.models import SessionEvent, SSOSession
from sessions_app.signin import passkey_enrolment, passkeys
from sessions_app.tasks import send_mails
from sessions_app.views import address as address_page
from tests.support.factories import PASSWORD, browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, csrf_token
from tests.support.soft_keys import SoftKey, give_passkey

pytestmark = pytest.mark.django_db
OLD, NEW, NEXT = "mary@fabrikamcorp.com", "thief@example.com", "thief@example.net"
CHOSEN = "fuchsia otter volcano"


def links(mailoutbox: list[EmailMessage], address: str) -> list[str]:
    found = [
        re.search(r"http://localhost:8000(/account/not-me/\S+)", str(message.body))
        for message in mailoutbox
        if message.to == [address]
    ]
    return [match[1] for match in found if match]


def change(user: User, address: str, actor: str = "user") -> None:
    accounts.change_email(User.objects.get(pk=user.pk), address, verified=True, actor=actor, at=timezone.now())
    send_mails()


def post(link: str) -> Any:
    client = csrf_client()
    return client.post(link, {"csrfmiddlewaretoken": csrf_token(client, link)})


def open_and_post(link: str) -> Any:
    """What a browser with an open page sends, whether or not the link still works."""
    return Client().post(link)


@pytest.fixture
def mary() -> User:
    return make_user(OLD)


def test_the_old_address_takes_the_account_back(mary: User, mailoutbox: list[EmailMessage]) -> None:
    key = give_passkey(mary)
    TOTP.activate(mary, generate_totp_secret())
    change(mary, NEW)
    session = make_session(mary)
    (link,) = links(mailoutbox, OLD)
    page = " ".join(Client().get(link).content.decode().split())
    assert f"{OLD} again, as before: {NEW} is its address no more" in page
    assert "The password stops working" in page
    mary.refresh_from_db()
    assert mary.email == NEW  # looking does nothing

    answer = post(link)
    mary.refresh_from_db()
    session.refresh_from_db()
    assert (mary.email, mary.email_verified, session.end_initiator) == (OLD, True, "not-me")
    assert list(mary.identities.values_list("login", "email")) == [(OLD, OLD)]
    assert not mary.check_password(PASSWORD)
    assert passkeys.of_person(mary.pk) == []
    assert mary.authenticator_set.count() == 2, key  # a mailbox alone takes no second factor away
    assert SessionEvent.objects.get(type="not_me").data["restored"] is True
    assert [line.data["why"] for line in SessionEvent.objects.filter(type="password_changed")] == ["not-me"]

    client = Client()
    to_new = re.search(r'href="http://localhost:8000(/account/password/reset/key/[^"]+)"', answer.content.decode())
    assert to_new is not None
    form = client.get(to_new[1], follow=True).request["PATH_INFO"]
    client.post(form, {"password1": CHOSEN, "password2": CHOSEN})
    mary.refresh_from_db()
    assert mary.check_password(CHOSEN)


def test_both_addresses_are_told_and_only_the_owner_where_to_go_on(mary: User, mailoutbox: list[EmailMessage]) -> None:
    change(mary, NEW)
    (link,) = links(mailoutbox, OLD)
    mailoutbox.clear()
    post(link)
    send_mails()
    assert {message.subject for message in mailoutbox} == {"The e-mail address of an account of Curfew was put back"}
    bodies = {message.to[0]: str(message.body) for message in mailoutbox}
    assert sorted(bodies) == [OLD, NEW]
    assert "/account/password/reset/" in bodies[OLD]
    assert "http" not in bodies[NEW]


def test_the_other_mailbox_undoes_nothing(mary: User, mailoutbox: list[EmailMessage]) -> None:
    """Of a thief who changed the address twice, set a password, asked for another address and keeps every mail."""
    change(mary, NEW)
    accounts.set_password(User.objects.get(pk=mary.pk), CHOSEN, actor="user")
    change(mary, NEXT)
    theirs = [*links(mailoutbox, NEW), *links(mailoutbox, NEXT)]
    assert len(theirs) == 4
    pending = mail_links.ask(MailLinkKind.ADDRESS, "third@example.net", timezone.now(), user=mary)
    accounts.change_email(
        User.objects.get(pk=mary.pk), NEW, verified=True, actor="user", at=timezone.now()
    )  # not sent yet
    (link,) = links(mailoutbox, OLD)
    assert post(link).status_code == 200
    send_mails()
    theirs = list(dict.fromkeys([*theirs, *links(mailoutbox, NEW), *links(mailoutbox, NEXT)]))
    session = make_session(mary)
    assert {open_and_post(one).status_code for one in theirs} == {404}
    mary.refresh_from_db()
    session.refresh_from_db()
    assert mary.email == OLD
    assert session.ended_at is None
    assert not mary.check_password(CHOSEN)
    assert MailLink.objects.get(pk=pending.pk).used_at is not None
    before = len(mailoutbox)
    for address in (NEW, NEXT):  # what both forms make of an address that is nobody's
        Client().post("/account/password/reset/", {"email": address})
    send_mails()
    assert len(mailoutbox) == before


def test_a_thief_who_is_first_with_a_link_of_theirs_is_undone_too(mary: User, mailoutbox: list[EmailMessage]) -> None:
    change(mary, NEW)
    change(mary, NEXT)
    theirs = links(mailoutbox, NEW)[-1]
    assert post(theirs).status_code == 200
    mary.refresh_from_db()
    assert mary.email == NEW
    assert post(links(mailoutbox, OLD)[0]).status_code == 200
    mary.refresh_from_db()
    assert mary.email == OLD


@pytest.mark.parametrize("why", ["administrator", "taken", "blocked", "not theirs to say"])
def test_where_the_address_is_not_put_back_everything_ends_all_the_same(
    mary: User, mailoutbox: list[EmailMessage], why: str
) -> None:
    if why == "not theirs to say":
        mary.identities.create(connection=make_connection("acme", "okta"), sub="1")
        User.objects.filter(pk=mary.pk).update(user_id="okta|acme|1")
    change(mary, NEW, "admin:auth0|boss" if why == "administrator" else "user")
    (link,) = links(mailoutbox, OLD)
    if why == "taken":
        make_user(OLD)
    elif why == "blocked":
        accounts.block_user(mary, actor="admin:auth0|boss", at=timezone.now())
    session = make_session(mary)
    assert "again, as before" not in Client().get(link).content.decode()
    assert "password/reset/key" not in post(link).content.decode()
    mary.refresh_from_db()
    session.refresh_from_db()
    assert (mary.email, session.end_initiator) == (NEW, "not-me")
    assert mary.check_password(PASSWORD)
    assert SessionEvent.objects.get(type="not_me").data["restored"] is False


def test_an_address_that_somebody_takes_at_that_moment_is_theirs(
    mary: User, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(mary, NEW)
    make_user(OLD)
    monkeypatch.setattr("sessions_app.account.mailed.is_taken", lambda *_: False)  # as it was a moment before
    assert "Everything has ended" in post(links(mailoutbox, OLD)[0]).content.decode()
    mary.refresh_from_db()
    assert (mary.email, mary.check_password(PASSWORD)) == (NEW, True)
    assert not SSOSession.objects.filter(user=mary, ended_at=None).exists()


@pytest.mark.parametrize("how", ["the present one", "a link of a mail", "a passkey", "another address"])
def test_what_a_thief_sent_at_that_moment_comes_too_late(
    mary: User, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It was let in before everything ended, and would be written afterwards."""
    change(mary, NEW)
    link = links(mailoutbox, OLD)[0]
    thief = browser(make_session(User.objects.get(pk=mary.pk)))
    sent = {"password1": CHOSEN, "password2": CHOSEN}
    if how == "a link of a mail":
        thief.post("/account/password/reset/", {"email": NEW})
        form, place, act = follow(thief, mailoutbox), password_forms.ResetPasswordKeyForm, "save"
    elif how == "the present one":
        form, place, act = "/account/password/change/", password_forms.ChangePasswordForm, "save"
        sent["oldpassword"] = PASSWORD
    elif how == "a passkey":
        form, place, act = "/account/passkeys/add/", passkey_enrolment.auth, "complete_registration"
        challenge = re.search(r'"challenge": "([^"]+)"', thief.get(form).content.decode())
        assert challenge is not None
        sent = {"credential": json.dumps(SoftKey(mary).registration(challenge[1]))}
    else:
        thief.post("/account/address", {"email": NEXT})
        form, place, act = follow(thief, mailoutbox), address_page, "_change"
    after: Any = getattr(place, act)

    def late(*args: Any, **more: Any) -> Any:
        assert post(link).status_code == 200
        return after(*args, **more)

    monkeypatch.setattr(place, act, late)
    assert thief.post(form, sent).status_code == 403
    mary.refresh_from_db()
    assert (mary.email, mary.check_password(CHOSEN)) == (OLD, False)
    assert not Authenticator.objects.filter(user=mary).exists()


def follow(client: Client, mailoutbox: list[EmailMessage]) -> str:
    """Where the link of the newest mail leads."""
    send_mails()
    link = re.search(r"http://localhost:8000(/account/(?:password/reset|address)/key/\S+)", str(mailoutbox[-1].body))
    assert link is not None
    return str(client.get(link[1], follow=True).request["PATH_INFO"])


def test_it_works_once_and_for_three_days(mary: User, mailoutbox: list[EmailMessage]) -> None:
    change(mary, NEW)
    (link,) = links(mailoutbox, OLD)
    with time_machine.travel(timezone.now() + timedelta(hours=73)):
        assert open_and_post(link).status_code == 404
    post(link)
    change(mary, NEXT, "admin:auth0|boss")
    assert open_and_post(link).status_code == 404
    mary.refresh_from_db()
    assert mary.email == NEXT


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_each_kind_has_words_of_its_own_in_each_language(
    mary: User, mailoutbox: list[EmailMessage], language: str
) -> None:
    """What a reset is called is no change, and what was dropped is neither."""
    User.objects.filter(pk=mary.pk).update(language=language, email_verified=False)
    mary.refresh_from_db()
    accounts.address_proved(mary, actor="user", at=timezone.now())
    client = Client()
    client.post("/account/password/reset/", {"email": OLD})
    send_mails()
    mails = " ".join(str(message.body) for message in mailoutbox)
    to_new = re.search(r"http://localhost:8000(/account/password/reset/key/\S+)", mails)
    assert to_new is not None
    form = client.get(to_new[1], follow=True).request["PATH_INFO"]
    client.post(form, {"password1": CHOSEN, "password2": CHOSEN})
    accounts.set_password(User.objects.get(pk=mary.pk), f"{CHOSEN} two", actor="user")
    change(mary, NEW)
    post(links(mailoutbox, OLD)[-1])
    send_mails()
    subjects = [message.subject for message in mailoutbox]
    assert len(set(subjects)) == 6, subjects
    if language != "en":
        english = ("Your password", "was changed", "Choose a new", "was put back", "address of")
        assert [one for one in subjects if any(words in one for words in english)] == []
        assert not any("does not work any more" in str(message.body) for message in mailoutbox)
