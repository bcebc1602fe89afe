"""Mails to people about their own accounts: when there is one, to whom, what it says, and what its link does."""

from __future__ import annotations

import re
import smtplib
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.models import Application, Connection, TenantSettings, User
from idp.people import accounts
from idp.protocol.initiators import Initiator
from idp.tenants import configuration
from logout_app.ending import mails
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.tasks import find_security_mails, until_done
from sessions_app.account import new_devices, security_mails
from sessions_app.audit import following, trail
from sessions_app.audit.events import EventType
from sessions_app.models import RefreshTokenFamily, SecurityMail, SessionEvent, SSOSession, TrailPosition
from sessions_app.tasks import send_mails
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client, csrf_token, sign_in_by_form
from tests.support.soft_keys import give_passkey
from tests.support.soft_keys import sign_in as passkey_sign_in

pytestmark = pytest.mark.django_db
MARY = "mary@fabrikamcorp.com"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"
CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
LATER = timedelta(minutes=6)  # longer than either patience


def link_in(message: EmailMessage) -> str:
    found = re.search(r"http://localhost:8000(/account/not-me/\S+)", str(message.body))
    assert found
    return found[1]


def subjects(mailoutbox: list[EmailMessage]) -> list[str]:
    return [message.subject for message in mailoutbox]


def look() -> None:
    """As the task does, which would close the test's connection."""
    for find in (new_devices.find, mails.find):
        until_done(partial(find, timezone.now()), 60, following.BATCH)


def found_later(after: timedelta = LATER) -> None:
    """The worker looks, which marks how far the trail goes, and looks again when that is old enough; then mails are sent."""
    look()
    with time_machine.travel(timezone.now() + after, tick=False):
        look()
        send_mails()


def opened(
    user: User, agent: str = FIREFOX, ip: str = "192.0.2.1", *, known: bool = False, at: datetime | None = None
) -> SSOSession:
    """A session and its line of the trail, as a sign-in writes them."""
    session = make_session(user, last_user_agent=agent, last_ip=ip)
    data = {"amr": ["pwd"], **({"known_device": True} if known else {})}
    trail.record(EventType.OPENED, session=session, facts=RequestFacts(ip, agent), at=at or timezone.now(), data=data)
    return session


def end(
    session: SSOSession, initiator: Initiator = Initiator.SESSION_REVOKED, actor: str = "admin:auth0|boss"
) -> LogoutEvent:
    selection = Selection.session(session.pk)
    ended = end_sessions(selection, initiator=initiator, actor=actor, at=timezone.now(), offline_tokens=False)
    assert ended.event
    return ended.event


def set_tenant(**values: Any) -> None:
    configuration.load_tenant()
    TenantSettings.objects.update(**values)
    configuration.bump()


@pytest.fixture
def mary() -> User:
    """The worker has looked before: what is written from now on is news."""
    user = make_user()
    look()
    return user


@pytest.fixture
def reported(mary: User, mailoutbox: list[EmailMessage]) -> str:
    """The link of a mail."""
    accounts.set_password(mary, "fuchsia otter volcano", actor="admin:auth0|boss")
    send_mails()
    return link_in(mailoutbox[-1])


# --- what there is a mail about ----------------------------------------------------------------------------------------
def test_a_password_that_its_person_changes_is_told_with_device_and_address(mary, mailoutbox):
    client = csrf_client(headers={"User-Agent": FIREFOX})
    sign_in_by_form(client)
    path = reverse("account_change_password")
    new = "fuchsia otter volcano"
    form = {"oldpassword": "correct horse battery staple", "password1": new, "password2": new}
    client.post(path, {**form, "csrfmiddlewaretoken": csrf_token(client, path)}, headers={"User-Agent": FIREFOX})
    mary.refresh_from_db()
    assert mary.check_password(new)
    assert mailoutbox == []  # not by the request
    send_mails()

    assert [message.to for message in mailoutbox] == [[MARY]]
    body = mailoutbox[0].body
    assert "password" in mailoutbox[0].subject
    assert "Device: Firefox on Windows" in body
    assert "Address: 127.0.0.1" in body
    assert "UTC" in body


