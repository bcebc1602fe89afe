"""Forms of a page that was open while somebody signed in in another tab: they lead on, or ask again; a sign-out signs out."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import User
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import Consent, DeviceGrant, SSOSession
from tests.protocol.account_sessions.conftest import make_family
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.oauth import post_form, request_params
from tests.support.sign_in import TOKEN, csrf_client, csrf_token, session_of, sign_in_by_form
from tests.support.site_map import Rows, addresses

pytestmark = pytest.mark.django_db
MARY = "mary@fabrikamcorp.com"
OURS = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
OTHER_SITE = {**OURS, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
STALE = "x" * 64  # what a token of before the last sign-in is: not this browser's


def signed_in(**fields: Any) -> tuple[Client, SSOSession]:
    session = make_session(make_user(), **fields)
    return browser(session, enforce_csrf_checks=True), session


def post(client: Client, path: str, headers: dict[str, str] = OURS, **data: str) -> Any:
    return client.post(path, {**data, "csrfmiddlewaretoken": STALE}, headers=headers)


def is_live(session: SSOSession) -> bool:
    return SSOSession.objects.live(timezone.now()).filter(pk=session.pk).exists()


# --- signing out -----------------------------------------------------------------------------------------------------
def test_the_button_of_a_page_that_was_open_before_signing_in_again_signs_out() -> None:
    make_user()
    client = csrf_client()
    sign_in_by_form(client)
    older = csrf_token(client, "/")
    again = f"/authorize?{urlencode(request_params(make_application(), prompt='login'))}"
    sign_in_by_form(client, next=again)  # in another tab
    session = session_of(client)
    answer = client.post("/logout", {"csrfmiddlewaretoken": older}, headers=OURS)
    assert answer.status_code == 303
    assert session is not None
    assert not is_live(session)


@pytest.mark.parametrize(
    "headers",
    [
        OURS,
        {"Origin": "http://testserver"},
        {"Origin": settings.ISSUER_ORIGIN},
    ],
    ids=["Fetch Metadata", "Origin of the host", "Origin of the issuer"],
)
def test_a_page_of_ours_is_proof_enough_for_a_sign_out(headers: dict[str, str]) -> None:
    client, session = signed_in()
    assert post(client, "/logout", headers).status_code == 303
    assert not is_live(session)


@pytest.mark.parametrize(
    "headers",
    [
        OTHER_SITE,
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": settings.ISSUER_ORIGIN},
    ],
)
def test_a_page_of_somebody_else_makes_us_ask(headers: dict[str, str]) -> None:
    client, session = signed_in()
    page = post(client, "/logout", headers)
    assert page.status_code == 403
    assert "Sign out?" in page.content.decode()
    assert is_live(session)
    answer = client.post("/oidc/logout/confirm", fields_of(page, "logout", "yes"), headers=OURS)
    assert answer.status_code in (302, 303)
    assert not is_live(session)


def fields_of(page: Any, button: str = "", value: str = "") -> dict[str, str]:
    """What the first form of the page would send."""
    form = page.content.decode().partition("<form")[2].partition("</form>")[0]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {**{name: unescape(text) for name, text in found}, **({button: value} if button else {})}


def test_the_answer_to_our_question_counts_from_an_older_page() -> None:
    client, session = signed_in()
    fields = fields_of(client.get("/oidc/logout", headers=OURS))
    assert (
        post(client, "/oidc/logout/confirm", OTHER_SITE, question=fields["question"], logout="yes").status_code == 403
    )
    assert is_live(session)
    answer = post(client, "/oidc/logout/confirm", question=fields["question"], logout="yes")
    assert answer.status_code == 200
    assert "You are signed out" in answer.content.decode()
    assert not is_live(session)


def test_the_admin_s_button_signs_out_from_an_older_page_too() -> None:
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    session = make_session(boss)
    client = browser(session, enforce_csrf_checks=True)
    onward = post(client, reverse("admin:logout"))
    assert (onward.status_code, onward["Location"]) == (307, "/logout")
    assert is_live(session)
    post(client, onward["Location"])
    assert not is_live(session)


def test_other_devices_end_from_an_older_page_of_the_same_person_only() -> None:
    client, desk = signed_in()
    phone, tablet = make_session(desk.user), make_session(desk.user)
    mine = desk.user.user_id
    assert post(client, "/account/sessions", act="sign-out", sid=phone.sid, of=mine).status_code == 302
    assert not is_live(phone)
    for of, headers in (("auth0|bob", OURS), (mine, OTHER_SITE)):
        page = post(client, "/account/sessions", headers, act="sign-out-others", of=of)
        assert page.status_code == 403
        assert "Sign out of all other devices?" in page.content.decode()
        assert is_live(tablet)
    post(client, "/account/sessions", act="sign-out-others", of=mine)
    assert not is_live(tablet)
    assert is_live(desk)


def test_everywhere_ends_from_an_older_page_of_the_same_person_only() -> None:
    client, session = signed_in()
    path = "/account/sessions/everywhere"
    for of, headers in (("auth0|bob", OURS), (session.user.user_id, OTHER_SITE)):
        page = post(client, path, headers, of=of)
        assert page.status_code == 403
        assert "Sign out everywhere?" in page.content.decode()
        assert is_live(session)
    post(client, path, of=session.user.user_id)
    assert not is_live(session)


def test_what_stays_signed_in_is_revoked_from_an_older_page() -> None:
    client, session = signed_in()
    family = make_family(session.user, make_application(), session=None)
    post(client, "/account/sessions", act="revoke", family=family.public_id, of=session.user.user_id)
    family.refresh_from_db()
    assert family.revoked_at is not None


def test_the_sign_out_page_goes_on_telling_what_it_sees() -> None:
    app = make_application(frontchannel_logout_uri="https://app.example/out")
    client = browser(make_session(make_user(), app), enforce_csrf_checks=True)
    page = client.get("/v2/logout", headers=OURS)["Location"]
    script = {**OURS, "Sec-Fetch-Dest": "empty"}
    assert post(client, f"{page}/outcome", script, application=str(app.pk), outcome="no_answer").status_code == 204
    assert LogoutDelivery.objects.get().state == DeliveryState.DEAD
    assert post(client, f"{page}/retry", application=str(app.pk)).status_code == 303
    assert post(client, f"{page}/retry", OTHER_SITE, application=str(app.pk)).status_code == 403


# --- signing in ------------------------------------------------------------------------------------------------------
def test_the_second_login_tab_leads_on_to_where_it_led() -> None:
    make_user()
    app = make_application()
    client = csrf_client()
    target = f"/authorize?{urlencode(request_params(app))}"
    second = csrf_token(client, f"/login?{urlencode({'next': target})}")
    sign_in_by_form(client, next="/account/sessions")
    form = {"username": MARY.upper(), "password": PASSWORD, "next": target, "csrfmiddlewaretoken": second}
    answer = client.post("/login", form, headers=OURS)
    assert (answer.status_code, answer["Location"]) == (302, target)
    assert "code=" in client.get(target)["Location"]
    assert SSOSession.objects.count() == 1


@pytest.mark.parametrize("headers", [OURS, OTHER_SITE])
def test_it_leads_nowhere_but_to_us(headers: dict[str, str]) -> None:
    client, _ = signed_in()
    for away in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = post(client, "/login", headers, username=MARY, password="x", next=away)
        assert answer["Location"] == "/"


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_somebody_else_s_form_is_asked_again_with_the_name_but_not_the_password(is_signed_in: bool) -> None:
    session = make_session(make_user()) if is_signed_in else None
    make_user("bob@fabrikamcorp.com")
    client = browser(session, enforce_csrf_checks=True)
    data = {"username": 'bob@fabrikamcorp.com"><b>', "password": "a secret of Bob's", "next": "/account/sessions"}
    page = post(client, "/login", **data)
    text = page.content.decode()
    assert page.status_code == 403
    assert 'value="bob@fabrikamcorp.com&quot;&gt;&lt;b&gt;"' in text
    assert "secret of Bob" not in text
    assert "Please sign in once more" in text
    assert ("You are signed in as" in text) is is_signed_in
    again = {"username": "bob@fabrikamcorp.com", "password": PASSWORD, "next": "/account/sessions"}
    answer = client.post("/login", {**again, "csrfmiddlewaretoken": TOKEN.search(text)[1]})
    assert (answer.status_code, answer["Location"]) == (302, "/account/sessions")
    assert session_of(client).user.email == "bob@fabrikamcorp.com"  # type: ignore[union-attr]


def test_a_code_of_a_second_factor_is_asked_for_again_or_done() -> None:
    client, _ = signed_in()
    path = reverse("mfa_authenticate")
    assert post(client, path, code="123456")["Location"] == path
    assert client.get(path)["Location"] == "/"
    assert csrf_client().get(path)["Location"] == "/login"


# --- other forms -----------------------------------------------------------------------------------------------------
def test_a_consent_of_an_older_page_is_asked_for_again() -> None:
    app = make_application(is_first_party=False)
    client, _ = signed_in()
    page = client.get("/authorize", request_params(app))
    again = post(client, "/authorize/consent", request=fields_of(page)["request"], answer="allow")
    assert again.status_code == 403
    assert not Consent.objects.exists()
    answer = client.post("/authorize/consent", fields_of(again, "answer", "allow"))
    assert "code=" in answer["Location"]


def test_a_device_is_asked_about_again() -> None:
    cli = make_application(
        "CLI", token_endpoint_auth_method="none", grant_types=["urn:ietf:params:oauth:grant-type:device_code"]
    )
    started = post_form("/oauth/device/code", {"client_id": cli.client_id}).json()
    client, _ = signed_in()
    again = post(client, "/activate", user_code=started["user_code"], answer="allow")
    assert again.status_code == 403
    assert DeviceGrant.objects.get().status == DeviceGrant.AUTHORIZATION_PENDING
    answer = client.post("/activate", fields_of(again, "answer", "allow"))
    assert "is connected" in answer.content.decode()
    away = post(csrf_client(), "/activate?user_code=BCDF-GHJK", user_code=started["user_code"])
    assert away["Location"] == f"/login?next={quote('/activate?user_code=BCDF-GHJK', safe='/')}"


FORMS = [
    "account_change_password",
    "account_reset_password",
    "account_reauthenticate",
    "account_verify_email",
    "mfa_activate_totp",
    "mfa_generate_recovery_codes",
    "mfa_add_webauthn",
    "account_add_passkey",
    "admin:idp_user_add",
    "admin:idp_tenantsettings_changelist",
]


@pytest.mark.parametrize("name", FORMS)
def test_every_other_form_offers_the_page_that_it_is_on(name: str) -> None:
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    client = browser(make_session(boss), enforce_csrf_checks=True)
    page = post(client, reverse(name), next="/account/sessions")
    assert page.status_code == 403
    again = re.search(r'href="([^"]+)">Open the page again', page.content.decode())
    assert again
    assert unescape(again[1]) == f"{reverse(name)}?next=%2Faccount%2Fsessions"
    assert client.get(unescape(again[1])).status_code in (200, 302)


def test_no_admin_page_with_a_form_is_without_a_way_on() -> None:
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    client = browser(make_session(boss), enforce_csrf_checks=True)
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        page = post(client, path)
        assert page.status_code == 403
        assert f'href="{path}">Open the page again' in page.content.decode()


def test_an_invented_page_for_another_site_changes_nothing() -> None:
    """The way on is a link of ours: what another site sent is not repeated."""
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    client = browser(make_session(boss), enforce_csrf_checks=True)
    page = post(client, reverse("admin:idp_user_add"), OTHER_SITE, email="eve@evil.example", password="chosen by Eve")
    assert page.status_code == 403
    assert "eve@evil.example" not in page.content.decode()
    assert "chosen by Eve" not in page.content.decode()


@pytest.mark.parametrize("role", ["superuser", "second factor"])
def test_no_address_answers_an_older_form_without_a_way_on(
    role: str, person_in: Callable[[str], User | None], furnished: Callable[[], Rows]
) -> None:
    """Every address of the site map: whatever a form there does, its copy of an older page is no dead end."""
    rows = furnished()
    user = person_in(role)
    assert user is not None
    stuck = {}
    for path in addresses(rows):
        client = browser(make_session(user), enforce_csrf_checks=True)
        answer = post(client, path)
        text = answer.content.decode(errors="replace")
        has_a_way_on = "<a " in text or "<form" in text or "Location" in answer.headers
        if answer.status_code == 403 and not has_a_way_on and answer["Content-Type"].startswith("text/html"):
            stuck[path] = text[:200]
        assert answer.status_code < 500, path
    assert stuck == {}
