"""A browser that is remembered instead of a second factor: whom it spares the question, when it does not, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.test import Client
from django.utils import timezone

from idp.http.requests import RequestFacts
from idp.models import User
from idp.people import accounts
from idp.protocol.initiators import Initiator
from idp.protocol.opaque import digest
from idp.tenants import configuration
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import RememberedBrowser, SessionEvent
from sessions_app.signin import factors
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.oauth import decode, exchange, request_params
from tests.support.sign_in import session_of
from tests.support.soft_keys import give_passkey

pytestmark = pytest.mark.django_db
SECOND = "/account/mfa/authenticate/"
COOKIE = settings.REMEMBERED_COOKIE_NAME


def with_app(email: str = "mary@fabrikamcorp.com") -> User:
    user = make_user(email)
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    return user


@pytest.fixture
def mary() -> User:
    return with_app()


def by_password(client: Client, user: User, next: str = "/account/") -> str:
    """Where the answer to a right password leads, in a browser without a session."""
    client.cookies.pop(settings.SSO_COOKIE_NAME, None)
    return str(client.post("/login", {"username": user.email, "password": PASSWORD, "next": next})["Location"])


def prove(client: Client, user: User, **fields: str) -> Any:
    code = Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()[0]
    return client.post(SECOND, {"code": code, **fields})


def remembering(user: User, client: Client | None = None) -> Client:
    client = client or Client()
    assert by_password(client, user) == SECOND
    assert prove(client, user, remember="1")["Location"] == "/account/"
    return client


def tenant(**columns: Any) -> None:
    row = configuration.load_tenant()
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()


# --- what it spares ------------------------------------------------------------------------------------------------------
def test_it_spares_the_question_and_claims_no_second_factor(mary: User) -> None:
    app = make_application(require_mfa=True)
    client = remembering(mary)
    cookie = client.cookies[COOKIE]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 30 * 24 * 3600)
    assert RememberedBrowser.objects.get().token_hash == digest(cookie.value)
    answer = by_password(client, mary, f"/authorize?{urlencode(request_params(app))}")
    claims = decode(exchange(app, parse_qs(urlsplit(answer).query)["code"][0]).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("1", ["pwd"])
    opened = SessionEvent.objects.filter(type="opened").latest("pk")
    assert opened.data["remembered"] is True
    assert SessionEvent.objects.get(type="browser_remembered").data == {"days": 30}


def test_without_the_box_nothing_is_remembered(mary: User) -> None:
    client = Client()
    by_password(client, mary)
    prove(client, mary)
    assert COOKIE not in client.cookies
    assert by_password(client, mary) == SECOND


def test_a_wrong_code_remembers_nothing(mary: User) -> None:
    client = Client()
    by_password(client, mary)
    client.post(SECOND, {"code": "00000000", "remember": "1"})
    assert COOKIE not in client.cookies
    assert not RememberedBrowser.objects.exists()


EXPLICIT: tuple[dict[str, Any], ...] = (
    {"prompt": "login"},
    {"max_age": "0"},
    {"acr_values": "multi-factor"},
    {"claims": '{"id_token": {"acr": {"essential": true, "values": ["multi-factor"]}}}'},
)


@pytest.mark.parametrize("asked", EXPLICIT)
def test_whoever_asks_for_a_proof_gets_one(mary: User, asked: dict[str, Any]) -> None:
    app = make_application(require_mfa=True)
    client = remembering(mary)
    wanted = f"/authorize?{urlencode(request_params(app, **asked))}"
    assert by_password(client, mary, wanted) == SECOND
    by_password(client, mary)  # a session in which it was spared
    assert urlsplit(client.get(wanted)["Location"]).path in ("/login", "/login/step-up")


def test_the_admin_and_changes_of_factors_want_it_proved(mary: User) -> None:
    User.objects.update(is_staff=True, is_superuser=True)
    tenant(require_mfa=True)
    client = remembering(mary)
    by_password(client, mary)
    pages = ("/admin/", "/account/passkeys/add/", "/account/mfa/recovery-codes/", "/account/mfa/totp/deactivate/")
    for path in pages:
        assert client.get(path)["Location"].startswith("/login/step-up"), path
    client.post(f"/account/remembered/{RememberedBrowser.objects.get().pk}/forget/")
    for path in pages:  # who ends it has not proved anything by that
        assert client.get(path)["Location"].startswith("/login/step-up"), path


# --- of whom, and where --------------------------------------------------------------------------------------------------
def test_the_cookie_of_another_person_or_browser_is_nothing(mary: User) -> None:
    bob = with_app("bob@fabrikamcorp.com")
    client = remembering(mary)
    assert by_password(client, bob) == SECOND
    assert by_password(Client(), mary) == SECOND
    prove(client, bob)
    remembering(bob, client)  # both of them, by one cookie
    assert by_password(client, mary) == by_password(client, bob) == "/account/"
    forged = Client()
    forged.cookies[COOKIE] = RememberedBrowser.objects.first().token_hash  # type: ignore[union-attr]
    assert by_password(forged, mary) == SECOND


def test_a_token_that_was_planted_is_bound_to_nobody(mary: User) -> None:
    client, thief = Client(), Client()
    client.cookies[COOKIE] = thief.cookies[COOKIE] = "A" * 43
    remembering(mary, client)
    assert by_password(thief, mary) == SECOND
    assert client.cookies[COOKIE].value.split(".")[0] != "A" * 43


# --- what ends it --------------------------------------------------------------------------------------------------------
def _new_password(user: User) -> None:
    user.set_password(PASSWORD)
    user.save()


def _everything(user: User) -> None:
    at = timezone.now()
    end_sessions(
        Selection.user(user.pk), initiator=Initiator.SESSION_REVOKED, actor="admin:x", at=at, offline_tokens=True
    )


def _blocked_and_back(user: User) -> None:
    accounts.block_user(user, actor="system", at=timezone.now())
    accounts.unblock_user(user, actor="system", at=timezone.now())


def _reset(user: User) -> None:
    facts = RequestFacts(ip="192.0.2.1", user_agent="")
    factors.reset(user, actor="admin:x", facts=facts, at=timezone.now())
    TOTP.activate(user, generate_totp_secret())


def _by_themselves(user: User) -> None:
    client = browser(make_session(user))
    assert "Not asked for a second factor" in client.get("/account/sessions").content.decode()
    pk = RememberedBrowser.objects.get(user=user).pk
    assert (
        browser(make_session(make_user("eve@fabrikamcorp.com"))).post(f"/account/remembered/{pk}/forget/").status_code
        == 404
    )
    assert client.post(f"/account/remembered/{pk}/forget/")["Location"] == "/account/sessions"


ENDS: tuple[Callable[[User], Any], ...] = (
    _new_password,
    give_passkey,
    lambda user: Authenticator.objects.get(user=user, type="totp").delete(),
    _everything,
    _blocked_and_back,
    _reset,
    _by_themselves,
    lambda _: tenant(remember_second_factor_days=0),
    lambda _: tenant(profile="ipsie"),
)


@pytest.mark.parametrize("ends", ENDS)
def test_it_is_forgotten(mary: User, ends: Callable[[User], Any]) -> None:
    give_passkey(mary)  # so that a factor is left when the app is removed
    client = remembering(mary)
    by_password(client, mary)
    session = session_of(client)
    ends(User.objects.get(pk=mary.pk))
    assert by_password(client, mary) == SECOND
    assert session is not None
    session.refresh_from_db()
    shut = (
        session.ended_at or session.user.revoked_before or not configuration.load_tenant().remember_second_factor_days
    )
    shut = shut or configuration.load_tenant().profile
    assert shut or (session.remembered_until is not None and session.remembered_until <= timezone.now())


def test_it_has_an_end_that_the_tenant_may_bring_forward(mary: User) -> None:
    client, now = remembering(mary), timezone.now()
    with time_machine.travel(now + timedelta(days=29), tick=False):
        assert by_password(client, mary) == "/account/"
    with time_machine.travel(now + timedelta(days=30, minutes=1), tick=False):
        assert by_password(client, mary) == SECOND
    tenant(remember_second_factor_days=7)
    with time_machine.travel(now + timedelta(days=8), tick=False):
        assert by_password(client, mary) == SECOND


def test_the_box_is_there_only_where_it_does_something(mary: User) -> None:
    client = Client()
    by_password(client, mary)
    assert 'name="remember"' in client.get(SECOND).content.decode()
    assert "in this browser for 30 days" in client.get(SECOND).content.decode()
    tenant(remember_second_factor_days=0)
    assert 'name="remember"' not in client.get(SECOND).content.decode()
    prove(client, mary, remember="1")
    assert not RememberedBrowser.objects.exists()