def test_an_administrator_who_changes_it_is_named_as_one_and_their_browser_is_not(mary, mailoutbox):
    accounts.set_password(mary, "fuchsia otter volcano", actor="admin:auth0|boss")
    send_mails()
    assert "By: an administrator" in mailoutbox[0].body
    assert "auth0|boss" not in mailoutbox[0].body
    assert "Device:" not in mailoutbox[0].body


def test_second_factors_that_come_and_go_are_told_once_each(mary, mailoutbox):
    TOTP.activate(mary, generate_totp_secret())
    Authenticator.objects.get(user=mary).record_usage()  # what a sign-in writes is no news
    Authenticator.objects.filter(user=mary).delete()
    send_mails()
    assert [("added" in subject, "removed" in subject) for subject in subjects(mailoutbox)] == [
        (True, False),
        (False, True),
    ]
    assert "An authenticator app" in mailoutbox[0].body


@pytest.mark.parametrize(("verified", "told"), [(False, [MARY]), (True, [MARY, "mary@example.com"])])
def test_a_changed_address_is_told_to_the_old_one_and_to_a_new_one_that_is_verified(mary, verified, told, mailoutbox):
    accounts.change_email(mary, "mary@example.com", verified=verified, actor="admin:auth0|boss", at=timezone.now())
    send_mails()
    about = [message for message in mailoutbox if "was changed" in message.subject]
    assert sorted(message.to[0] for message in about) == sorted(told)
    assert "From: mary@fabrikamcorp.com" in about[0].body
    assert "To: mary@example.com" in about[0].body


def test_an_old_address_that_was_never_proved_is_not_written_to(mary, mailoutbox):
    User.objects.filter(pk=mary.pk).update(email_verified=False)
    mary.refresh_from_db()
    accounts.change_email(mary, "mary@example.com", verified=False, actor="user", at=timezone.now())
    send_mails()
    assert [message for message in mailoutbox if "was changed" in message.subject] == []


def test_a_new_device_is_told_and_the_first_one_is_not(mary, mailoutbox):
    opened(mary)
    found_later()
    assert mailoutbox == []
    opened(mary, CHROME, "198.51.100.7")
    found_later()
    assert subjects(mailoutbox) == ["New device signed in to Curfew"]
    assert "Device: Chrome on macOS" in mailoutbox[0].body
    assert "Address: 198.51.100.7" in mailoutbox[0].body


@pytest.mark.parametrize(
    ("agent", "ip", "known", "told"),
    [
        (FIREFOX, "192.0.2.1", False, 0),  # the same browser at the same place
        (FIREFOX.replace("133", "134"), "192.0.2.1", False, 0),  # after an update
        (FIREFOX, "198.51.100.7", False, 1),  # anybody can call themselves Firefox
        (CHROME, "192.0.2.1", False, 1),
        (CHROME, "198.51.100.7", True, 0),  # it has the cookie
    ],
)
def test_which_devices_are_known(mary, agent, ip, known, told, mailoutbox):
    opened(mary)
    opened(mary, agent, ip, known=known)
    found_later()
    assert len(mailoutbox) == told


def test_an_account_that_slept_longer_than_the_history_is_told(mary, mailoutbox):
    User.objects.filter(pk=mary.pk).update(created_at=timezone.now() - timedelta(days=400))
    opened(mary)
    found_later()
    assert len(mailoutbox) == 1


def test_a_browser_is_known_by_its_cookie_when_it_comes_again(mary):
    client = csrf_client()
    sign_in_by_form(client)
    client.cookies.pop(settings.SSO_COOKIE_NAME)
    sign_in_by_form(client)
    lines = SessionEvent.objects.filter(type=EventType.OPENED).order_by("pk")
    assert [line.data.get("known_device", False) for line in lines] == [False, True]


def test_a_sign_in_writes_nothing_for_any_of_it(mary):
    with CaptureQueriesContext(connection) as queries:
        sign_in_by_form(csrf_client())
    assert SSOSession.objects.count() == 1
    assert [q["sql"] for q in queries if "securitymail" in q["sql"] or "trailposition" in q["sql"]] == []


# --- ends -----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def apps() -> list[Application]:
    return [
        make_application(name, backchannel_logout_uri=f"https://{name.lower()}.example/logout")
        for name in ("Intranet", "Timesheet")
    ]


