"""The forms: what they take, what they refuse in words, and where secrets go."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse

from idp.models import Application, ClientGrant, Identity, ResourceServer, User
from tests.support.factories import make_application, make_connection, make_user

pytestmark = pytest.mark.django_db
APPLICATION: dict[str, Any] = {
    "name": "Timesheet SaaS",
    "app_type": "regular_web",
    "token_endpoint_auth_method": "client_secret_post",
    "redirect_uris": "https://timesheet.example/callback\nhttps://timesheet.example/second",
    "post_logout_redirect_uris": "https://timesheet.example/out",
    "web_origins": "https://timesheet.example",
    "grant_types": ["authorization_code", "refresh_token"],
    "backchannel_logout_uri": "https://timesheet.example/backchannel",
    "backchannel_logout_token_typ": "logout+jwt",
    "backchannel_logout_initiators_mode": "custom",
    "access_mode": "everyone",
    "backchannel_logout_initiators": ["rp-logout", "idp-logout"],
    "frontchannel_logout_uri": "https://timesheet.example/logout",
    "id_token_signed_response_alg": "RS256",
    "subject_type": "public",
    "id_token_lifetime": "36000",
    "access_token_lifetime": "7200",
    "refresh_token_leeway": "30",
    "session_refresh_tokens": "unknown",
    "enabled": "on",
    "is_first_party": "on",
}


def errors_of(response: Any) -> dict[str, Any]:
    errors: dict[str, Any] = response.context["adminform"].form.errors
    return errors


def test_an_application_is_created_and_its_secret_is_shown_once(admin: Client) -> None:
    response = admin.post(reverse("admin:idp_application_add"), APPLICATION)
    app = Application.objects.get()
    assert response.status_code == 200
    secret = response.context["secret"]
    assert check_password(secret, app.client_secret)
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert app.callbacks == ["https://timesheet.example/callback", "https://timesheet.example/second"]
    assert app.web_origins == ["https://timesheet.example"]
    page = admin.get(reverse("admin:idp_application_change", args=(app.pk,))).content.decode()
    assert secret not in page
    assert app.client_secret not in page
    assert app.client_id in page
    assert "http://localhost:8000/.well-known/openid-configuration" in page
    assert secret not in LogEntry.objects.get().change_message


def test_saving_what_was_shown_changes_nothing(admin: Client) -> None:
    app = make_application()
    before = Application.objects.values().get()
    url = reverse("admin:idp_application_change", args=(app.pk,))
    form = admin.get(url).context["adminform"].form
    data: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value not in (None, False):
            data[field.html_name] = value
    data["session_refresh_tokens"] = "unknown"
    assert admin.post(url, data).status_code == 302
    after = Application.objects.values().get()
    assert {k: v for k, v in after.items() if k != "updated"} == {k: v for k, v in before.items() if k != "updated"}
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_rotating_the_secret_makes_the_old_one_useless(admin: Client) -> None:
    app = make_application()
    url = reverse("admin:idp_application_act", args=(app.pk, "rotate-secret"))
    assert check_password(app.raw_secret, Application.objects.get().client_secret)  # type: ignore[attr-defined]
    admin.get(url)
    assert check_password(app.raw_secret, Application.objects.get().client_secret)  # type: ignore[attr-defined]
    response = admin.post(url)
    stored = Application.objects.get().client_secret
    assert not check_password(app.raw_secret, stored)  # type: ignore[attr-defined]
    assert check_password(response.context["secret"], stored)
    assert response.context["secret"] not in LogEntry.objects.get().change_message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("redirect_uris", "http://timesheet.example/callback"),
        ("redirect_uris", "https://*.timesheet.example/"),
        ("redirect_uris", "https://timesheet.example/#x"),
        ("redirect_uris", "javascript:alert(1)"),
        ("redirect_uris", ""),
        ("post_logout_redirect_uris", "https://timesheet.example/out?state=1"),
        ("post_logout_redirect_uris", "https://*.timesheet.example/out"),
        ("web_origins", "*"),
        ("web_origins", "null"),
        ("web_origins", "https://*.timesheet.example"),
        ("web_origins", "https://timesheet.example/path"),
        ("allowed_origins", "https://timesheet.example/"),
        ("backchannel_logout_uri", "gopher://timesheet.example/"),
        ("backchannel_logout_uri", "https://timesheet.example:25/"),
        ("backchannel_logout_uri", "https://timesheet.example/#x"),
        ("frontchannel_logout_uri", "https://elsewhere.example/logout"),
        ("frontchannel_logout_uri", "https://timesheet.example/logout?sid=1"),
        ("frontchannel_logout_uri", "https://timesheet.example/x;script-src"),
        ("grant_types", ["password"]),
        ("grant_types", []),
        ("backchannel_logout_initiators", []),
        ("jwks", "not json"),
        ("jwks", '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'),
        ("jwks", "[]"),
        ("name", "a\0b"),
        ("id_token_lifetime", "-1"),
        ("outbound_hosts", "https://timesheet.example"),
    ],
)
def test_an_application_with_this_is_refused_beside_the_field(admin: Client, field: str, value: Any) -> None:
    response = admin.post(reverse("admin:idp_application_add"), {**APPLICATION, field: value})
    assert field in errors_of(response)
    assert not Application.objects.exists()


def test_a_public_client_cannot_act_for_itself(admin: Client) -> None:
    data = {**APPLICATION, "token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]}
    assert "grant_types" in errors_of(admin.post(reverse("admin:idp_application_add"), data))


def test_a_public_client_gets_a_secret_that_nobody_knows(admin: Client) -> None:
    data = {**APPLICATION, "token_endpoint_auth_method": "none"}
    assert admin.post(reverse("admin:idp_application_add"), data).status_code == 302
    stored = Application.objects.get().client_secret
    assert not check_password("", stored)


def test_private_key_jwt_asks_for_public_keys(admin: Client) -> None:
    data = {**APPLICATION, "token_endpoint_auth_method": "private_key_jwt"}
    assert "jwks" in errors_of(admin.post(reverse("admin:idp_application_add"), data))


def test_deleting_an_application_tells_the_consequences_first(admin: Client) -> None:
    app = make_application()
    url = reverse("admin:idp_application_delete", args=(app.pk,))
    page = admin.get(url).content.decode()
    assert "will not be told when they end" in page
    assert Application.objects.exists()
    assert admin.post(url, {"post": "yes"}).status_code == 302
    assert not Application.objects.exists()


# --- people ----------------------------------------------------------------------------------------------------------------
def test_a_person_is_added_to_a_database_connection_and_can_sign_in(admin: Client) -> None:
    connection = make_connection()
    data = {"connection": connection.pk, "email": "Bob@fabrikamcorp.com", "password": "correct horse battery staple"}
    assert admin.post(reverse("admin:idp_user_add"), data).status_code == 302
    identity = Identity.objects.get(login="bob@fabrikamcorp.com")
    assert identity.user.user_id == f"auth0|{identity.sub}"
    assert identity.user.check_password("correct horse battery staple")
    assert not identity.user.is_staff


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "BOSS@fabrikamcorp.com"}, "email"),
        ({"password": "short"}, "password"),
        ({"email": "nobody"}, "email"),
        ({"email": f"{'İ' * 200}@fabrikamcorp.com"}, "email"),  # longer in lower case than it is here
        ({"connection": "0"}, "connection"),
    ],
)
def test_a_person_that_cannot_be_is_refused(admin: Client, change: dict[str, str], field: str) -> None:
    data = {"connection": make_connection().pk, "email": "bob@fabrikamcorp.com", "password": "correct horse battery"}
    response = admin.post(reverse("admin:idp_user_add"), {**data, **change})
    assert field in errors_of(response)


def test_nobody_is_added_to_a_connection_of_somebody_else(admin: Client) -> None:
    okta = make_connection("okta-main", "okta")
    data = {"connection": okta.pk, "email": "bob@fabrikamcorp.com", "password": "correct horse battery staple"}
    assert "connection" in errors_of(admin.post(reverse("admin:idp_user_add"), data))


def test_a_new_address_is_not_verified_and_renames_the_login(admin: Client) -> None:
    mary = make_user()
    url = reverse("admin:idp_user_change", args=(mary.pk,))
    data = {"email": "mary.j@fabrikamcorp.com", "email_verified": "on", "name": "Mary J", "claims": "{}"}
    response = admin.post(url, data)
    assert response.status_code == 302, errors_of(response)
    mary.refresh_from_db()
    assert (mary.email, mary.email_verified, mary.name) == ("mary.j@fabrikamcorp.com", False, "Mary J")
    assert mary.identities.get().login == "mary.j@fabrikamcorp.com"


def test_giving_powers_asks_who_is_there_after_an_hour(tired_admin: Client, boss: User) -> None:
    mary = make_user()
    url = reverse("admin:idp_user_change", args=(mary.pk,))
    data = {"email": mary.email, "email_verified": "on", "is_superuser": "on", "claims": "{}"}
    response = tired_admin.post(url, data)
    assert "asks who you are" in response.content.decode()
    mary.refresh_from_db()
    assert not mary.is_superuser


# --- APIs ------------------------------------------------------------------------------------------------------------------
def test_an_api_is_offered_tokens_that_are_dead_at_once_before_all_others(admin: Client) -> None:
    field = admin.get(reverse("admin:idp_resourceserver_add")).context["adminform"].form["token_dialect"]
    assert field.initial == "opaque"
    assert [value for value, _ in field.field.choices] == [
        "opaque",
        "access_token",
        "access_token_authz",
        "rfc9068_profile",
        "rfc9068_profile_authz",
    ]


def test_an_api_and_a_grant_are_made_and_unknown_scopes_are_named(admin: Client) -> None:
    data = {
        "identifier": "https://api.example/",
        "scopes": "read:things Look at things\nwrite:things",
        "token_lifetime": "3600",
        "token_dialect": "access_token",
        "signing_alg": "RS256",
    }
    assert admin.post(reverse("admin:idp_resourceserver_add"), data).status_code == 302
    server = ResourceServer.objects.get(is_system=False)
    assert server.scopes == [{"value": "read:things", "description": "Look at things"}, {"value": "write:things"}]
    grant = {"application": make_application().pk, "resource_server": server.pk, "scope": "read:things\ndelete:all"}
    response = admin.post(reverse("admin:idp_clientgrant_add"), grant)
    assert "delete:all" in str(errors_of(response)["scope"])
    assert admin.post(reverse("admin:idp_clientgrant_add"), {**grant, "scope": "read:things"}).status_code == 302
    assert ClientGrant.objects.get().scope == ["read:things"]
