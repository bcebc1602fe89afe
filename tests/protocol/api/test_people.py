"""People by the API: what is written, what ends, and what is refused."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator

from idp.models import Group, Identity, Membership, ResourceServer, Role, Source, User
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import Consent, MailRequest, RefreshTokenFamily, SessionEvent
from tests.support.factories import PASSWORD, make_application, make_connection, make_session, make_user
from tests.support.management import Api
from tests.support.oauth import refresh, tokens_for

pytestmark = pytest.mark.django_db
NEW = {"email": "new@fabrikamcorp.com", "connection": "FabrikamAD", "password": "a good long passphrase 7"}


@pytest.fixture
def api() -> Api:
    return Api()


def test_somebody_new_may_sign_in_and_is_shaped_as_at_auth0(api):
    make_connection()
    made = api.post("users", {**NEW, "user_id": "abc123", "user_metadata": {"plan": "gold"}, "email_verified": True})
    assert made.status_code == 201
    body = made.json()
    assert body["user_id"] == "auth0|abc123"
    assert body["identities"] == [
        {"user_id": "abc123", "connection": "FabrikamAD", "provider": "auth0", "isSocial": False}
    ]
    assert (body["name"], body["nickname"], body["user_metadata"]) == ("new@fabrikamcorp.com", "new", {"plan": "gold"})
    assert body["created_at"].endswith("Z")
    user = User.objects.get(user_id="auth0|abc123")
    assert user.check_password(NEW["password"])
    assert api.get("users/auth0%7Cabc123").json() == body
    assert api.get("users-by-email", email="NEW@fabrikamcorp.com").json() == [body]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, 409, "auth0_idp_error"),
        ({"email": "other@fabrikamcorp.com", "user_id": "taken"}, 409, "auth0_idp_error"),
        ({"email": "other@fabrikamcorp.com", "password": "short"}, 400, "invalid_body"),
        ({"email": "no address"}, 400, "invalid_body"),
        ({"email": f"{'İ' * 200}@fabrikamcorp.com"}, 400, "invalid_body"),  # longer in lower case than it is here
        ({"email": None}, 400, "invalid_body"),
        ({"connection": "Nowhere"}, 400, "invalid_body"),
        ({"connection": "Acme"}, 400, "invalid_body"),
        ({"email": "other@fabrikamcorp.com", "user_id": "a|b"}, 400, "invalid_body"),
        ({"email": "other@fabrikamcorp.com", "user_metadata": []}, 400, "invalid_body"),
        ({"email": "other@fabrikamcorp.com", "picture": "javascript:alert(1)"}, 400, "invalid_body"),
    ],
)
def test_somebody_new_who_cannot_be_is_refused(api, changes, status, code):
    make_user("new@fabrikamcorp.com")
    make_connection("Acme", "oidc")
    User.objects.create(user_id="auth0|taken")
    count = User.objects.count()
    answer = api.post("users", {**NEW, **changes})
    assert (answer.status_code, answer.json()["errorCode"]) == (status, code)
    assert User.objects.count() == count


def test_metadata_is_merged_and_null_takes_away(api):
    user = make_user(user_metadata={"a": 1, "b": {"c": 2}}, app_metadata={"x": 1})
    path = f"users/{user.user_id}"
    api.patch(path, {"user_metadata": {"a": None, "b": {"d": 3}}, "given_name": "Mary", "nickname": None})
    user.refresh_from_db()
    assert (user.user_metadata, user.app_metadata, user.given_name) == ({"b": {"d": 3}}, {"x": 1}, "Mary")
    assert api.patch(path, {"user_metadata": {}}).json()["user_metadata"] == {}


@pytest.mark.parametrize(
    ("body", "initiator"),
    [
        ({"blocked": True}, "account-deactivated"),
        ({"password": "another long passphrase 8"}, "password-changed"),
        ({"email": "mary@new.example"}, "email-identifier-changed"),
    ],
)
def test_what_ends_sessions_elsewhere_ends_them_here(api, app, body, initiator):
    user = make_user()
    session = make_session(user, app)
    assert api.patch(f"users/{user.user_id}", body).status_code == 200
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == (initiator, "app:automation")
    assert LogoutDelivery.objects.get().client_id == app.client_id
    user.refresh_from_db()
    assert user.check_password(body.get("password", PASSWORD))


def test_a_block_is_taken_back_and_a_person_deleted(api, app):
    user = make_user(is_active=False)
    assert api.patch(f"users/{user.user_id}", {"blocked": False}).json()["blocked"] is False
    make_session(user, app)
    assert api.delete(f"users/{user.user_id}").status_code == 204
    assert not User.objects.filter(pk=user.pk).exists()
    assert LogoutEvent.objects.get().initiator == "account-deleted"
    assert api.delete(f"users/{user.user_id}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"password": "another long passphrase 8"}),
        ("PATCH", "", {"email": "mine@evil.example"}),
        ("PATCH", "", {"name": "Somebody"}),
        ("DELETE", "", None),
        ("DELETE", "/authentication-methods", None),
        ("POST", "/identities", {"provider": "oidc", "user_id": "Acme|0042"}),
    ],
)
def test_who_may_open_the_administration_is_not_changed_by_a_token(api, method, path, body):
    """Not even by one with every scope. To end their sessions and to block them is possible."""
    boss, other = make_user("boss@fabrikamcorp.com", is_staff=True), make_user()
    Identity.objects.create(user=other, connection=make_connection("Acme", "oidc"), sub="0042")
    session = make_session(boss)
    answer = api.ask(method, f"users/{boss.user_id}{path}", body)
    assert (answer.status_code, answer.json()["errorCode"]) == (403, "operation_not_supported")
    boss.refresh_from_db()
    assert (boss.email, boss.check_password(PASSWORD)) == ("boss@fabrikamcorp.com", True)
    assert api.post(f"sessions/{session.sid}/revoke").status_code == 202
    assert api.patch(f"users/{boss.user_id}", {"blocked": True}).status_code == 200


def test_an_account_is_linked_and_given_back(api):
    user, partner = make_user(), make_connection("Acme", "oidc")
    other = User.objects.create(user_id="oidc|Acme|0042", email="mary@acme.example")
    Identity.objects.create(user=other, connection=partner, sub="0042", email="mary@acme.example")
    path = f"users/{user.user_id}/identities"
    linked = api.post(path, {"provider": "oidc", "user_id": "Acme|0042"})
    assert linked.status_code == 201
    assert [one["connection"] for one in linked.json()] == ["FabrikamAD", "Acme"]
    local = Identity.objects.get(user=user, connection__strategy="auth0").sub
    assert api.delete(f"{path}/auth0/{local}").status_code == 400
    assert [one["connection"] for one in api.delete(f"{path}/oidc/Acme%7C0042").json()] == ["FabrikamAD"]
    assert api.delete(f"{path}/oidc/Acme%7C0042").status_code == 404


def test_people_are_found_by_what_is_written_of_them(api):
    mary, bob = make_user(), make_user("bob@fabrikamcorp.com", name="Bob Builder", is_active=False)
    for q, expected in {
        'email:"MARY@fabrikamcorp.com"': [mary],
        "name:bob*": [bob],
        'name:"Bob Builder" AND blocked:true': [bob],
        "identities.connection:FabrikamAD AND NOT blocked:true": [mary],
        f'user_id:"{bob.user_id}"': [bob],
        "email:nobody@fabrikamcorp.com": [],
    }.items():
        found = api.get("users", q=q, search_engine="v3")
        assert [row["user_id"] for row in found.json()] == [user.user_id for user in expected], q
    newest = api.get("users", sort="created_at:-1").json()
    assert [row["user_id"] for row in newest] == [bob.user_id, mary.user_id]


def test_roles_groups_and_permissions_of_somebody(api):
    user, scope = make_user(), {"value": "read:things", "description": "Read things"}
    ResourceServer.objects.create(identifier="https://api.example/", name="Things", scopes=[scope])
    permission = {"resource_server_identifier": "https://api.example/", "permission_name": "read:things"}
    role = Role.objects.create(name="Reader", permissions=[permission])
    group = Group.objects.create(name="staff")
    Membership.objects.create(group=group, user=user, source=Source.ADMINISTRATOR)
    path = f"users/{user.user_id}"
    assert api.post(f"{path}/roles", {"roles": [role.public_id]}).status_code == 204
    assert api.post(f"{path}/roles", {"roles": ["rol_none"]}).json()["errorCode"] == "inexistent_role"
    assert api.get(f"{path}/roles", include_totals="true").json() == {
        "roles": [{"id": role.public_id, "name": "Reader", "description": ""}],
        "start": 0,
        "limit": 50,
        "total": 1,
    }
    (found,) = api.get(f"{path}/permissions").json()
    assert (found["permission_name"], found["description"]) == ("read:things", "Read things")
    assert found["sources"] == [{"source_type": "ROLE", "source_id": role.public_id, "source_name": "Reader"}]
    assert [one["name"] for one in api.get(f"{path}/groups").json()["groups"]] == ["staff"]
    assert (
        api.post(f"{path}/permissions", {"permissions": [permission]}).json()["errorCode"] == "operation_not_supported"
    )
    assert api.delete(f"{path}/roles", {"roles": [role.public_id]}).status_code == 204
    assert not role.people.exists()
    changed = SessionEvent.objects.filter(type="roles_changed", sub=user.user_id)
    assert {line.actor for line in changed} == {"app:automation"}


def test_second_factors_are_shown_without_their_secrets_and_taken_away(api):
    user = make_user()
    session = make_session(user)
    row = Authenticator.objects.create(user=user, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    answer = api.get(f"users/{user.user_id}/authentication-methods")
    assert [(one["id"], one["type"]) for one in answer.json()] == [(f"totp|dev_{row.pk}", "totp")]
    assert b"JBSWY" not in answer.content
    assert api.delete(f"users/{user.user_id}/authentication-methods/totp%7Cdev_{row.pk}").status_code == 204
    session.refresh_from_db()
    assert session.end_initiator == "mfa-phone-unenrolled"


# --- sessions and tokens -----------------------------------------------------------------------------------------------
def test_a_session_as_auth0_shows_it(api, session, app):
    body = api.get(f"sessions/{session.sid}").json()
    assert {"id": session.sid, "user_id": session.user.user_id}.items() <= body.items()
    for name in ("created_at", "updated_at", "authenticated_at", "idle_expires_at", "expires_at", "last_interacted_at"):
        assert body[name].endswith("Z")
    assert body["authentication"]["methods"][0]["name"] == "pwd"
    assert set(body["device"]) == {
        f"{when}_{what}" for when in ("initial", "last") for what in ("ip", "user_agent", "asn")
    }
    assert session.raw_cookie not in str(body)
    assert api.get(f"users/{session.user.user_id}/sessions").json() == {"sessions": [body]}
    assert api.patch(f"sessions/{session.sid}", {"session_metadata": {"k": "v"}}).json()["session_metadata"] == {
        "k": "v"
    }
    too_many = {str(number): "x" for number in range(26)}
    assert api.patch(f"sessions/{session.sid}", {"session_metadata": too_many}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "ends", "offline_lives"),
    [
        ("DELETE", "sessions/{sid}", True, True),
        ("DELETE", "users/{user}/sessions", True, True),
        ("POST", "sessions/{sid}/revoke", True, False),
        ("POST", "users/{user}/revoke-access", True, False),
        ("DELETE", "users/{user}/refresh-tokens", False, False),
        ("DELETE", "refresh-tokens/{token}", False, False),
        ("POST", "refresh-tokens/revoke", False, False),
    ],
)
def test_which_call_ends_what(api, session, app, method, path, ends, offline_lives):
    raw = tokens_for(session, app, scope="openid offline_access")["refresh_token"]
    family = RefreshTokenFamily.objects.get()
    shown = api.get(f"refresh-tokens/{family.public_id}").json()
    assert (shown["session_id"], shown["client_id"], shown["rotating"]) == (session.sid, app.client_id, True)
    place = path.format(sid=session.sid, user=session.user.user_id, token=family.public_id)
    body = {"ids": [family.public_id]} if path == "refresh-tokens/revoke" else None
    assert api.ask(method, place, body).status_code in (202, 204)
    session.refresh_from_db()
    assert (session.ended_at is not None) is ends
    told = LogoutDelivery.objects.filter(client_id=app.client_id, session=session)
    assert told.count() == int(ends)
    assert LogoutEvent.objects.filter(initiator="session-revoked", actor="app:automation").count() == int(ends)
    listed = api.get(f"users/{session.user.user_id}/refresh-tokens").json()["tokens"]
    assert len(listed) == int(offline_lives)
    assert (refresh(app, raw).status_code == 200) is offline_lives
    again = api.ask(method, place, body)
    assert again.status_code in (202, 204, 404)
    assert LogoutEvent.objects.count() <= 1


def test_a_session_that_is_not_there(api):
    assert api.delete("sessions/unknown").status_code == 202
    for answer in (api.get("sessions/unknown"), api.post("sessions/unknown/revoke")):
        assert (answer.status_code, answer.json()["errorCode"]) == (404, "inexistent_session")
    assert (
        api.get("refresh-tokens").json()["message"] == "Query validation error: Missing required 'user_id' parameter."
    )
    assert api.post("refresh-tokens/revoke", {"client_id": "x"}).status_code == 400


def test_a_session_must_be_proved_again(api, session):
    assert api.post(f"users/{session.user.user_id}/require-reauthentication").json() == {"sessions": 1}
    assert api.get(f"sessions/{session.sid}").json()["reauthentication_pending"] is True
    assert api.post(f"sessions/{session.sid}/require-reauthentication").json() == {"sessions": 1}


def test_what_somebody_allowed_is_taken_back(api, session):
    third = make_application("Third", is_first_party=False)
    Consent.objects.create(user=session.user, application=third, scopes=["openid", "offline_access"])
    tokens_for(session, third, scope="openid offline_access")
    (grant,) = api.get("grants", user_id=session.user.user_id).json()
    assert (grant["clientID"], set(grant["scope"]) >= {"openid"}) == (third.client_id, True)
    assert api.delete(f"grants/{grant['id']}").status_code == 204
    assert not Consent.objects.exists()
    assert not RefreshTokenFamily.objects.filter(revoked_at=None).exists()
    line = SessionEvent.objects.get(type="application_removed")
    assert (line.actor, line.client_id) == ("app:automation", third.client_id)


def test_links_for_somebody(api, client):
    user = make_user()
    ticket = api.post("tickets/password-change", {"user_id": user.user_id})
    assert ticket.status_code == 201
    assert client.get(ticket.json()["ticket"].removeprefix("http://localhost:8000"), follow=True).status_code == 200
    verify = api.post("tickets/email-verification", {"user_id": user.user_id}).json()["ticket"]
    assert "/account/email/confirm/" in verify
    assert api.post("jobs/verification-email", {"user_id": user.user_id}).json()["status"] == "pending"
    assert MailRequest.objects.get().user == user
    assert (
        api.post("tickets/password-change", {"user_id": user.user_id, "result_url": "https://x.example"}).status_code
        == 400
    )


@pytest.mark.parametrize("sort", ["email:1", "email:-1", "created_at:-1"])
def test_pages_that_are_found_by_their_keys_have_the_order_of_the_whole(sort):
    api = Api()
    for number in (3, 1, 4, 5, 2):
        make_user(f"person{number}@fabrikamcorp.com")
    whole = api.get("users", sort=sort).json()
    pages = [api.get("users", sort=sort, page=page, per_page=2).json() for page in range(4)]
    assert [one["user_id"] for page in pages for one in page] == [one["user_id"] for one in whole]
    assert [one["identities"] for page in pages for one in page] == [one["identities"] for one in whole]
