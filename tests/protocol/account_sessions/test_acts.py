"""Your sessions: what people end themselves, and that it is their own (ASVS 7.5.2)."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.utils import timezone

from idp.models import Connection, User
from logout_app.models import LogoutDelivery, LogoutEvent, LogoutTransaction
from sessions_app.models import RefreshTokenFamily, SessionEvent, SSOSession
from tests.protocol.account_sessions.conftest import make_family
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.sign_in import csrf_client, csrf_token, session_of
from tests.support.upstream import state_of

pytestmark = pytest.mark.django_db
URL = "/account/sessions"
EVERYWHERE = "/account/sessions/everywhere"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}


def alive() -> set[int]:
    return set(SSOSession.objects.live(timezone.now()).values_list("pk", flat=True))


# --- another device --------------------------------------------------------------------------------------------------
def test_another_device_is_signed_out_and_its_apps_are_told(client, mary, desk, phone):
    answer = client.post(URL, {"act": "sign-out", "sid": phone.sid}, follow=True)
    assert answer.redirect_chain == [(URL, 302)]
    assert "Safari on iPhone is signed out." in answer.content.decode()
    assert alive() == {desk.pk}
    phone.refresh_from_db()
    assert (phone.end_initiator, phone.end_actor) == ("session-revoked", "user")
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor, event.sub, event.sessions_ended) == (
        "session-revoked",
        "user",
        mary.user_id,
        1,
    )
    told = LogoutDelivery.objects.values_list("client_id", "channel", "sid")
    assert set(told) == {("intranet", "backchannel", phone.sid), ("timesheet", "backchannel", phone.sid)}
    assert "You are not signed in" in browser(phone).get("/").content.decode()


def test_signing_a_device_out_leaves_its_offline_tokens(client, mary, phone):
    family = make_family(mary, make_application(), session=phone)
    client.post(URL, {"act": "sign-out", "sid": phone.sid})
    family.refresh_from_db()
    assert family.is_alive(timezone.now())


def test_a_device_that_is_signed_out_already_is_no_error(client, phone):
    for _ in range(2):
        answer = client.post(URL, {"act": "sign-out", "sid": phone.sid}, follow=True)
        assert answer.status_code == 200
    assert "Safari on iPhone was signed out already." in answer.content.decode()
    assert LogoutEvent.objects.count() == 1


def test_the_sid_of_this_device_is_the_normal_sign_out(client, desk):
    answer = client.post(URL, {"act": "sign-out", "sid": desk.sid}, headers=PAGE_VISIT)
    assert answer["Location"].startswith("/logout/")
    desk.refresh_from_db()
    assert (desk.end_initiator, desk.end_actor) == ("rp-logout", "user")


@pytest.mark.parametrize("alive_or_not", [{}, {"ended_at": timezone.now(), "end_initiator": "rp-logout"}])
def test_a_session_of_somebody_else_is_not_found_and_does_not_end(client, desk, alive_or_not):
    bobs = make_session(make_user("bob@fabrikamcorp.com"), make_application(), **alive_or_not)
    before = SSOSession.objects.values().get(pk=bobs.pk)
    assert client.post(URL, {"act": "sign-out", "sid": bobs.sid}).status_code == 404
    assert SSOSession.objects.values().get(pk=bobs.pk) == before
    assert desk.pk in alive()
    assert not LogoutEvent.objects.exists()


@pytest.mark.parametrize("sid", ["nobody", "x" * 51, "\0", "\ud800", "' OR 1=1 --", "42", "a b"])
def test_an_unknown_id_is_not_found(client, phone, sid):
    body = f"act=sign-out&sid={quote(sid, errors='surrogatepass')}"
    assert client.post(URL, body, content_type="application/x-www-form-urlencoded").status_code == 404
    assert phone.pk in alive()


def test_primary_keys_and_cookies_are_no_ids(client, phone):
    for value in (str(phone.pk), phone.raw_cookie, phone.cookie_hash):
        assert client.post(URL, {"act": "sign-out", "sid": value}).status_code == 404
    assert phone.pk in alive()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"act": "sign-out"},
        {"act": "sign-out", "sid": ""},
        {"act": "revoke"},
        {"act": "everything"},
        {"act": ["sign-out", "sign-out-others"], "sid": "x"},
        {"act": "sign-out", "sid": ["x", "y"]},
    ],
)
def test_a_form_that_is_incomplete_or_says_something_twice_is_refused(client, phone, data):
    assert client.post(URL, data).status_code == 400
    assert phone.pk in alive()


@pytest.mark.parametrize("path", [URL, EVERYWHERE])
def test_other_methods_do_nothing(client, phone, path):
    assert client.delete(path).status_code == 405
    assert client.put(path).status_code == 405
    assert client.get(f"{path}?act=sign-out-others&sid={phone.sid}").status_code == 200
    assert len(alive()) == 2


@pytest.mark.parametrize("path", [URL, EVERYWHERE])
def test_another_site_cannot_end_anything(desk, phone, path):
    strict = csrf_client()
    strict.cookies = browser(desk).cookies
    data = {"act": "sign-out-others"}
    assert strict.post(path, data).status_code == 403
    assert alive() == {desk.pk, phone.pk}
    token = csrf_token(strict, path)
    assert strict.post(path, {**data, "csrfmiddlewaretoken": token}).status_code in (302, 303)
    assert phone.pk not in alive()


def test_somebody_who_was_signed_out_meanwhile_ends_nothing(client, desk, phone):
    browser(phone).post(URL, {"act": "sign-out", "sid": desk.sid})
    for path in (URL, EVERYWHERE):
        answer = client.post(path, {"act": "sign-out-others"})
        assert answer["Location"].startswith("/login?next=")
    assert alive() == {phone.pk}


# --- all others ------------------------------------------------------------------------------------------------------
def test_all_other_devices_are_signed_out_in_one_act(client, mary, desk, phone, intranet):
    third = make_session(mary, intranet)
    bobs = make_session(make_user("bob@fabrikamcorp.com"))
    family = make_family(mary, intranet, session=phone)
    answer = client.post(URL, {"act": "sign-out-others"}, follow=True)
    assert "Your 2 other devices are signed out." in answer.content.decode()
    assert alive() == {desk.pk, bobs.pk}
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor, event.sessions_ended) == ("session-revoked", "user", 2)
    assert set(LogoutDelivery.objects.values_list("session", flat=True)) == {phone.pk, third.pk}
    family.refresh_from_db()
    assert family.revoked_at is None


def test_no_other_device_is_said(client, desk):
    answer = client.post(URL, {"act": "sign-out-others"}, follow=True)
    assert "There was no other device to sign out." in answer.content.decode()
    assert not LogoutEvent.objects.exists()


# --- what stays signed in by itself ------------------------------------------------------------------------------------
def test_a_family_is_revoked_and_the_audit_trail_says_by_whom(client, mary, desk):
    app = make_application("Mail app")
    family, other = make_family(mary, app), make_family(mary, app)
    answer = client.post(URL, {"act": "revoke", "family": family.public_id}, follow=True)
    assert "Mail app does not stay signed in any more." in answer.content.decode()
    family.refresh_from_db()
    other.refresh_from_db()
    assert family.revoke_reason == "session-revoked"
    assert not family.is_alive(timezone.now())
    assert other.revoked_at is None
    line = SessionEvent.objects.get(type="refresh_token_revoked")
    assert (line.sub, line.client_id, line.actor) == (mary.user_id, "mail-app", "user")
    assert line.data == {"family": family.public_id}
    assert desk.pk in alive()


def test_a_family_that_is_revoked_already_is_no_error(client, mary):
    family = make_family(mary, make_application("Mail app"))
    for _ in range(2):
        answer = client.post(URL, {"act": "revoke", "family": family.public_id}, follow=True)
    assert "already" in answer.content.decode()
    assert SessionEvent.objects.filter(type="refresh_token_revoked").count() == 1


def test_a_family_of_somebody_else_is_not_found_and_lives_on(client):
    family = make_family(make_user("bob@fabrikamcorp.com"), make_application())
    assert client.post(URL, {"act": "revoke", "family": family.public_id}).status_code == 404
    family.refresh_from_db()
    assert family.revoked_at is None


def test_a_family_that_lives_with_its_session_is_not_offered_and_not_found(client, mary, desk):
    family = make_family(mary, make_application(), offline=False, session=desk)
    assert client.post(URL, {"act": "revoke", "family": family.public_id}).status_code == 404


# --- a fresh proof -----------------------------------------------------------------------------------------------------
@pytest.fixture
def yesterday(mary, intranet) -> SSOSession:
    """A session of Mary that was proven too long ago, like one whose cookie was stolen."""
    return make_session(mary, intranet, auth_time=timezone.now() - timedelta(hours=1, seconds=1))


def back_to(query: str) -> str:
    return f"/account/reauthenticate/?{urlencode({'next': f'{URL}?{query}'})}"


def test_whoever_holds_an_old_cookie_ends_no_other_session(mary, yesterday, phone):
    """ASVS 7.5.2."""
    family = make_family(mary, make_application("Mail app"))
    thief = browser(yesterday)
    for data in (
        {"act": "sign-out", "sid": phone.sid},
        {"act": "sign-out-others"},
        {"act": "revoke", "family": family.public_id},
    ):
        assert thief.post(URL, data)["Location"] == back_to(urlencode(data))
    assert alive() == {yesterday.pk, phone.pk}
    family.refresh_from_db()
    assert family.revoked_at is None
    assert not LogoutEvent.objects.exists()


def test_this_device_is_signed_out_without_a_proof(yesterday, phone):
    answer = browser(yesterday).post(URL, {"act": "sign-out", "sid": yesterday.sid}, headers=PAGE_VISIT)
    assert answer["Location"].startswith("/logout/")
    assert alive() == {phone.pk}


@pytest.mark.parametrize("act", ["sign-out", "sign-out-others", "revoke"])
def test_after_the_proof_one_button_does_what_was_chosen(mary, yesterday, phone, act):
    """ASVS 7.5.2: the owner throws an intruder out in two steps."""
    family = make_family(mary, make_application("Mail app"))
    owner = browser(yesterday)
    data = {"act": act, **{"sign-out": {"sid": phone.sid}, "revoke": {"family": family.public_id}}.get(act, {})}
    path = owner.post(URL, data)["Location"]
    back = owner.post(path, {"password": PASSWORD, "next": f"{URL}?{urlencode(data)}"})["Location"]
    page = owner.get(back).content.decode()
    titles = {
        "sign-out": "Sign out of Safari on iPhone?",
        "sign-out-others": "Sign out of all other devices?",
        "revoke": "Revoke Mail app?",
    }
    assert titles[act] in page
    assert alive() == {yesterday.pk, phone.pk}  # coming back is a GET
    assert owner.post(URL, hidden_fields(page))["Location"] == URL
    family.refresh_from_db()
    if act == "revoke":
        assert family.revoked_at is not None
    else:
        assert alive() == {yesterday.pk}


def hidden_fields(page: str) -> dict[str, str]:
    """Of the form in the question, which is the first one of the content."""
    form = page[page.index("question-title") :].partition("</form>")[0]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    return {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}


def test_a_wrong_password_proves_nothing(yesterday, phone):
    client = browser(yesterday)
    data = {"act": "sign-out", "sid": phone.sid}
    path = client.post(URL, data)["Location"]
    assert client.post(path, {"password": "not hers"}).status_code == 200
    assert client.post(URL, data)["Location"] == path
    assert phone.pk in alive()


def test_somebody_from_upstream_proves_it_upstream_before_another_device_ends(acme):
    person = make_user(connection=Connection.objects.get(name="Acme"))
    here = make_session(person, auth_time=timezone.now() - timedelta(hours=2))
    there = make_session(person)
    client = browser(here)
    path = client.post(URL, {"act": "sign-out", "sid": there.sid})["Location"]
    assert state_of(client.get(path))
    assert acme.wishes[-1].force
    assert alive() == {here.pk, there.pk}


@pytest.mark.parametrize("act", ["sign-out", "revoke"])
def test_what_is_gone_or_somebody_elses_is_not_asked_about(client, mary, desk, phone, act):
    """A link cannot find out whose id that is."""
    bob = make_user("bob@fabrikamcorp.com")
    bobs, ended = make_session(bob), make_session(mary, ended_at=timezone.now(), end_initiator="rp-logout")
    families = (
        make_family(bob, make_application("Mail app")),
        make_family(mary, make_application("Old"), revoked_at=timezone.now()),
    )
    sids = [desk.sid, bobs.sid, ended.sid, "x" * 51, "\0", ""]
    ids = sids if act == "sign-out" else [families[0].public_id, families[1].public_id, "\0", ""]
    for value in ids:
        answer = client.get(URL, {"act": act, "sid" if act == "sign-out" else "family": value})
        assert answer.status_code == 200
        assert "question-title" not in answer.content.decode()


# --- everywhere --------------------------------------------------------------------------------------------------------
def test_everywhere_asks_first_and_ends_nothing_by_looking(client, mary, desk, phone):
    make_family(mary, make_application("Mail app"))
    page = client.get(EVERYWHERE).content.decode()
    assert "2 devices are signed out, this one too." in page
    assert "1 app that stays signed in without you has to ask you again." in page
    assert alive() == {desk.pk, phone.pk}


def test_everywhere_ends_all_sessions_and_offline_tokens_and_shows_the_sign_out_page(
    client, mary, desk, phone, intranet
):
    family = make_family(mary, intranet)
    bobs = make_family(make_user("bob@fabrikamcorp.com"), intranet)
    answer = client.post(EVERYWHERE, headers=PAGE_VISIT)
    assert answer.status_code == 303
    assert answer["Location"].startswith("/logout/")
    assert alive() == set()
    assert not RefreshTokenFamily.objects.filter(pk=family.pk, revoked_at=None).exists()
    assert RefreshTokenFamily.objects.filter(pk=bobs.pk, revoked_at=None).exists()
    event = LogoutEvent.objects.get()
    assert (event.initiator, event.actor, event.sessions_ended) == ("session-revoked", "user", 2)
    assert event.families_revoked == 1
    assert User.objects.get(pk=mary.pk).revoked_before is not None
    assert LogoutTransaction.objects.get().session == desk
    assert b"Intranet" in client.get(answer["Location"]).content


def test_everywhere_loads_the_frames_of_this_browser_only(mary):
    front = make_application("Front", frontchannel_logout_uri="https://front.example/out")
    here, there = make_session(mary, front), make_session(mary, front)
    browser(here).post(EVERYWHERE, headers=PAGE_VISIT)
    told = set(LogoutDelivery.objects.values_list("session", "channel", "state"))
    assert told == {(here.pk, "frontchannel", "pending"), (there.pk, "none", "not_told")}


def test_everywhere_tells_applications_that_take_revocations(client, mary, desk):
    app = make_application("Vault", global_token_revocation_uri="https://vault.example/gtr")
    make_family(mary, app)
    client.post(EVERYWHERE, headers=PAGE_VISIT)
    assert LogoutDelivery.objects.filter(application=app, channel="gtr").count() == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_everywhere_needs_a_fresh_proof_also_when_it_is_posted(mary, phone, method):
    """ASVS 7.5.2."""
    old = make_session(mary, auth_time=timezone.now() - timedelta(hours=2))
    answer = getattr(browser(old), method)(EVERYWHERE)
    assert answer.status_code == 302
    assert answer["Location"] == "/account/reauthenticate/?next=%2Faccount%2Fsessions%2Feverywhere"
    assert alive() == {old.pk, phone.pk}


def test_the_password_again_leads_back_to_the_question(mary, phone):
    """ASVS 7.5.2."""
    client = browser(make_session(mary, auth_time=timezone.now() - timedelta(hours=2)))
    path = client.get(EVERYWHERE)["Location"]
    answer = client.post(path, {"password": PASSWORD, "next": EVERYWHERE})
    assert answer["Location"] == EVERYWHERE
    assert client.get(EVERYWHERE).status_code == 200
    client.post(EVERYWHERE, headers=PAGE_VISIT)
    assert alive() == set()


def test_somebody_from_upstream_proves_it_upstream(acme):
    here = make_session(
        make_user(connection=Connection.objects.get(name="Acme")), auth_time=timezone.now() - timedelta(hours=2)
    )
    client = browser(here)
    assert state_of(client.get(client.get(EVERYWHERE)["Location"]))
    assert acme.wishes[-1].force
    assert here.pk in alive()


def test_everywhere_of_somebody_who_was_signed_out_meanwhile_ends_nothing_more(client, desk, phone):
    with time_machine.travel(timezone.now() + timedelta(seconds=5)):
        browser(phone).post(EVERYWHERE, headers=PAGE_VISIT)
        assert client.post(EVERYWHERE)["Location"].startswith("/login")
    assert LogoutEvent.objects.count() == 1
    assert session_of(client).ended_at is not None
