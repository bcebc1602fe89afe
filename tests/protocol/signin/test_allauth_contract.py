"""The seams with allauth: second factor, confirmation, reset and change of the password. They use its internals: pinned."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.limits import limiter
from idp.people import accounts
from logout_app.models import LogoutEvent
from sessions_app.models import SSOSession
from sessions_app.signin import sign_in
from sessions_app.tasks import send_mails
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import request_params
from tests.support.sign_in import csrf_client, csrf_token, session_of, sign_in_by_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_half_minute")]
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def _empty_cache():
    from django.core.cache import cache

    cache.clear()


def with_totp(user):
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": get_mfa_adapter().encrypt(SECRET)}
    )
    return user


def code() -> str:
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return totp.format_hotp_value(totp.hotp_value(SECRET, counter))


def give_code(client, value):
    path = reverse("mfa_authenticate")
    return client.post(path, {"code": value, "csrfmiddlewaretoken": csrf_token(client, path)})


def test_a_second_factor_stands_between_the_password_and_the_session():
    with_totp(make_user())
    client = csrf_client()
    application = make_application()
    target = f"/authorize?client_id={application.client_id}"

    response = sign_in_by_form(client, next=target)

    assert response["Location"] == reverse("mfa_authenticate")
    assert not SSOSession.objects.exists()
    assert settings.SSO_COOKIE_NAME not in client.cookies
    page = client.get(reverse("mfa_authenticate"))
    assert "https://jwt-debugger.example" in page["Content-Security-Policy"]
    assert page["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert give_code(client, "000000").status_code == 200
    response = give_code(client, code())
    assert response["Location"] == target
    assert [method["name"] for method in session_of(client).amr] == ["pwd", "mfa", "otp"]


def test_a_code_works_once():
    with_totp(make_user())
    value = code()
    first, second = csrf_client(), csrf_client()
    sign_in_by_form(first)
    sign_in_by_form(second)
    assert give_code(first, value).status_code == 302
    assert give_code(second, value).status_code == 200
    assert session_of(second) is None


def test_codes_cannot_be_guessed_for_ever():
    with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    for _ in range(limiter.CODE.count):
        assert give_code(client, "000000").status_code == 200
    page = give_code(client, code())
    assert page.status_code == 200
    assert "Too many" in page.content.decode()
    assert session_of(client) is None


def test_left_over_records_do_not_skip_the_second_factor():
    mary = with_totp(make_user())
    client = csrf_client()
    client.get("/login")
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "mfa", "type": "webauthn", "passwordless": True, "at": timezone.now().timestamp()}
    ]
    session["account_authentication_methods_user"] = str(mary.pk)
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    assert sign_in_by_form(client)["Location"] == reverse("mfa_authenticate")
    assert session_of(client) is None


def test_somebody_signed_in_proves_both_factors_again():
    with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    give_code(client, code())
    before = session_of(client)
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=1))
    Authenticator.objects.update(data={"secret": get_mfa_adapter().encrypt(SECRET)})
    from django.core.cache import cache

    cache.clear()  # as if the code of a later half-minute were used

    target = f"/authorize?{urlencode(request_params(make_application(), prompt='login'))}"
    assert sign_in_by_form(client, next=target)["Location"] == reverse("mfa_authenticate")
    assert give_code(client, code())["Location"] == target
    after = session_of(client)
    assert after.sid == before.sid
    assert after.cookie_hash != before.cookie_hash


def test_the_second_factors_page_is_only_for_a_sign_in_that_waits():
    assert Client().get(reverse("mfa_authenticate"))["Location"] == "/login"


def test_cancelling_the_second_factor_forgets_the_password():
    with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    token = csrf_token(client, reverse("mfa_authenticate"))
    assert client.post("/logout", {"next": "/login", "csrfmiddlewaretoken": token})["Location"] == "/login?choose=1"
    assert client.get(reverse("mfa_authenticate"))["Location"] == "/login"


def test_a_blocked_person_does_not_get_past_the_second_factor():
    mary = with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    type(mary).objects.update(is_active=False)
    give_code(client, code())
    assert "not signed in" in client.get("/").content.decode()


def test_a_connection_that_was_closed_meanwhile_makes_no_session():
    with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    make_connection().__class__.objects.update(enabled=False)
    assert give_code(client, code()).status_code == 403
    assert not SSOSession.objects.exists()


def test_a_password_that_was_revoked_meanwhile_makes_no_session():
    mary = with_totp(make_user())
    client = csrf_client()
    sign_in_by_form(client)
    type(mary).objects.update(revoked_before=timezone.now())
    give_code(client, code())
    assert "not signed in" in client.get("/").content.decode()


def test_a_password_that_was_changed_meanwhile_makes_no_session():
    """The owner changes it in a session that is spared, so no not-before mark tells of it."""
    mary = with_totp(make_user())
    thief = csrf_client()
    sign_in_by_form(thief)
    mary.acting_session = make_session(mary).pk
    accounts.set_password(mary, "another long password", actor="user")
    assert give_code(thief, code()).status_code == 403
    assert session_of(thief) is None


def test_a_password_that_is_changed_while_it_is_hashed_makes_no_session(monkeypatch):
    mary = make_user()
    verify = sign_in._verify

    def late(*args):
        verified = verify(*args)
        person = type(mary).objects.get()
        person.acting_session = make_session(person).pk
        accounts.set_password(person, "another long password", actor="user")
        return verified

    monkeypatch.setattr(sign_in, "_verify", late)
    thief = csrf_client()
    assert sign_in_by_form(thief).status_code == 403
    assert session_of(thief) is None


def test_confirming_the_password_renews_the_session_under_a_new_cookie():
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    old, before = client.cookies[settings.SSO_COOKIE_NAME].value, session_of(client)
    SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=1))
    path = f"{reverse('account_reauthenticate')}?next=/account/sessions"

    response = client.post(
        path, {"password": PASSWORD, "next": "/account/sessions", "csrfmiddlewaretoken": csrf_token(client, path)}
    )

    assert response["Location"] == "/account/sessions"
    after = session_of(client)
    assert after.sid == before.sid
    assert after.auth_time > timezone.now() - timedelta(minutes=1)
    assert client.cookies[settings.SSO_COOKIE_NAME].value != old


def test_confirming_never_leads_to_another_origin():
    client = browser(make_session(make_user()))
    response = client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_a_wrong_password_confirms_nothing():
    session = make_session(make_user(), auth_time=timezone.now() - timedelta(hours=1))
    client = browser(session)
    assert client.post(reverse("account_reauthenticate"), {"password": "guess"}).status_code == 200
    assert session_of(client).auth_time == session.auth_time


def end_of(session: SSOSession) -> str:
    session.refresh_from_db()
    return session.end_initiator


def test_a_person_who_removes_their_second_factor_stays_signed_in_there_only():
    mary = with_totp(make_user())
    elsewhere = make_session(mary)
    client = csrf_client()
    sign_in_by_form(client)
    give_code(client, code())
    path = reverse("account_reauthenticate")
    client.post(path, {"password": PASSWORD, "csrfmiddlewaretoken": csrf_token(client, path)})
    path = reverse("mfa_deactivate_totp")
    client.post(path, {"csrfmiddlewaretoken": csrf_token(client, path)})
    assert not Authenticator.objects.exists()
    assert end_of(session_of(client)) == ""
    assert end_of(elsewhere) == "mfa-phone-unenrolled"
    assert LogoutEvent.objects.get().actor == "user"


def test_a_second_factor_that_is_removed_for_a_person_ends_their_sessions():
    """By a script, or in the admin."""
    session = make_session(with_totp(make_user()))
    Authenticator.objects.all().delete()
    assert end_of(session) == "mfa-phone-unenrolled"
    other = make_session(make_user("john@fabrikamcorp.com"))
    Authenticator.objects.create(user=other.user, type=Authenticator.Type.RECOVERY_CODES, data={}).delete()
    assert end_of(other) == ""


def reset_link() -> str:
    send_mails()
    match = re.search(r"(http://localhost:8000(/account/password/reset/key/\S+))", mail.outbox[-1].body)
    assert match
    return match[2]


def test_a_forgotten_password_is_reset_by_mail():
    mary = make_user()
    client = csrf_client()
    path = reverse("account_reset_password")
    token = csrf_token(client, path)
    response = client.post(
        path, {"email": "Mary@fabrikamcorp.com", "csrfmiddlewaretoken": token}, HTTP_HOST="127.0.0.1"
    )
    assert response.status_code == 302
    link = reset_link()
    form = client.get(link)["Location"]
    new = "a completely new passphrase"
    response = client.post(form, {"password1": new, "password2": new, "csrfmiddlewaretoken": csrf_token(client, form)})
    assert response["Location"] == reverse("account_reset_password_from_key_done")
    mary.refresh_from_db()
    assert mary.check_password(new)
    assert "This link does not work any more" in Client().get(link, follow=True).content.decode()  # a link works once


def test_a_later_sign_in_kills_a_reset_link():
    make_user()
    Client().post(reverse("account_reset_password"), {"email": "mary@fabrikamcorp.com"})
    link = reset_link()
    sign_in_by_form(csrf_client())
    page = Client().get(link)
    assert page.status_code == 200
    assert "password1" not in page.content.decode()


def test_a_reset_says_nothing_about_who_has_an_account():
    make_user()
    make_user("blocked@fabrikamcorp.com", is_active=False)
    answers = [
        Client().post(reverse("account_reset_password"), {"email": email})
        for email in ("mary@fabrikamcorp.com", "nobody@fabrikamcorp.com", "blocked@fabrikamcorp.com")
    ]
    assert {(answer.status_code, answer["Location"]) for answer in answers} == {
        (302, reverse("account_reset_password_done"))
    }
    send_mails()
    assert [message.to for message in mail.outbox] == [["mary@fabrikamcorp.com"]]


def test_reset_mails_are_limited():
    make_user()
    for _ in range(limiter.RESET_MAIL.count + 3):
        Client().post(reverse("account_reset_password"), {"email": "mary@fabrikamcorp.com"})
    send_mails()
    assert len(mail.outbox) == limiter.RESET_MAIL.count


def test_a_reset_does_not_reach_people_of_other_connections():
    okta = make_connection("AcmeOkta", strategy="okta")
    make_user(connection=okta)
    closed = make_connection("Closed", enabled=False)
    make_user("pat@fabrikamcorp.com", connection=closed)
    for email in ("mary@fabrikamcorp.com", "pat@fabrikamcorp.com"):
        Client().post(reverse("account_reset_password"), {"email": email})
    send_mails()
    assert mail.outbox == []


def test_somebody_elses_reset_link_does_not_sign_me_out():
    make_user()
    make_user("john@fabrikamcorp.com")
    Client().post(reverse("account_reset_password"), {"email": "john@fabrikamcorp.com"})
    mary = csrf_client()
    sign_in_by_form(mary)
    mary.get(reset_link(), headers={"Sec-Fetch-Dest": "image"}, follow=True)
    assert session_of(mary).ended_at is None
    assert "mary@fabrikamcorp.com" in mary.get("/").content.decode()


def test_the_password_is_changed_with_the_old_one():
    mary = make_user()
    client = csrf_client()
    sign_in_by_form(client)
    path = reverse("account_change_password")
    new = "a completely new passphrase"
    data = {"oldpassword": "guess", "password1": new, "password2": new, "csrfmiddlewaretoken": csrf_token(client, path)}
    assert client.post(path, data).status_code == 200
    client.post(path, {**data, "oldpassword": PASSWORD})
    mary.refresh_from_db()
    assert mary.check_password(new)


@pytest.mark.parametrize(
    "name", ["mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "account_change_password", "account_reauthenticate"]
)
def test_account_pages_have_our_looks_and_no_inline_script(name):
    client = csrf_client()
    make_user()
    sign_in_by_form(client)
    path = reverse("account_reauthenticate")
    client.post(path, {"password": PASSWORD, "csrfmiddlewaretoken": csrf_token(client, path)})
    page = client.get(reverse(name))
    text = page.content.decode()
    assert page.status_code == 200
    assert "css/curfew.css" in text
    assert 'class="button' in text
    assert "style=" not in text
    for script in re.findall(r"<script[^>]*>", text):
        assert "src=" in script or 'type="application/json"' in script


@pytest.mark.parametrize("path", ["/account/signup/", "/account/login/", "/account/logout/", "/account/email/"])
def test_allauths_own_doors_are_not_mounted(path):
    assert browser(make_session(make_user())).get(path).status_code == 404