def told(event: LogoutEvent, *names: str, state: str = DeliveryState.DELIVERED) -> None:
    LogoutDelivery.objects.filter(event=event, application__name__in=names).update(
        state=state, finished_at=timezone.now()
    )


def test_an_end_that_an_administrator_began_is_told_with_who_could_not_be_reached(mary, apps, mailoutbox):
    event = end(make_session(mary, *apps, last_user_agent=FIREFOX, last_ip="192.0.2.1"))
    told(event, "Intranet")
    found_later(timedelta(minutes=4))
    assert mailoutbox == []  # Timesheet has five minutes
    found_later()
    assert subjects(mailoutbox) == ["You were signed out of Curfew"]
    body = mailoutbox[0].body
    assert "of 2 applications; 1 could not be reached" in body
    assert "    Timesheet\n" in body
    assert "Intranet" not in body
    assert "By: an administrator" in body
    assert "Firefox on Windows, 192.0.2.1" in body


@pytest.mark.parametrize(
    ("initiator", "actor", "is_told"),
    [
        (Initiator.SESSION_REVOKED, "admin:auth0|boss", True),
        (Initiator.DEPROVISIONED, "scim:acme", True),
        (Initiator.ACCOUNT_DEACTIVATED, "system", True),
        (Initiator.SHARED_SIGNAL, "upstream:acme", True),
        (Initiator.SESSION_EXPIRED, "system", False),
        (Initiator.IDP_LOGOUT, "upstream:acme", False),  # they signed out there
        (Initiator.RP_LOGOUT, "app:intranet", False),
        (Initiator.SESSION_REVOKED, "user", False),
        (Initiator.PASSWORD_CHANGED, "admin:auth0|boss", False),  # has its own mail
        (Initiator.NOT_ME, "user", False),
    ],
)
def test_who_is_told_of_an_end_of_which_every_application_heard(mary, apps, initiator, actor, is_told, mailoutbox):
    told(end(make_session(mary, *apps), initiator, actor), "Intranet", "Timesheet")
    found_later()
    assert len(mailoutbox) == is_told


@pytest.mark.parametrize(("initiator", "is_told"), [(Initiator.RP_LOGOUT, True), (Initiator.SESSION_EXPIRED, False)])
def test_who_signed_out_is_told_only_that_somebody_did_not_hear_of_it(mary, apps, initiator, is_told, mailoutbox):
    event = end(make_session(mary, *apps), initiator, "user")
    told(event, "Intranet")
    told(event, "Timesheet", state=DeliveryState.DEAD)
    found_later()
    assert subjects(mailoutbox) == ["Not every app was told that you signed out of Curfew"] * is_told


def test_each_of_many_people_is_told_of_their_own(mary, apps, mailoutbox):
    john = make_user("john@fabrikamcorp.com")
    make_session(mary, *apps)
    make_session(john, apps[0])
    accounts.disable_connection(Connection.objects.get(), actor="admin:auth0|boss", at=timezone.now())
    found_later()
    assert {message.to[0]: re.search(r"of (\d) app", message.body)[1] for message in mailoutbox} == {
        MARY: "2",
        "john@fabrikamcorp.com": "1",
    }


def test_a_blocked_person_is_told_and_gets_no_link(mary, apps, mailoutbox):
    make_session(mary, *apps)
    accounts.block_user(mary, actor="admin:auth0|boss", at=timezone.now())
    found_later()
    assert subjects(mailoutbox) == ["You were signed out of Curfew"]
    assert "not-me" not in mailoutbox[0].body


# --- whom ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("setting", "strategy", "told"),
    [("database", "auth0", 1), ("database", "okta", 0), ("all", "okta", 1), ("off", "auth0", 0)],
)
def test_the_tenant_says_who_is_told(setting, strategy, told, mailoutbox):
    set_tenant(security_mails=setting)
    pat = make_user("pat@acme.example", connection=make_connection("Acme", strategy=strategy))
    look()
    opened(pat)
    opened(pat, CHROME)
    found_later()
    assert len(mailoutbox) == told


