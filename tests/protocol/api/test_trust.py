"""Applications, APIs, grants, connections, roles, settings, keys, the trail and ends by the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from idp.crypto import keys
from idp.crypto.keys import KeyDraft
from idp.models import (
    Application,
    ClientGrant,
    Connection,
    KeyStatus,
    ResourceServer,
    Role,
    SigningKey,
    TenantSettings,
)
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import SessionEvent
from tests.support.factories import make_connection, make_session, make_user
from tests.support.management import Api
from tests.support.oauth import post_form

pytestmark = pytest.mark.django_db
WEB = {
    "name": "Shop",
    "app_type": "regular_web",
    "callbacks": ["https://shop.example/callback"],
    "oidc_logout": {
        "backchannel_logout_urls": ["https://shop.example/logout"],
        "backchannel_logout_initiators": {"mode": "custom", "selected_initiators": ["rp-logout", "session-revoked"]},
    },
    "client_metadata": {"team": "shop"},
    "oidc_conformant": True,
}


@pytest.fixture
def api() -> Api:
    return Api()


# --- applications ------------------------------------------------------------------------------------------------------
def test_an_application_is_made_changed_and_deleted(api):
    made = api.post("clients", WEB)
    body = made.json()
    path = f"clients/{body['client_id']}"
    assert made.status_code == 201
    row = Application.objects.get(client_id=body["client_id"])
    assert row.backchannel_logout_initiators == ["rp-logout", "session-revoked"]
    secret = body.pop("client_secret")
    assert api.get(path).json() == body
    assert secret not in str(api.get("clients").json())
    form = {"client_id": row.client_id, "client_secret": secret, "token": "x"}
    assert post_form("/oauth/revoke", form).status_code == 200
    changed = api.patch(
        path, {"callbacks": ["https://shop.example/cb"], "refresh_token": {"rotation_type": "non-rotating"}}
    )
    assert changed.json()["callbacks"] == ["https://shop.example/cb"]
    assert changed.json()["oidc_logout"] == body["oidc_logout"]
    nulls = {"oidc_backchannel_logout": None, "addons": None, "authorization_details": None, "logo_uri": None}
    assert api.patch(path, nulls).status_code == 200
    new = api.post(f"{path}/rotate-secret").json()["client_secret"]
    assert post_form("/oauth/revoke", form).status_code == 401
    assert post_form("/oauth/revoke", form | {"client_secret": new}).status_code == 200
    assert api.delete(path).status_code == 204
    assert api.get(path).json()["errorCode"] == "inexistent_client"
    lines = SessionEvent.objects.filter(type="application_changed", client_id=row.client_id)
    assert {line.actor for line in lines} == {"app:automation"}
    assert not any(text in str(line.data) for line in lines for text in (secret, new))


def test_null_puts_a_key_back(api, app):
    app.logo_uri, app.backchannel_logout_uri = "https://x.example/logo.png", "https://x.example/out"
    app.refresh_token_leeway = 5
    app.save()
    answer = api.patch(f"clients/{app.client_id}", {"logo_uri": None, "oidc_logout": None}).json()
    assert "logo_uri" not in answer
    assert answer["oidc_logout"]["backchannel_logout_urls"] == []
    assert answer["refresh_token"]["leeway"] == 5


def test_what_an_application_says_by_saml_is_shown_and_null_takes_it_away(api):
    path = f"clients/{api.post('clients', WEB | {'addons': {'samlp': {'audience': 'urn:shop'}}}).json()['client_id']}"
    assert api.get(path).json()["addons"] == {"samlp": {"audience": "urn:shop"}}
    assert "addons" not in api.patch(path, {"addons": None}).json()


def test_a_change_of_the_type_does_not_take_the_secret_away(api, app):
    assert api.patch(f"clients/{app.client_id}", {"app_type": "native"}).status_code == 200
    app.refresh_from_db()
    assert (app.app_type, app.is_public) == ("native", False)
    assert app.grant_types == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"callbacks": ["javascript:alert(1)"]}, "callbacks[0]"),
        ({"callbacks": []}, "callbacks"),
        ({"app_type": "resource_server"}, "app_type"),
        ({"grant_types": ["password"]}, "grant_types"),
        ({"addons": {"samlp": {"audience": 7}}}, "addons"),
        ({"calbacks": ["https://x.example/"]}, "callbacks"),
        ({"refresh_token": {"leeway": 9999}}, "refresh_token.leeway"),
        ({"oidc_logout": {"backchannel_logout_urls": ["http://169.254.169.254/"]}}, "oidc_logout"),
        ({"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]}, "grant_types"),
    ],
)
def test_what_the_rulebook_refuses_is_refused_by_the_name_of_the_key(api, changes, named):
    answer = api.post("clients", WEB | changes)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    assert named in answer.json()["message"]
    assert Application.objects.count() == 1


def test_an_api_its_scopes_and_a_grant(api, app):
    body = {"identifier": "https://things.example/", "name": "Things", "scopes": [{"value": "read:things"}]}
    made = api.post("resource-servers", body)
    assert (made.status_code, made.json()["token_dialect"]) == (201, "access_token")
    assert api.post("resource-servers", body).status_code == 409
    for path in (made.json()["id"], "https:%2F%2Fthings.example%2F"):
        assert api.get(f"resource-servers/{path}").json() == made.json()
    grant = {"client_id": app.client_id, "audience": "https://things.example/", "scope": ["read:things"]}
    granted = api.post("client-grants", grant)
    assert granted.status_code == 201
    assert api.post("client-grants", grant).status_code == 409
    assert api.post("client-grants", grant | {"scope": ["fly"]}).json()["errorCode"] == "invalid_body"
    listed = api.get("client-grants", audience="https://things.example/", include_totals="true", per_page=50).json()
    assert listed == {"total": 1, "start": 0, "limit": 50, "client_grants": [granted.json()]}
    assert api.patch(f"client-grants/{granted.json()['id']}", {"scope": []}).json()["scope"] == []
    assert api.delete(f"client-grants/{granted.json()['id']}").status_code == 204
    assert api.delete(f"resource-servers/{made.json()['id']}").status_code == 204
    assert not ResourceServer.objects.filter(is_system=False).exists()


# --- connections -------------------------------------------------------------------------------------------------------
OKTA = {"domain": "acme.okta.com", "client_id": "curfew", "client_secret": "s3cret-of-okta"}


def test_a_connection_its_applications_and_its_secret(api, app):
    made = api.post("connections", {"name": "acme", "strategy": "okta", "options": OKTA})
    assert made.status_code == 201
    assert b"s3cret" not in made.content
    path = f"connections/{made.json()['id']}"
    row = Connection.objects.get()
    assert (row.enabled_for_all, made.json()["enabled_clients"], "client_secret" in row.sealed_options) == (
        False,
        [],
        True,
    )
    assert api.ask("PATCH", f"{path}/clients", [{"client_id": app.client_id, "status": True}]).status_code == 204
    assert api.get(f"{path}/clients").json() == {"clients": [{"client_id": app.client_id}]}
    assert api.ask("PATCH", f"{path}/clients", [{"client_id": "nobody", "status": True}]).status_code == 400
    kept = {name: value for name, value in OKTA.items() if name != "client_secret"}
    assert api.patch(path, {"options": kept | {"scope": "openid email"}}).status_code == 200
    row.refresh_from_db()
    assert row.sealed_options
    moved = api.patch(path, {"options": kept | {"domain": "evil.example"}})
    assert "client_secret" in moved.json()["message"]
    assert moved.status_code == 400
    assert api.patch(path, {"strategy": "oidc"}).status_code == 400
    assert api.patch(path, {"provisioning": {"enabled": True}}).status_code == 400
    assert api.patch(path, {"enabled": False}).json()["enabled"] is False
    assert api.get(f"{path}/status").status_code == 404
    gone = api.delete(path)
    assert (gone.status_code, set(gone.json())) == (202, {"deleted_at"})
    lines = SessionEvent.objects.filter(type="connection_changed", connection="acme")
    assert lines.count() >= 4
    assert not any("s3cret" in str(line.data) for line in lines)


def test_options_are_for_whoever_may_read_them():
    make_connection("acme", "oidc", options={"issuer": "https://acme.example/"})
    limited = Api(["read:connections"])
    assert "options" not in limited.get("connections").json()[0]


def test_a_connection_that_leads_to_people_with_powers_is_not_changed_by_a_token(api):
    make_user("boss@fabrikamcorp.com", is_staff=True)
    row = Connection.objects.get()
    for body in ({"options": {"passwordPolicy": "none"}}, {"enabled": False}):
        answer = api.patch(f"connections/{row.public_id}", body)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "operation_not_supported")
    assert api.patch(f"connections/{row.public_id}", {"display_name": "Fabrikam"}).status_code == 200


def test_a_closed_connection_ends_sessions_and_one_with_people_stays(api, session, app):
    path = f"connections/{session.connection.public_id}"
    assert api.delete(path).json()["errorCode"] == "conflict"
    assert api.patch(path, {"enabled": False}).status_code == 200
    session.refresh_from_db()
    assert session.ended_at is not None


def test_an_application_that_loses_its_place_among_all(api, app):
    row = make_connection()
    api.ask("PATCH", f"connections/{row.public_id}/clients", [{"client_id": app.client_id, "status": False}])
    row.refresh_from_db()
    assert row.enabled_for_all is False
    assert [one.client_id for one in row.enabled_clients.all()] == ["automation"]


def test_provisioning_of_a_connection(api):
    row = make_connection("acme", "okta", options={"domain": "acme.okta.com", "client_id": "x"})
    path = f"connections/{row.public_id}/scim-configuration"
    assert api.get(path).status_code == 404
    assert api.post(f"connections/{make_connection().public_id}/scim-configuration").status_code == 404
    made = api.post(path)
    assert made.status_code == 201
    assert set(made.json()) >= {"tenant_name", "connection_id", "connection_name", "strategy", "mapping", "created_at"}
    token = api.post(f"{path}/tokens", {"scopes": ["get:users"]}).json()
    assert token["token"].startswith(f"{token['token_id']}.")
    (listed,) = api.get(f"{path}/tokens").json()
    assert "token" not in listed
    assert api.delete(f"{path}/tokens/{token['token_id']}").status_code == 204
    assert api.delete(path).status_code == 204


# --- roles, settings, keys ---------------------------------------------------------------------------------------------
def test_a_role_and_who_has_it(api):
    user = make_user()
    ResourceServer.objects.create(identifier="https://api.example/", name="Things", scopes=[{"value": "read:things"}])
    made = api.post("roles", {"name": "Reader"})
    assert (made.status_code, made.json()["description"]) == (200, None)
    path = f"roles/{made.json()['id']}"
    assert api.get(path).json()["description"] == ""
    assert api.post("roles", {"name": "Reader"}).status_code == 409
    permission = {"resource_server_identifier": "https://api.example/", "permission_name": "read:things"}
    assert (
        api.post(f"{path}/permissions", {"permissions": [permission | {"permission_name": "fly"}]}).status_code == 400
    )
    added = api.post(f"{path}/permissions", {"permissions": [permission] * 2})
    assert (added.status_code, added.json()) == (201, {})
    page = api.get(f"{path}/permissions", include_totals="true", page=0, per_page=100).json()
    assert (page["total"], page["limit"], page["permissions"][0]["resource_server_name"]) == (1, 100, "Things")
    assert api.post(f"{path}/users", {"users": [user.user_id]}).status_code == 200
    assert [one["user_id"] for one in api.get(f"{path}/users").json()] == [user.user_id]
    assert api.delete(f"{path}/permissions", {"permissions": [permission]}).status_code == 204
    gone = api.delete(path, {})
    assert (gone.status_code, gone.json()) == (200, {})
    assert not Role.objects.exists()
    assert {line.actor for line in SessionEvent.objects.filter(type="role_changed")} == {"app:automation"}


def test_settings_in_hours_or_minutes_and_whole_answers_come_back(api):
    assert api.patch("tenants/settings", {"session_lifetime": 10, "friendly_name": "Fabrikam"}).status_code == 200
    whole = api.patch("tenants/settings", {"idle_session_lifetime_in_minutes": 90}).json()
    assert (whole["session_lifetime"], whole["idle_session_lifetime"], whole["friendly_name"]) == (10, 1.5, "Fabrikam")
    assert api.get("tenants/settings").json() == whole
    assert api.patch("tenants/settings", whole).json() == whole
    for wrong in ({"session_lifetime": 0}, {"support_email": "nobody"}, {"no_such": 1}, {"allowed_logout_urls": ["x"]}):
        assert api.patch("tenants/settings", wrong).status_code == 400, wrong
    api.patch("branding", {"colors": {"primary": "#112233"}})
    assert api.get("branding").json() == {"colors": {"primary": "#112233"}}
    assert TenantSettings.objects.get().accent_color == "#112233"
    assert {line.actor for line in SessionEvent.objects.filter(type="tenant_changed")} == {"app:automation"}


def test_signing_keys_have_no_private_half(api):
    keys.ensure()
    shown = api.get("keys/signing")
    assert {one["kid"] for one in shown.json() if one["current"]} == {*SigningKey.objects.values_list("kid", flat=True)}
    assert not any({"d", "p", "q"} & set(one["jwk"]) for one in shown.json())
    assert api.post("keys/signing/rotate").status_code == 201
    assert api.post("keys/signing/rotate").status_code == 409


def test_a_previous_signing_key_is_revoked_and_no_other(api):
    keys.ensure()
    signs = SigningKey.objects.filter(algorithm="RS256").get()
    previous = KeyDraft.make("RS256").begin(KeyStatus.RETIRING, timezone.now())
    refused = api.ask("PUT", f"keys/signing/{signs.kid}/revoke")
    assert (refused.status_code, refused.json()["errorCode"]) == (409, "conflict")
    assert "rotate_keys --now" in refused.json()["message"]
    assert api.ask("PUT", f"keys/signing/{previous.kid}/revoke").json() == {
        "kid": previous.kid,
        "cert": api.get(f"keys/signing/{previous.kid}").json()["cert"],
    }
    assert previous.kid not in str(Client().get("/.well-known/jwks.json").json())
    previous.refresh_from_db()
    assert (previous.status, previous.sealed_private_key) == (KeyStatus.GONE, "")
    assert SessionEvent.objects.filter(type="signing_key_moved", actor="app:automation").exists()
    assert api.ask("PUT", f"keys/signing/{previous.kid}/revoke").status_code == 409
    assert api.ask("PUT", "keys/signing/nothing/revoke").status_code == 404


# --- the trail and ends ------------------------------------------------------------------------------------------------
def test_the_trail_as_logs(api, session, app):
    api.delete(f"sessions/{session.sid}")
    user = session.user
    (line,) = api.get("logs", q=f'type:slo AND user_id:"{user.user_id}"').json()
    assert (line["user_name"], line["details"]["actor"]) == (user.email, "app:automation")
    assert api.get(f"logs/{line['log_id']}").json() == line
    assert api.get(f"users/{user.user_id}/logs").json()[0] == line
    everything, at = [], "0"
    while found := api.get("logs", **{"from": at, "take": 1}).json():
        everything += found
        at = found[-1]["log_id"]
    assert [one["log_id"] for one in everything] == sorted(one["log_id"] for one in api.get("logs").json())
    assert api.get("stats/active-users").json() == 0
    assert len(api.get("stats/daily").json()) == 31


def test_ends_their_deliveries_and_their_evidence(api, app):
    app.backchannel_logout_uri = "https://jwt-debugger.example/out"
    app.save()
    user = make_user()
    api.delete(f"sessions/{make_session(user, app).sid}")
    (event,) = api.get("logout-events", user_id=user.user_id).json()["logout_events"]
    assert (event["initiator"], event["actor"], event["sessions_ended"]) == ("session-revoked", "app:automation", 1)
    (row,) = api.get("deliveries", event_id=event["id"], state="pending").json()["deliveries"]
    delivery = LogoutDelivery.objects.get()
    delivery.state, delivery.finished_at = DeliveryState.DEAD, delivery.created_at
    delivery.save()
    assert api.get(f"deliveries/{row['id']}").json()["attempts"] == []
    assert api.post(f"deliveries/{row['id']}/redeliver").json()["state"] == "pending"
    LogoutDelivery.objects.update(state="delivered", finished_at=delivery.created_at + timedelta(seconds=1))
    assert api.post(f"deliveries/{row['id']}/redeliver").status_code == 409
    proved = api.get("evidence", user_id=user.user_id).json()
    assert [one["client_id"] for one in proved["deliveries"]] == [app.client_id]
    assert api.get("evidence", since="2020-01-01T00:00:00Z").status_code == 400
    assert api.get("deliveries", state="lost").status_code == 400


def test_the_first_client_is_printed_once_and_works(capsys):

    call_command("create_management_client", "--name", "Ops", "--scopes", "read:users")
    said = dict(line.partition("=")[::2] for line in capsys.readouterr().out.splitlines())
    assert set(said) == {"AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_AUDIENCE"}
    assert ClientGrant.objects.get().scope == ["read:users"]
    answer = post_form(
        "/oauth/token",
        {
            "grant_type": "client_credentials",
            "client_id": said["AUTH0_CLIENT_ID"],
            "client_secret": said["AUTH0_CLIENT_SECRET"],
            "audience": said["AUTH0_AUDIENCE"],
        },
    )
    assert answer.json()["scope"] == "read:users"
    assert said["AUTH0_CLIENT_SECRET"] not in Application.objects.get(name="Ops").client_secret


def test_what_is_not_here_says_so(api):
    assert api.get("organizations").json() == api.get("custom-domains").json() == []
    for path, code in {
        "organizations/org_x": None,
        "emails/provider": "inexistent_email_provider",
        "branding/templates/universal-login": "inexistent_templates_universal_login",
        "branding/themes/default": "theme_not_found",
    }.items():
        answer = api.get(path)
        assert (answer.status_code, answer.json().get("errorCode")) == (404, code)
