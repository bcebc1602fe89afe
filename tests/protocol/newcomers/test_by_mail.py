"""Sign-in by mail: by a code or a link, once, for ten minutes, in the browser that asked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.limits import limiter
from idp.models import User
from idp.people import accounts
from sessions_app.models import SessionEvent
from sessions_app.tasks import send_mails
from tests.protocol.newcomers.conftest import GOOD, delivered, link_in, new_browser, send_form
from tests.support.factories import PASSWORD, make_application, make_connection, make_session, make_user
from tests.support.sign_in import session_of
from tests.support.soft_keys import give_passkey
from tests.support.soft_keys import sign_in as passkey_sign_in

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


# --- who else had the account, and who else asks -----------------------------------------------------------------------
def test_the_first_who_proves_the_address_leaves_nothing_of_whoever_had_the_account_before(mailoutbox):
    """Somebody made it in Mary's name, with a password and a passkey, and waits for her to use it."""
    mary = mary_by("code")
    User.objects.filter(pk=mary.pk).update(email_verified=False)
    key, theirs, client = give_passkey(mary), make_session(mary), new_browser()
    ask(client)
    assert send_form(client, "/login/by-mail/code", code=code_in(delivered(mailoutbox))).status_code == 302
    mary.refresh_from_db()
    theirs.refresh_from_db()
    assert (mary.email_verified, theirs.end_initiator) == (True, "password-changed")
    assert not mary.check_password(PASSWORD)
    assert mary.has_usable_password()  # a mail still leads to another one
    assert session_of(new_signed_in(key)) is None
    assert delivered(mailoutbox).subject == "Your password for Curfew does not work any more"
    assert Authenticator.objects.filter(user=mary).count() == 1  # the key is a second factor now

    own = User.objects.get(pk=mary.pk)
    accounts.set_password(own, GOOD, actor="user")
    again = new_browser()
    ask(again)
    send_mails()
    code = next(code_in(mail) for mail in reversed(mailoutbox) if "Your code" in mail.subject)
    send_form(again, "/login/by-mail/code", code=code)
    own.refresh_from_db()
    assert own.check_password(GOOD)  # the address was known to be hers


def new_signed_in(key) -> Client:
    client = Client()
    passkey_sign_in(client, key)
    return client


def test_strangers_with_wrong_codes_lock_out_strangers_only(mailoutbox, monkeypatch):
    monkeypatch.setattr(limiter, "CODE_DAY", limiter.Limit("code-day", 8, limiter.DAY))
    mary_by("code")
    hers = new_browser()
    ask(hers)
    send_form(hers, "/login/by-mail/code", code=code_in(delivered(mailoutbox)))
    assert session_of(hers) is not None
    strange, other = new_browser(REMOTE_ADDR="198.51.100.1"), new_browser(REMOTE_ADDR="198.51.100.2")
    for stranger, tries in ((strange, (400,) * 5), (strange, (400, 429)), (other, (400, 400, 429))):
        ask(stranger)
        right = code_in(delivered(mailoutbox))
        wrong = "000000" if right != "000000" else "111111"
        assert tuple(send_form(stranger, "/login/by-mail/code", code=wrong).status_code for _ in tries) == tries
    assert send_form(other, "/login/by-mail/code", code=right).status_code == 429
    assert session_of(other) is None
    assert SessionEvent.objects.filter(type="sign_in_throttled").exists()

    hers.cookies.pop(settings.SSO_COOKIE_NAME)
    ask(hers)
    assert send_form(hers, "/login/by-mail/code", code=code_in(delivered(mailoutbox))).status_code == 302
    nearby = new_browser()  # another browser where she signed in from
    ask(nearby)
    assert send_form(nearby, "/login/by-mail/code", code=code_in(delivered(mailoutbox))).status_code == 302


def test_a_right_code_uses_up_nothing_of_the_day(mailoutbox, monkeypatch):
    monkeypatch.setattr(limiter, "CODE_DAY", limiter.Limit("code-day", 2, limiter.DAY))
    mary_by("code")
    for _ in range(3):
        client = new_browser()
        ask(client)
        assert send_form(client, "/login/by-mail/code", code=code_in(delivered(mailoutbox))).status_code == 302


def test_strangers_who_ask_for_mails_use_up_their_own_only(mailoutbox, monkeypatch):
    monkeypatch.setattr(limiter, "RESET_MAIL", limiter.Limit("reset", 2, 3600))
    mary_by("code")
    hers = new_browser()
    ask(hers)
    send_form(hers, "/login/by-mail/code", code=code_in(delivered(mailoutbox)))
    hers.cookies.pop(settings.SSO_COOKIE_NAME)
    for _ in range(3):
        ask(new_browser())
    send_mails()
    sent = len(mailoutbox)
    ask(new_browser())
    send_mails()
    assert len(mailoutbox) == sent
    ask(hers)
    delivered(mailoutbox)