@pytest.mark.parametrize("change", [{"email": ""}, {"email_verified": False}])
def test_who_has_no_address_that_is_proved_to_be_theirs_gets_none(mary, change, mailoutbox):
    User.objects.filter(pk=mary.pk).update(**change)
    mary.refresh_from_db()
    accounts.set_password(mary, "fuchsia otter volcano", actor="user")
    send_mails()
    assert mailoutbox == []
    assert SecurityMail.objects.get().outcome == "nobody"


# --- none is lost, none is sent twice --------------------------------------------------------------------------------------
def test_a_worker_that_dies_before_it_notes_how_far_it_came_makes_no_second_mail(mary, mailoutbox):
    opened(mary)
    opened(mary, CHROME)
    before = TrailPosition.objects.get(name="new devices")
    found_later()
    TrailPosition.objects.filter(pk=before.pk).update(after=before.after, marks=before.marks)  # as if never written
    found_later()
    assert len(mailoutbox) == 1


def test_what_is_noted_and_how_far_are_written_together(mary, monkeypatch):
    opened(mary)
    opened(mary, CHROME)
    now = timezone.now()
    new_devices.find(now)
    with monkeypatch.context() as dying:
        dying.setattr(TrailPosition, "save", _die)
        with pytest.raises(SystemError), transaction.atomic():
            new_devices.find(now + LATER)
    assert not SecurityMail.objects.exists()
    new_devices.find(now + LATER)
    assert SecurityMail.objects.count() == 1


def _die(*_: Any, **__: Any) -> None:
    raise SystemError("the worker is gone")


def test_a_line_that_is_committed_after_later_ones_were_seen_is_found(mary):
    """Its key was given before theirs: as of a transaction that is open meanwhile."""
    seen: list[str] = []

    def take(lines: following.Lines) -> None:
        seen.extend(line.sid for line in lines)

    def look(at: datetime) -> None:
        following.follow("test", [EventType.OPENED], take, at=at, patience=timedelta(minutes=2))

    now = timezone.now()
    look(now)
    late = trail.line(EventType.OPENED, session=make_session(mary), at=now)
    late.pk = (SessionEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1000
    last = trail.line(EventType.OPENED, session=make_session(mary), at=now)
    last.pk = late.pk + 1
    last.save(force_insert=True)
    look(now + timedelta(seconds=60))
    look(now + timedelta(seconds=120))
    assert seen == []
    late.save(force_insert=True)
    look(now + timedelta(seconds=180))
    look(now + timedelta(seconds=240))
    assert seen == [late.sid, last.sid]


@pytest.mark.django_db(transaction=True)
def test_the_task_looks_for_both(mailoutbox):
    mary = make_user()
    find_security_mails()
    opened(mary)
    session = opened(mary, CHROME)
    end(session)
    find_security_mails()
    with time_machine.travel(timezone.now() + LATER, tick=False):
        find_security_mails()
    assert sorted(SecurityMail.objects.values_list("kind", flat=True)) == ["new_device", "signed_out"]


def test_what_was_before_the_first_look_is_history(mailoutbox):
    mary = make_user()
    opened(mary)
    opened(mary, CHROME)
    found_later()
    assert mailoutbox == []


def test_more_lines_than_one_batch_are_all_found(mary, monkeypatch):
    monkeypatch.setattr(following, "BATCH", 2)
    for number in range(5):
        opened(mary, ip=f"192.0.2.{number}")
    found_later()
    assert SecurityMail.objects.count() == 4


def test_a_mail_server_that_is_away_delays_and_a_second_copy_is_known_by_its_id(mary, mailoutbox, monkeypatch):
    accounts.set_password(mary, "fuchsia otter volcano", actor="user")
    now = timezone.now()
    with monkeypatch.context() as away:
        away.setattr("django.core.mail.EmailMessage.send", _refuse)
        assert security_mails.send_due(now) == 0
    assert security_mails.send_due(now + timedelta(seconds=10)) == 0
    assert security_mails.send_due(now + timedelta(seconds=31)) == 1
    SecurityMail.objects.update(
        outcome="", done_at=None
    )  # the worker died between the server's answer and its own note
    assert security_mails.send_due(now + timedelta(hours=2)) == 1
    first, second = mailoutbox
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]


def _refuse(*_: Any, **__: Any) -> None:
    raise smtplib.SMTPServerDisconnected("away")


