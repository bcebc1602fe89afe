"""Sign in with a passkey: what it counts as, whom it lets in where, and what proves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.models import Application, Connection, SpentToken, User
from idp.people import accounts
from logout_app.ending import not_me
from sessions_app.account.not_me import NotMe
from sessions_app.models import SessionEvent, SSOSession
from sessions_app.signin import passkeys
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.oauth import decode, exchange, request_params
from tests.support.receiver import wait_until
from tests.support.sign_in import csrf_client, session_of
from tests.support.soft_keys import FLAG, SoftKey, challenge_for, give_passkey, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def mary() -> User:
    return make_user()


@pytest.fixture
def key(mary: User) -> SoftKey:
    return give_passkey(mary)


def methods(client: Client) -> list[str]:
    session = session_of(client)
    return [method["name"] for method in session.amr] if session else []


def reason() -> str:
    return str(SessionEvent.objects.filter(type="sign_in_failed").latest("pk").data.get("reason", ""))


# --- what it counts as ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("is_synced", "proved_by"), [(False, ["mfa", "hwk"]), (True, ["mfa", "swk"])])
def test_it_is_two_factors_at_once(mary: User, is_synced: bool, proved_by: list[str]) -> None:
    TOTP.activate(mary, generate_totp_secret())  # of which it is not asked
    client = Client()
    assert sign_in(client, give_passkey(mary, is_synced=is_synced))["Location"] == "/"
    assert methods(client) == proved_by
    opened = SessionEvent.objects.get(type="opened")
    assert (opened.sub, opened.data["amr"]) == (mary.user_id, proved_by)
    assert Authenticator.objects.get(type="webauthn").last_used_at is not None


def test_the_application_is_told_so_in_one_step(key: SoftKey) -> None:
    app, client = make_application(require_mfa=True), Client()
    params = request_params(app, acr_values="multi-factor", prompt="login")
    to_login = client.get(f"/authorize?{urlencode(params)}")["Location"]
    answer = sign_in(client, key, next=parse_qs(urlsplit(to_login).query)["next"][0])
    code = parse_qs(urlsplit(answer["Location"]).query)["code"][0]
    claims = decode(exchange(app, code).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("multi-factor", ["mfa", "hwk"])


def test_the_same_person_keeps_the_session_and_proves_it_again(mary: User, key: SoftKey) -> None:
    session, client = make_session(mary, auth_time=timezone.now() - timedelta(hours=3)), Client()
    client.cookies[settings.SSO_COOKIE_NAME] = session.raw_cookie  # type: ignore[attr-defined]
    sign_in(client, key)
    session.refresh_from_db()
    assert session.ended_at is None
    assert session.auth_time > timezone.now() - timedelta(minutes=1)
    assert methods(client) == ["mfa", "hwk"]
    assert client.cookies[settings.SSO_COOKIE_NAME].value != session.raw_cookie  # type: ignore[attr-defined]  # no fixation


# --- whom it lets in where -----------------------------------------------------------------------------------------------
def test_somebody_blocked_is_told_so_and_stays_out(mary: User, key: SoftKey) -> None:
    accounts.block_user(mary, actor="system", at=timezone.now())
    client = Client()
    assert "an administrator has blocked your account" in sign_in(client, key).content.decode()
    assert session_of(client) is None
    assert reason() == "blocked"


def _disable(app: Application, user: User) -> None:
    accounts.disable_connection(user.identities.get().connection, actor="system", at=timezone.now())


def _only_elsewhere(app: Application, user: User) -> None:
    connection = user.identities.get().connection
    connection.enabled_for_all = False
    connection.save()
    make_connection("Partners")


def _switched_off(app: Application, user: User) -> None:
    connection = user.identities.get().connection
    connection.options = {"passkey_options": {"enabled": False}}
    connection.save()


def _of_a_directory(app: Application, user: User) -> None:
    Connection.objects.filter(name="FabrikamAD").update(strategy="ad")
    make_connection("Partners")


@pytest.mark.parametrize("closed", [_disable, _only_elsewhere, _switched_off, _of_a_directory])
def test_the_connection_is_asked_as_for_a_password(
    mary: User, key: SoftKey, closed: Callable[[Application, User], None]
) -> None:
    app = make_application()
    make_connection("Other")
    closed(app, mary)
    client = Client()
    answer = sign_in(client, key, next=f"/authorize?{urlencode(request_params(app))}")
    assert "This passkey does not sign you in here." in answer.content.decode()
    assert session_of(client) is None


def test_a_page_without_such_a_connection_does_not_offer_it(mary: User) -> None:
    page = Client().get("/login").content.decode()
    assert "passkey-form" in page
    assert "<h1>Sign in to Curfew</h1>" in page
    _switched_off(make_application(), mary)
    page = Client().get("/login").content.decode()
    assert "passkey-form" not in page
    assert "webauthn" not in page


# --- what proves nothing -------------------------------------------------------------------------------------------------
BOB = b"bob"  # stands for his user handle
WRONG: dict[str, dict[str, Any]] = {
    "has no such passkey": {"handle": BOB},
    "user verification": {"flags": FLAG.UP},
    "user present": {"flags": FLAG.UV},
    "the origin is not ours": {"origin": "https://evil.example"},
    "the origin": {"origin": f"{settings.ISSUER_ORIGIN}1"},  # another port
    "frame": {"cross_origin": True},
    "incorrect type": {"type": "webauthn.create"},
    "rp id": {"rp_id": "evil.example"},
    "no account": {"handle": b"zzzzzz"},
    "none of ours": {"handle": b""},
}


@pytest.mark.parametrize("what", WRONG)
def test_an_answer_with_something_wrong_in_it_signs_nobody_in(key: SoftKey, what: str) -> None:
    said = WRONG[what]
    if said.get("handle") == BOB:
        said = {"handle": SoftKey(make_user("bob@fabrikamcorp.com")).handle}
    answer = sign_in(Client(), key, **said)
    assert "This passkey does not sign you in here." in answer.content.decode()
    assert SSOSession.objects.count() == 0
    assert what in reason().lower()


def test_a_signature_of_another_key_is_none(mary: User, key: SoftKey) -> None:
    """Bob's authenticator answers with Mary's user handle and the id of her credential."""
    forged = SoftKey(mary, id=key.id)
    client = Client()
    sign_in(client, forged)
    assert session_of(client) is None
    assert "signature" in reason().lower()
    assert SessionEvent.objects.get(type="sign_in_failed").sub == mary.user_id


def test_a_challenge_is_answered_once_and_by_its_browser_only(key: SoftKey) -> None:
    """Another browser, and the same one with the CSRF secret that it had before it signed in."""
    thief, client = Client(), Client()
    challenge, seen = challenge_for(client), {}
    seen.update({name: morsel.value for name, morsel in client.cookies.items()})
    challenge_for(thief)
    sign_in(thief, key, challenge=challenge)
    assert (session_of(thief), reason()) == (None, "passkey: the challenge is not of this browser")
    assert sign_in(client, key, challenge=challenge).status_code == 302
    assert SpentToken.objects.filter(kind=passkeys.KIND).count() == 1
    again = Client()
    for name, value in seen.items():
        again.cookies[name] = value
    key.counter += 1
    sign_in(again, key, challenge=challenge)
    assert (session_of(again), reason()) == (None, "passkey: the challenge was answered before")
    nobody = Client()
    sign_in(nobody, key, challenge=challenge)
    assert session_of(nobody) is None


def test_a_challenge_does_not_last(key: SoftKey) -> None:
    client = Client()
    challenge = challenge_for(client)
    with time_machine.travel(timezone.now() + passkeys.LIFETIME, tick=False):
        sign_in(client, key, challenge=challenge)
    assert (session_of(client), reason()) == (None, "passkey: the challenge is too old")
    client = Client()
    challenge_for(client)
    sign_in(client, key, challenge="AAAA")
    assert session_of(client) is None


def test_a_counter_that_does_not_grow_is_a_copy(key: SoftKey) -> None:
    first, second = Client(), Client()
    key.counter = 7
    assert sign_in(first, key).status_code == 302
    for counter in (7, 3):
        key.counter = counter
        sign_in(second, key)
        assert session_of(second) is None
        assert reason() == f"passkey: the counter went from 7 to {counter}: there may be a copy of the key"
    key.counter = 8
    assert sign_in(second, key).status_code == 302


def test_a_security_key_that_is_a_second_factor_is_no_passkey(key: SoftKey) -> None:
    """Its owner may never have set a PIN: whoever finds it could, and would hold both factors."""
    row = Authenticator.objects.get()
    del row.data[passkeys.MARK]
    row.save()
    client = Client()
    sign_in(client, key)
    assert session_of(client) is None


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", "[" * 20_000, '{"id": 1}', '{"id": "eA", "rawId": "eA"}', "9" * 9000]
)
def test_what_is_no_answer_at_all_is_refused_as_a_wrong_one(key: SoftKey, text: str) -> None:
    answer = Client().post("/login", {"credential": text})
    assert answer.status_code == 200
    assert "This passkey does not sign you in here." in answer.content.decode()


def test_another_site_cannot_send_the_form(key: SoftKey) -> None:
    client = csrf_client()
    assert sign_in(client, key).status_code == 403
    assert session_of(client) is None


def test_two_answers_at_once_open_one_session(key: SoftKey) -> None:
    """A double click: the second comes with the token of a page that is older than the session."""
    client = Client()
    challenge = challenge_for(client)
    sign_in(client, key, challenge=challenge, next="/account/")
    key.counter += 1
    sign_in(client, key, challenge=challenge, next="/account/")
    assert SSOSession.objects.count() == 1


@pytest.mark.parametrize("is_removed", [True, False])
@pytest.mark.parametrize("continues", [False, True])
def test_a_passkey_that_is_removed_or_distrusted_while_it_signs_in_opens_nothing(
    mary: User, key: SoftKey, monkeypatch: pytest.MonkeyPatch, continues: bool, is_removed: bool
) -> None:
    """Whoever does that ends the sessions that are there: this one must not come after them."""
    client, complete = Client(), passkeys.sign_in.complete
    if continues:
        client.cookies[settings.SSO_COOKIE_NAME] = make_session(mary).raw_cookie  # type: ignore[attr-defined]

    def removed_meanwhile(*args: Any, **more: Any) -> Any:
        if is_removed:
            Authenticator.objects.get(user=mary).delete()
        else:
            passkeys.trust_none_alone(mary)
        return complete(*args, **more)

    monkeypatch.setattr(passkeys.sign_in, "complete", removed_meanwhile)
    assert sign_in(client, key).status_code == 403
    proved = [entry["name"] for session in SSOSession.objects.filter(ended_at=None) for entry in session.amr]
    assert "hwk" not in proved  # the session in which it was removed goes on as it was
    assert len(proved) == continues


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql  # SQLite has one writer
def test_a_sign_in_waits_for_the_removal_that_is_under_way(mary: User, key: SoftKey) -> None:
    """The removal has deleted the row, and looks for sessions next: one that is opened now would not be found."""
    answers: list[int] = []

    def late() -> None:
        answers.append(sign_in(Client(), key).status_code)
        database.close()

    proved, go = threading.Event(), passkeys.sign_in.complete
    thread = threading.Thread(target=late)

    def when_proved(*args: Any, **more: Any) -> Any:
        proved.set()
        deleted.wait(30)
        return go(*args, **more)

    deleted = threading.Event()
    with mock.patch.object(passkeys.sign_in, "complete", when_proved):
        thread.start()
        assert proved.wait(30)
        with transaction.atomic():
            Authenticator.objects.get(user=mary).delete()
            deleted.set()
            wait_until(somebody_waits, 30)
        thread.join(30)
    assert answers == [403]
    assert not SSOSession.objects.filter(ended_at=None).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql  # SQLite has one writer
def test_a_sign_in_waits_for_this_was_not_me_which_does_not_wait_for_it(mary: User, key: SoftKey) -> None:
    """The sign-in takes key and person, and so does the other: in another order each would wait for the other."""
    answers: list[int] = []
    proved, held = threading.Event(), threading.Event()
    complete, trust_none_alone = passkeys.sign_in.complete, passkeys.trust_none_alone

    def late() -> None:
        answers.append(sign_in(Client(), key).status_code)
        database.close()

    def when_proved(*args: Any, **more: Any) -> Any:
        proved.set()
        held.wait(30)
        return complete(*args, **more)

    def once_somebody_waits(user: User) -> int:
        held.set()
        wait_until(somebody_waits, 30)
        return trust_none_alone(user)

    thread = threading.Thread(target=late)
    link = NotMe(mary, 1, "new_device", timezone.now() + timedelta(days=1), is_own_address=True)
    with (
        mock.patch.object(passkeys.sign_in, "complete", when_proved),
        mock.patch.object(passkeys, "trust_none_alone", once_somebody_waits),
    ):
        thread.start()
        assert proved.wait(30)
        assert not_me.end_everything(link, RequestFacts(), timezone.now()) is not None
        thread.join(30)
    assert answers == [403]
    assert not SSOSession.objects.filter(ended_at=None).exists()


def somebody_waits() -> bool:
    """For this connection's transaction."""
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return bool(cursor.fetchone()[0])
