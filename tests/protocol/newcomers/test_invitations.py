"""Invitations: from the administrator's form to a person who is signed in with their groups; and whom a link does not help."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group as RoleGroup
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import Group, Identity, Invitation, MailLink, User
from idp.people import accounts, invitations
from idp.people.console_roles import AUDITOR, CONFIGURATOR, OPERATOR
from idp.protocol.opaque import digest
from sessions_app.models import SessionEvent
from sessions_app.tasks import send_mails
from tests.protocol.newcomers.conftest import GOOD, delivered, link_in, new_browser, send_form
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.sign_in import session_of

pytestmark = pytest.mark.django_db
NINA = "nina@fabrikamcorp.com"
ADD = "/admin/idp/invitation/add/"


def administrator(role: str = "") -> Client:
    boss = make_user("boss@elsewhere.example", make_connection("Elsewhere"), is_staff=True, is_superuser=not role)
    if role:
        boss.groups.add(RoleGroup.objects.get(name=role))
    return browser(make_session(boss))


def invite(staff, **more) -> Invitation:
    return invitations.invite(NINA, staff, actor="system", at=timezone.now(), **more)


# --- from start to end -------------------------------------------------------------------------------------------------
def test_somebody_is_invited_chooses_a_password_and_has_the_groups(staff, mailoutbox):
    group = Group.objects.create(name="finance")
    form = {"address": NINA, "name": "Nina", "connection": staff.pk, "groups": [group.pk]}
    assert administrator().post(ADD, form, HTTP_HOST="localhost:8000").status_code == 302
    message = delivered(mailoutbox)
    assert message.to == [NINA]
    assert not User.objects.filter(email=NINA).exists()  # nobody came yet

    nina = new_browser()
    answer = send_form(nina, link_in(message), name="Nina", password=GOOD)
    assert answer.status_code == 302
    user = User.objects.get(email=NINA)
    assert session_of(nina).user == user
    assert user.email_verified
    assert user.check_password(GOOD)
    assert group.memberships.filter(user=user).exists()
    row = Invitation.objects.get()
    assert row.accepted_by == user
    lines = SessionEvent.objects.filter(type="invitation_changed").order_by("pk")
    assert [(line.data["act"], line.data["groups"]) for line in lines] == [
        ("invited", ["finance"]),
        ("accepted", ["finance"]),
    ]
    assert [line.actor.partition(":")[0] for line in lines] == ["admin", "user"]
    assert NINA not in str([line.data for line in lines])


def test_a_person_of_another_connection_signs_in_there_and_accepts(mailoutbox):
    acme = make_connection("acme", "okta")
    group = Group.objects.create(name="finance")
    invitations.invite(NINA, acme, groups=[group], actor="system", at=timezone.now())
    link = link_in(delivered(mailoutbox))
    visitor = Client()
    page = visitor.get(link, follow=True).content.decode()
    assert "/login?next=%2Finvitation&amp;only=acme" in page
    assert 'type="password"' not in page

    user = User.objects.create(user_id="okta|acme|1", email=NINA, email_verified=True)
    Identity.objects.create(user=user, connection=acme, sub="1", email=NINA)
    nina = browser(make_session(user, connection=acme))
    assert "Accept" in nina.get(link, follow=True).content.decode()
    assert nina.post(reverse("invitation")).status_code == 302
    assert group.memberships.filter(user=user).exists()


def test_a_browser_that_was_left_open_accepts_nothing_before_its_person_proves_who_they_are(mailoutbox):
    acme = make_connection("acme", "okta")
    group = Group.objects.create(name="finance")
    invitations.invite(NINA, acme, groups=[group], actor="system", at=timezone.now())
    user = User.objects.create(user_id="okta|acme|1", email=NINA, email_verified=True)
    Identity.objects.create(user=user, connection=acme, sub="1", email=NINA)
    nina = browser(make_session(user, connection=acme, auth_time=timezone.now() - timedelta(hours=2)))
    answer = nina.get(link_in(delivered(mailoutbox)), follow=True)
    assert answer.redirect_chain[-1][0].endswith("/account/reauthenticate/?next=%2Finvitation")
    assert nina.post(reverse("invitation"))["Location"].endswith("/account/reauthenticate/?next=%2Finvitation")
    assert not group.memberships.exists()


# --- whom it does not help ---------------------------------------------------------------------------------------------
def test_a_link_that_was_used_replaced_withdrawn_or_is_too_old_says_what_to_do(staff, mailoutbox, time_machine):
    used = invite(staff)
    first = link_in(delivered(mailoutbox))
    invitations.resend(used, actor="system", at=timezone.now())
    second = link_in(delivered(mailoutbox))
    send_form(new_browser(), second, name="", password=GOOD)
    withdrawn = invitations.invite("w@fabrikamcorp.com", staff, actor="system", at=timezone.now())
    third = link_in(delivered(mailoutbox))
    invitations.withdraw(withdrawn, actor="system", at=timezone.now())
    invitations.invite("late@fabrikamcorp.com", staff, actor="system", at=timezone.now())
    fourth = link_in(delivered(mailoutbox))
    time_machine.move_to(timezone.now() + timedelta(days=8))
    for link in (first, second, third, fourth, f"/invitation/key/{'x' * 43}"):
        page = Client().get(link, follow=True)
        assert page.status_code == 410, link
        assert "send it again" in page.content.decode()
        assert Client().post(reverse("invitation"), {"password": GOOD}).status_code == 410
    assert User.objects.exclude(email=NINA).count() == 0


@pytest.mark.parametrize("has_her_own", [True, False], ids=["of the connection", "of another one"])
def test_somebody_else_who_opens_it_gets_nothing(staff, mailoutbox, has_her_own):
    """Signed in as Mary, of the same connection or not: the link was forwarded, or found."""
    group = Group.objects.create(name="finance")
    invite(staff, groups=[group])
    mary = make_user(connection=staff if has_her_own else None)
    client = browser(make_session(mary))
    page = client.get(link_in(delivered(mailoutbox)), follow=True)
    assert page.status_code == 403
    assert "for somebody else" in page.content.decode()
    assert client.post(reverse("invitation")).status_code == 403
    assert not group.memberships.exists()
    assert Invitation.objects.get().accepted_at is None


def test_a_scanner_of_mails_uses_nothing_up_and_a_second_answer_makes_no_second_account(staff, mailoutbox):
    invite(staff)
    link = link_in(delivered(mailoutbox))
    for _ in range(3):
        assert Client().get(link, follow=True).status_code == 200
    nina = new_browser()
    assert send_form(nina, link, name="", password=GOOD).status_code == 302
    other = Client()
    other.cookies.load({"curfew_link": link.rpartition("/")[2]})
    assert other.post(reverse("invitation"), {"password": GOOD}).status_code == 410
    assert User.objects.filter(email=NINA).count() == 1


def test_an_account_that_exists_meanwhile_is_not_given_a_new_password_by_the_link(staff, mailoutbox):
    invite(staff)
    link = link_in(delivered(mailoutbox))
    make_user(NINA, staff)
    stranger = Client()
    page = stranger.get(link, follow=True).content.decode()
    assert 'type="password"' not in page
    stranger.post(reverse("invitation"), {"password": GOOD})
    assert not User.objects.get(email=NINA).check_password(GOOD)


def test_a_closed_connection_lets_nobody_in(staff, mailoutbox):
    invite(staff)
    link = link_in(delivered(mailoutbox))
    accounts.disable_connection(staff, actor="system", at=timezone.now())
    client = Client()
    assert client.get(link, follow=True).status_code == 410
    assert client.post(reverse("invitation"), {"password": GOOD}).status_code == 410
    assert not User.objects.exists()


def test_the_secret_is_nowhere_but_in_the_mail_which_leads_to_the_issuer(staff, mailoutbox):
    client = administrator()
    client.post(ADD, {"address": NINA, "connection": staff.pk}, HTTP_HOST="localhost")
    assert MailLink.objects.get().secret_hash is None
    link = link_in(delivered(mailoutbox))
    secret = link.rpartition("/")[2]
    row = MailLink.objects.get()
    assert row.secret_hash == digest(secret)
    opened = Client().get(link)
    assert secret not in opened["Location"]
    assert opened.cookies["curfew_link"]["httponly"]


def test_names_and_addresses_add_no_header_to_a_mail(staff, mailoutbox):
    client = administrator()
    for field, value in (("address", "nina@x.example\r\nBcc: eve@x.example"), ("name", "Nina\r\nBcc: eve@x.example")):
        form = {"address": NINA, "name": "", "connection": staff.pk, field: value}
        assert client.post(ADD, form).status_code == 200
    long = {"address": f"{'İ' * 200}@x.example", "name": "", "connection": staff.pk}  # longer as accounts keep it
    assert client.post(ADD, long).status_code == 200
    staff.display_name = "Staff\r\nBcc: eve@x.example"
    staff.save()
    invite(staff, name="Nina\r\nBcc: eve@x.example")
    message = delivered(mailoutbox)
    assert "Bcc" not in message.message()
    assert message.recipients() == [NINA]


# --- who may invite ----------------------------------------------------------------------------------------------------
def test_operators_invite_without_groups_auditors_read_and_configurators_see_nothing(staff, mailoutbox):
    group = Group.objects.create(name="finance")
    waiting = invitations.invite("before@fabrikamcorp.com", staff, actor="system", at=timezone.now())
    for role, opens, adds in ((OPERATOR, 200, True), (AUDITOR, 200, False), (CONFIGURATOR, 403, False)):
        client = administrator(role.group)
        assert client.get("/admin/idp/invitation/").status_code == opens
        page = client.get(ADD)
        assert page.status_code == (200 if adds else 403)
        assert "finance" not in page.content.decode()
        client.post(ADD, {"address": NINA, "connection": staff.pk, "groups": [group.pk]})
        act = f"/admin/idp/invitation/{waiting.pk}/act/withdraw/"
        assert client.post(act).status_code == (302 if adds else 403)
        User.objects.filter(email="boss@elsewhere.example").delete()
    assert list(Invitation.objects.get(address=NINA).groups.all()) == []
    assert Invitation.objects.get(pk=waiting.pk).withdrawn_at is not None


def test_one_address_is_not_flooded_and_a_new_invitation_replaces_the_one_before(staff, mailoutbox):
    client = administrator()
    for _ in range(8):
        client.post(ADD, {"address": NINA, "connection": staff.pk})
    assert Invitation.objects.count() == 5
    assert Invitation.objects.filter(withdrawn_at=None).count() == 1
    send_mails()
    assert len(mailoutbox) == 1