def test_an_address_that_cannot_be_written_to_holds_up_nobody_else(mary, mailoutbox):
    odd = make_user("odd@fabrikamcorp.com")
    User.objects.filter(pk=odd.pk).update(email=f"odd@{'é' * 80}.example")
    for person in (odd, mary):
        accounts.set_password(person, "fuchsia otter volcano", actor="user")
    assert security_mails.send_due(timezone.now()) == 1
    assert mailoutbox[0].to == [MARY]


def test_after_three_days_it_is_given_up(mary, mailoutbox):
    accounts.set_password(mary, "fuchsia otter volcano", actor="user")
    security_mails.send_due(timezone.now() + timedelta(days=4))
    assert mailoutbox == []
    assert SecurityMail.objects.get().outcome == "given_up"


def test_two_workers_do_not_send_the_same_mail(mary):
    accounts.set_password(mary, "fuchsia otter volcano", actor="user")
    row, now = SecurityMail.objects.get(), timezone.now()
    assert security_mails._claim(row, now)
    assert not security_mails._claim(row, now)


def test_a_flood_is_a_few_mails_and_the_next_one_says_how_many_were_left_out(mary, mailoutbox):
    for number in range(10):
        opened(mary, ip=f"192.0.2.{number}")  # the first of them is the first ever
    found_later()
    assert len(mailoutbox) == 4
    accounts.set_password(mary, "fuchsia otter volcano", actor="user")
    with time_machine.travel(timezone.now() + LATER + timedelta(minutes=1), tick=False):
        send_mails()
    assert "password" in mailoutbox[-1].subject  # a flood of one kind hides no other
    with time_machine.travel(timezone.now() + LATER + timedelta(minutes=61), tick=False):
        send_mails()
        send_mails()
    assert len(mailoutbox) == 6
    assert "4 more mails of this kind were left out" in mailoutbox[-1].body
    assert set(SecurityMail.objects.values_list("outcome", flat=True)) == {"sent", "left_out"}


# --- names --------------------------------------------------------------------------------------------------------------
def test_names_break_neither_headers_nor_sentences(mary, mailoutbox):
    set_tenant(friendly_name="\u05e9\u05dc\u05d5\u05dd")
    app = make_application("Evil", client_id="evil", backchannel_logout_uri="https://evil.example/out")
    Application.objects.filter(pk=app.pk).update(name="\u202eelif\r\nBcc: x@evil.example")
    configuration.bump()
    end(make_session(mary, app))
    found_later()
    (message,) = mailoutbox
    assert "\n" not in message.subject
    assert "\u2068\u05e9\u05dc\u05d5\u05dd\u2069" in message.subject
    assert message.recipients() == [MARY]
    assert "\u202e" not in message.body
    assert "Bcc" not in message.message().as_string().partition("\n\n")[0]


# --- the link ---------------------------------------------------------------------------------------------------------------
def post(link: str) -> Any:
    client = csrf_client()
    return client.post(link, {"csrfmiddlewaretoken": csrf_token(client, link)})


def test_looking_says_what_will_happen_and_does_nothing(mary, reported, apps):
    session = make_session(mary, *apps)
    for method in ("get", "head", "get"):  # a scanner, a prefetch, a person
        answer = getattr(Client(), method)(reported)
        assert answer.status_code == 200
    assert "1 device is signed out" in answer.content.decode()
    session.refresh_from_db()
    assert session.ended_at is None


def test_the_button_ends_everything_and_leads_to_a_new_password(mary, reported, apps, mailoutbox):
    session = make_session(mary, *apps)
    family = RefreshTokenFamily.objects.create(user=mary, application=apps[0], offline=True, auth_time=timezone.now())
    with time_machine.travel(timezone.now() + timedelta(seconds=1)):
        answer = post(reported)
    assert answer.status_code == 200
    session.refresh_from_db()
    family.refresh_from_db()
    mary.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("not-me", "user")
    assert family.revoked_at is not None
    assert mary.revoked_before is not None
    assert LogoutDelivery.objects.filter(session=session).count() == 2
    line = SessionEvent.objects.get(type="not_me")
    assert (line.sub, line.initiator, line.data["mail"]) == (mary.user_id, "not-me", "new_password")
    assert line.data["sessions_ended"] == 1

    to_new = re.search(r'href="http://localhost:8000(/account/password/reset/key/[^"]+)"', answer.content.decode())
    page = Client().get(to_new[1], follow=True)
    assert "password1" in page.content.decode()


