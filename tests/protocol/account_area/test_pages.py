"""The account area: its navigation, the profile, sign-in methods."""

from __future__ import annotations

import html
import re

import pytest
from django.utils import timezone

from idp.models import ProvisionedUser, Provisioning, User
from tests.support import second_factors
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.sign_in import csrf_client

pytestmark = pytest.mark.django_db
PAGES = {
    "/account/": "Profile",
    "/account/email/verify/": "Profile",
    "/account/mfa/": "Sign-in methods",
    "/account/password/change/": "Sign-in methods",
    "/account/mfa/totp/deactivate/": "Sign-in methods",
    "/account/mfa/webauthn/": "Sign-in methods",
    "/account/mfa/webauthn/add/": "Sign-in methods",
    "/account/mfa/recovery-codes/": "Sign-in methods",
    "/account/mfa/recovery-codes/generate/": "Sign-in methods",
    "/account/sessions": "Sessions",
    "/account/sessions/everywhere": "Sessions",
    "/account/applications": "Applications",
    "/account/applications/photo-prints/remove": "Applications",
    "/account/activity": "Activity",
}
LISTED = re.compile(r"<li><code>(\w+)</code>")


def text_of(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    main = answer.content.decode().split("<main", 1)[1]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)))


@pytest.mark.parametrize(("path", "entry"), PAGES.items())
def test_every_page_has_the_navigation_and_says_where_it_is(proved, mary, consent, path, entry):
    second_factors.give_all(mary)
    answer = proved.get(path)
    assert answer.status_code == 200
    nav = re.search(r'<nav class="account-nav".*?</nav>', answer.content.decode(), re.S)
    assert nav is not None
    entries = re.findall(r'<a href="[^"]+"( aria-current="[a-z]+")?>([^<]+)</a>', nav[0])
    assert [name for _, name in entries] == ["Profile", "Sign-in methods", "Sessions", "Applications", "Activity"]
    assert [name for current, name in entries if current] == [entry]


@pytest.mark.parametrize("path", ["/account/", "/account/applications", "/account/activity", "/account/mfa/"])
def test_nobody_sees_it_without_a_session(path):
    assert browser().get(path)["Location"].startswith("/login?next=")


# --- profile -----------------------------------------------------------------------------------------------------------
def test_the_profile_tells_name_address_and_where_the_account_comes_from(client, mary):
    text = text_of(client, "/account/")
    assert "mary@fabrikamcorp.com ✓ Verified" in text
    assert "FabrikamAD Signs in as mary@fabrikamcorp.com. Not used yet." in text
    assert 'value="Mary Smith"' in client.get("/account/").content.decode()
    User.objects.filter(pk=mary.pk).update(email_verified=False)
    mary.identities.update(last_login_at=timezone.now())
    assert "! Not verified" in text_of(client, "/account/")
    assert "Last used" in text_of(client, "/account/")


def test_a_name_of_ours_is_changed_and_nothing_else_is(client, mary):
    data = {"name": "Mary Jones", "given_name": "Mary", "family_name": "Jones", "nickname": ""}
    answer = client.post("/account/", {**data, "email": "evil@example.com", "is_staff": "on"})
    assert answer["Location"] == "/account/"
    mary.refresh_from_db()
    assert (mary.name, mary.family_name) == ("Mary Jones", "Jones")
    assert (mary.email, mary.is_staff) == ("mary@fabrikamcorp.com", False)


def test_another_site_cannot_change_the_name(desk, mary):
    strict = csrf_client()
    strict.cookies = browser(desk).cookies
    assert strict.post("/account/", {"name": "Evil"}).status_code == 403
    mary.refresh_from_db()
    assert mary.name == "Mary Smith"


def test_what_a_source_provisions_is_read_only_and_says_who_owns_it(client, mary):
    identity = mary.identities.get()
    Provisioning.objects.create(connection=identity.connection, sign_in_by="userName")
    ProvisionedUser.objects.create(
        connection=identity.connection, identity=identity, user_name="mary", user_name_key="mary"
    )
    text = text_of(client, "/account/")
    assert text.count("FabrikamAD keeps this up to date. Change it there.") == 2
    assert "Save" not in text
    assert client.post("/account/", {"name": "Evil"}).status_code == 403
    mary.refresh_from_db()
    assert mary.name == "Mary Smith"


def test_what_an_identity_provider_says_at_every_sign_in_is_read_only():
    okta = make_connection("acme-okta", "okta", display_name="Acme Okta")
    user = User.objects.create(user_id="okta|acme-okta|00u1", name="Olga", email="olga@acme.example")
    user.identities.create(connection=okta, sub="00u1")
    client = browser(make_session(user))
    assert "Acme Okta keeps this up to date." in text_of(client, "/account/")
    assert client.post("/account/", {"name": "Evil"}).status_code == 403
    assert "You sign in through Acme Okta. Your password is kept there" in text_of(client, "/account/mfa/")


# --- sign-in methods -----------------------------------------------------------------------------------------------------
def test_methods_are_shown_with_their_counts(client, mary):
    text = text_of(client, "/account/mfa/")
    assert "A password of" in text
    assert "You get them when you set up an app or a key." in text
    second_factors.give_all(mary)
    text = text_of(client, "/account/mfa/")
    assert "You have 1: Key ring" in text
    assert "10 of 10 left" in text


def test_the_secret_can_be_copied_and_the_code_field_fits_a_telephone(proved):
    page = proved.get("/account/mfa/totp/activate/").content.decode()
    assert re.search(r'<code class="secret">([A-Z2-7]{4} )+[A-Z2-7]{1,4}</code>', page)
    field = re.search(r'<input[^>]+name="code"[^>]*>', page)
    assert field is not None
    for attribute in ('inputmode="numeric"', 'autocomplete="one-time-code"', "autofocus"):
        assert attribute in field[0]
    assert "recovery codes" in page


def test_new_recovery_codes_are_asked_about_and_far_from_the_download(proved, mary):
    second_factors.give_all(mary)
    codes, new = "/account/mfa/recovery-codes/", "/account/mfa/recovery-codes/generate/"
    page = proved.get(codes).content.decode()
    assert page.index("Download") < page.index('<section class="apart"') < page.index("Generate new codes")
    before = LISTED.findall(page)
    assert len(before) == 10
    assert "Your 10 unused codes stop working at once." in text_of(proved, new)
    assert LISTED.findall(proved.get(codes).content.decode()) == before
    proved.post(new)
    assert not set(before) & set(LISTED.findall(proved.get(codes).content.decode()))


def test_a_key_of_somebody_else_is_not_found(proved):
    key = second_factors.give_all(make_user("bob@fabrikamcorp.com"))
    for act in ("edit", "remove"):
        assert proved.post(f"/account/mfa/webauthn/keys/{key.pk}/{act}/", {"name": "mine"}).status_code == 404
    key.refresh_from_db()
    assert str(key) == "Key ring"
