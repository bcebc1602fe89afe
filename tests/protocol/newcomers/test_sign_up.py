"""Sign-up where a connection is open: the address is proved first, and nothing tells whose account there is."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from idp.models import Connection, User
from sessions_app.models import SessionEvent
from sessions_app.tasks import send_mails
from tests.protocol.newcomers.conftest import GOOD, delivered, link_in, new_browser, send_form
from tests.support.factories import make_application, make_user
from tests.support.sign_in import session_of

pytestmark = pytest.mark.django_db
NINA = "nina@fabrikamcorp.com"
REQUEST = (
    "client_id=jwt-debugger&response_type=code&redirect_uri=https://jwt-debugger.example/callback&scope=openid&state=s"
)


@pytest.fixture
def open_staff(staff) -> Connection:
    staff.options = {"disable_signup": False}
    staff.save()
    return staff


def asked(client: Client, address: str = NINA, **more: str):
    return client.post(reverse("sign_up"), {"email": address, **more})


def test_somebody_signs_up_from_an_application_that_asks_for_it_and_comes_back_to_it(open_staff, mailoutbox):
    """`screen_hint` is how Auth0's SDKs ask: auth0-spa-js, `authorizationParams: {screen_hint: "signup"}`."""
    make_application()
    nina = new_browser()
    first = nina.get(f"/authorize?{REQUEST}&screen_hint=signup")
    assert urlsplit(first["Location"]).path == "/signup"
    next_url = parse_qs(urlsplit(first["Location"]).query)["next"][0]
    answer = send_form(nina, first["Location"], email=NINA, next=next_url)
    assert answer["Location"] == "/signup/sent"
    link = link_in(delivered(mailoutbox))
    assert not User.objects.exists()
    answer = send_form(nina, link, name="Nina", password=GOOD)
    user = User.objects.get(email=NINA)
    assert user.email_verified
    assert session_of(nina).user == user
    back = nina.get(answer["Location"])
    assert re.match(r"https://jwt-debugger.example/callback\?code=\S+&state=s", back["Location"])
    assert SessionEvent.objects.filter(type="signed_up", sub=user.user_id, connection="Staff").exists()


def test_it_is_off_unless_a_connection_says_otherwise(staff, mailoutbox):
    for options in ({}, {"disable_signup": True}):
        staff.options = options
        staff.save()
        client = Client()
        assert asked(client)["Location"].startswith("/login")
        assert client.get("/signup?next=/account/")["Location"] == "/login?next=%2Faccount%2F"
        assert "/signup" not in client.get("/login").content.decode()
    send_mails()
    assert mailoutbox == []
    staff.options = {"disable_signup": False}
    staff.save()
    assert "/signup?next=%2F" in Client().get("/login").content.decode()


def test_asking_costs_and_says_the_same_whoever_has_an_account(open_staff, mailoutbox):
    make_user(connection=open_staff)
    Client().get("/signup")  # the configuration is read once
    said, counts = set(), set()
    for address in (NINA, "mary@fabrikamcorp.com"):
        with CaptureQueriesContext(database) as queries:
            answer = asked(Client(), address)
        counts.add(tuple(re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries))
        said.add((answer.status_code, answer["Location"]))
    assert len(said) == len(counts) == 1
    send_mails()
    by_address = {message.to[0]: message.body for message in mailoutbox}
    assert "/signup/key/" in by_address[NINA]
    assert "/signup/key/" not in by_address["mary@fabrikamcorp.com"]  # who is told, by mail, that there is one
    assert "There is one already" in by_address["mary@fabrikamcorp.com"]


def test_only_addresses_of_the_domains_that_are_named_sign_up(open_staff, mailoutbox):
    open_staff.options = {"disable_signup": False, "signup_domains": ["fabrikamcorp.com"]}
    open_staff.save()
    for address in ("eve@elsewhere.example", "eve@fabrikamcorp.com.evil.example", "eve@evilfabrikamcorp.com"):
        assert asked(Client(), address).status_code == 400
    asked(Client(), "Nina@FabrikamCorp.com")
    assert delivered(mailoutbox).to == ["Nina@FabrikamCorp.com"]


def test_an_address_that_is_too_long_as_it_is_kept_is_refused_before_a_mail_is_sent(open_staff, mailoutbox):
    """Some letters are two in lower case."""
    assert asked(Client(), f"{'İ' * 200}@fabrikamcorp.com").status_code == 400
    send_mails()
    assert mailoutbox == []


def test_a_link_makes_one_account_and_one_only_by_the_connections_rules(open_staff, mailoutbox):
    asked(Client())
    link = link_in(delivered(mailoutbox))
    assert Client().get(link, follow=True).status_code == 200  # a scanner
    nina = new_browser()
    weak = send_form(nina, link, name="", password="password")
    assert weak.status_code == 400
    assert "too common" in weak.content.decode()
    assert send_form(nina, link, name="", password=GOOD).status_code == 302
    again = Client()
    assert again.get(link, follow=True).status_code == 410
    assert again.post(reverse("sign_up_finish"), {"password": GOOD}).status_code == 410
    open_staff.options = {"disable_signup": True}
    open_staff.save()
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "next_url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_it_leads_to_no_other_site(open_staff, mailoutbox, next_url):
    nina = new_browser()
    send_form(nina, "/signup", email=NINA, next=next_url)
    assert send_form(nina, link_in(delivered(mailoutbox)), name="", password=GOOD)["Location"] == "/"


def test_in_another_browser_the_application_that_asked_is_left_alone(open_staff, mailoutbox):
    """Its request belongs to the browser that began it: the person there may be somebody else, who wants them signed in."""
    make_application()
    eve = new_browser()
    send_form(eve, "/signup", email=NINA, next=f"/authorize?{REQUEST}")
    assert send_form(new_browser(), link_in(delivered(mailoutbox)), name="", password=GOOD)["Location"] == "/"


def test_a_user_name_is_asked_for_where_the_connection_has_them(open_staff, mailoutbox):
    open_staff.options = {"disable_signup": False, "requires_username": True}
    open_staff.save()
    asked(Client())
    link, nina = link_in(delivered(mailoutbox)), new_browser()
    for taken_or_wrong in ("", "nina@x.example", "with\0nul", "İ" * 200):
        assert send_form(nina, link, name="", password=GOOD, username=taken_or_wrong).status_code == 400
    assert send_form(nina, link, name="", password=GOOD, username="Nina").status_code == 302
    asked(Client(), "other@fabrikamcorp.com")
    other = send_form(new_browser(), link_in(delivered(mailoutbox)), name="", password=GOOD, username="nina")
    assert other.status_code == 409
    assert User.objects.count() == 1