def test_a_passkey_that_a_thief_made_signs_nobody_in_any_more_and_stays_a_second_factor(mary, reported):
    key = give_passkey(mary)
    assert "No passkey signs in without the password" in Client().get(reported).content.decode()
    assert "asked for after the password" in post(reported).content.decode()
    assert "does not sign you in" in passkey_sign_in(Client(), key).content.decode()
    assert SessionEvent.objects.get(type="not_me").data["passkeys"] == 1
    typed = {"username": MARY, "password": "fuchsia otter volcano"}
    assert Client().post("/login", typed)["Location"] == "/account/mfa/authenticate/"


def test_the_button_needs_a_token_of_its_page(mary, reported):
    session = make_session(mary)
    assert csrf_client().post(reported).status_code == 403
    session.refresh_from_db()
    assert session.ended_at is None


def test_a_link_works_once(mary, reported):
    client = csrf_client()
    token = csrf_token(client, reported)
    assert client.post(reported, {"csrfmiddlewaretoken": token}).status_code == 200
    session = make_session(mary)
    assert client.post(reported, {"csrfmiddlewaretoken": token}).status_code == 404
    assert Client().get(reported).status_code == 404
    session.refresh_from_db()
    assert session.ended_at is None


def test_a_link_works_for_three_days(mary, reported):
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=71)):
        assert Client().get(reported).status_code == 200
    with time_machine.travel(now + timedelta(hours=73)):
        assert Client().get(reported).status_code == 404


def test_a_link_of_somebody_who_is_deleted_is_dead(mary, reported):
    accounts.delete_user(mary, actor="admin:auth0|boss", at=timezone.now())
    assert Client().get(reported).status_code == 404
    assert not SecurityMail.objects.exists()


@pytest.mark.parametrize("key", ["x", "a:b", "WzFd:x", "%00", "é", "1-abcdef", "a" * 5000])
def test_what_is_no_link_of_ours_is_dead(key):
    assert Client().get(f"/account/not-me/{key}/").status_code == 404


def test_a_link_with_another_signature_is_dead(mary, reported):
    wrong = reported[:-3] + ("aa/" if not reported.endswith("aa/") else "bb/")
    assert Client().get(wrong).status_code == 404


def test_who_has_only_the_old_address_ends_everything_and_chooses_no_password(mary, mailoutbox):
    """An administrator changed it, and the mailbox may be somebody else's by now."""
    accounts.change_email(mary, "mary@example.com", verified=True, actor="admin:auth0|boss", at=timezone.now())
    send_mails()
    by_address = {message.to[0]: message for message in mailoutbox}
    session = make_session(mary)
    answer = post(link_in(by_address[MARY]))
    session.refresh_from_db()
    assert session.end_initiator == "not-me"
    assert "password/reset/key" not in answer.content.decode()
    assert "password/reset/key" in post(link_in(by_address["mary@example.com"])).content.decode()


def test_a_person_of_an_identity_provider_is_told_where_their_password_is(mailoutbox):
    set_tenant(security_mails="all")
    pat = make_user("pat@acme.example", connection=make_connection("Acme", strategy="okta"))
    look()
    opened(pat)
    opened(pat, CHROME)
    found_later()
    answer = post(link_in(mailoutbox[0]))
    assert "Change it where you sign in from" in answer.content.decode()


def test_applications_that_hear_of_revoked_sessions_hear_of_it(mary, reported):
    choosy = [
        make_application(
            name,
            backchannel_logout_uri=f"https://{name}.example/out",
            backchannel_logout_initiators_mode="custom",
            backchannel_logout_initiators=selected,
        )
        for name, selected in (("hears", ["session-revoked"]), ("deaf", ["rp-logout"]))
    ]
    make_session(mary, *choosy)
    post(reported)
    rows = LogoutDelivery.objects.values_list("application__name", "state")
    assert dict(rows) == {"hears": "pending", "deaf": "not_told"}
