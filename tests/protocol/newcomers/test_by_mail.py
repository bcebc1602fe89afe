"""Sign-in by mail: by a code or a link, once, for ten minutes, in the browser that asked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import User
from idp.people import accounts
from sessions_app.models import SessionEvent
from sessions_app.tasks import send_mails
from tests.protocol.newcomers.conftest import delivered, link_in, new_browser, send_form
from tests.support.factories import make_application, make_connection, make_user
from tests.support.sign_in import session_of

pytestmark = pytest.mark.django_db
MARY = "mary@fabrikamcorp.com"
REQUEST = "client_id=jwt-debugger&response_type=code&redirect_uri=https://jwt-debugger.example/callback&scope=openid"


def mary_by(how: str) -> User:
    return make_user(connection=make_connection("Staff", options={"email_sign_in": how}))


def ask(client: Client, address: str = MARY, next_url: str = "/account/"):
    return send_form(client, f"/login/by-mail?next={next_url}", email=address, next=next_url)


def code_in(message) -> str:
    return re.search(r"^    (\d{6})$", message.body, re.MULTILINE)[1]


def test_a_code_of_a_mail_signs_in_the_browser_that_asked_once(mailoutbox):
    mary, client = mary_by("code"), new_browser()
    make_application()
    assert ask(client, next_url=f"/authorize?{REQUEST}")["Location"] == "/login/by-mail/code"
    code = code_in(delivered(mailoutbox))
    assert send_form(client, "/login/by-mail/code", code="not it").status_code == 400
    answer = send_form(client, "/login/by-mail/code", code=f"{code[:3]} {code[3:]}")
    assert client.get(answer["Location"])["Location"].startswith("https://jwt-debugger.example/callback?code=")
    session = session_of(client)
    assert session.user == mary
    assert [entry["name"] for entry in session.amr] == ["email"]
    assert client.get("/login/by-mail/code").status_code == 410
    other = new_browser()
    assert other.get("/login/by-mail/code").status_code == 410


def test_of_two_with_one_address_whoever_has_proved_it_comes_in(mailoutbox):
    """User names let two accounts have one address; the older one may be of somebody who only typed it."""
    first, mary = mary_by("code"), make_user("m.smith@fabrikamcorp.com", make_connection("Staff"))
    User.objects.filter(pk=first.pk).update(email_verified=False)
    User.objects.filter(pk=mary.pk).update(email=MARY)
    mary.identities.update(email=MARY, login="mary.smith")
    client = new_browser()
    ask(client)
    send_form(client, "/login/by-mail/code", code=code_in(delivered(mailoutbox)))
    assert session_of(client).user == mary


def test_a_link_asks_by_a_button_and_signs_in_there_only_where_it_was_asked_for(mailoutbox):
    mary_by("link")
    asking, scanner = new_browser(), Client()
    ask(asking)
    link = link_in(delivered(mailoutbox))
    for _ in range(2):
        page = scanner.get(link, follow=True)
        assert page.status_code == 403
        assert "where you asked for it" in page.content.decode()
    assert scanner.post(reverse("by_mail_confirm")).status_code == 403
    assert session_of(scanner) is None
    assert send_form(asking, link)["Location"] == "/account/"
    assert session_of(asking) is not None
    again = Client()
    again.cookies = asking.cookies.copy()
    assert again.get(link, follow=True).status_code == 410


def test_a_code_is_dead_after_five_wrong_ones_after_ten_minutes_and_after_the_next_mail(mailoutbox, time_machine):
    mary_by("code")
    for spoil in ("guess", "wait", "ask again"):
        client = new_browser()
        ask(client)
        code = code_in(delivered(mailoutbox))
        if spoil == "guess":
            wrong = "000000" if code != "000000" else "111111"
            assert {send_form(client, "/login/by-mail/code", code=wrong).status_code for _ in range(5)} == {400}
        elif spoil == "wait":
            time_machine.move_to(timezone.now() + timedelta(minutes=11))
            assert client.get("/login/by-mail/code").status_code == 410
            continue
        else:
            ask(client)
            delivered(mailoutbox)
        assert send_form(client, "/login/by-mail/code", code=code).status_code == (429 if spoil == "guess" else 400)
        assert session_of(client) is None
    assert SessionEvent.objects.filter(type="sign_in_failed", data__reason="wrong code").count() == 6


def test_what_is_said_and_asked_is_the_same_for_an_address_that_nobody_has(mailoutbox):
    mary_by("code")
    pages = []
    for address in (MARY, "nobody@fabrikamcorp.com"):
        client = new_browser()
        ask(client, address)
        page = client.get("/login/by-mail/code").content.decode().replace(address, "X")
        pages.append(re.sub(r'value="[^"]{60,}"', "", page))
    assert pages[0] == pages[1]
    assert "Code" in pages[0]
    delivered(mailoutbox)


def test_it_is_off_unless_the_connection_says_otherwise_and_leaves_the_blocked_out(mailoutbox):
    mary = mary_by("off")
    assert Client().get("/login/by-mail")["Location"].startswith("/login?")
    assert Client().post("/login/by-mail", {"email": MARY})["Location"].startswith("/login?")
    assert "by-mail" not in Client().get("/login").content.decode()
    connection = mary.identities.get().connection
    connection.options = {"email_sign_in": "code"}
    connection.save()
    assert "by-mail" in Client().get("/login").content.decode()
    client = new_browser()
    ask(client)
    code = code_in(delivered(mailoutbox))
    accounts.block_user(mary, actor="system", at=timezone.now())
    assert send_form(client, "/login/by-mail/code", code=code).status_code == 410
    assert session_of(client) is None
    ask(new_browser())
    send_mails()
    assert len(mailoutbox) == 1


def test_a_second_factor_is_asked_for_as_after_a_password(mailoutbox):
    mary, client = mary_by("code"), new_browser()
    secret = get_mfa_adapter().encrypt("JBSWY3DPEHPK3PXP")
    Authenticator.objects.create(user=mary, type=Authenticator.Type.TOTP, data={"secret": secret})
    send_mails()  # about the factor
    ask(client)
    answer = send_form(client, "/login/by-mail/code", code=code_in(delivered(mailoutbox)))
    assert answer["Location"] == reverse("mfa_authenticate")
    assert session_of(client) is None
