"""What an application says of itself and may rely on: policies, ages of proofs, signed answers, and what is refused instead."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from idp.models import Application, TenantSettings
from idp.protocol.registration import IMPOSSIBLE
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import (
    VERIFIER,
    answer_of,
    authorize,
    code_for,
    decode,
    exchange,
    next_of,
    token,
    tokens_for,
    userinfo,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]
CORE = "OpenID Connect Core 1.0"
REGISTRATION = "OpenID Connect Registration 1.0"
PUBLIC = {"redirect_uris": ["https://rp.example/callback"], "token_endpoint_auth_method": "none"}


def register(**members):
    TenantSettings.objects.update_or_create(pk=1, defaults={"dynamic_client_registration": True})
    body = json.dumps({**PUBLIC, **members})
    return Client().post("/oidc/register", body, content_type="application/json")


def registered(**members) -> Application:
    response = register(**members)
    assert response.status_code == 201, response.content
    return Application.objects.get(client_id=response.json()["client_id"])


def manage(method: str, document: dict, body: dict | None = None):
    headers = {"Authorization": f"Bearer {document['registration_access_token']}"}
    path = f"/oidc/register/{document['client_id']}"
    sent = json.dumps(body) if body else ""
    return Client().generic(method, path, sent, content_type="application/json", headers=headers)


# --- policies -------------------------------------------------------------------------------------------------------------
@pytest.mark.spec(REGISTRATION, "2", "policy_uri and tos_uri are shown to the person")
def test_policy_and_terms_are_links_where_people_sign_in_and_are_asked():
    make_user()
    app = registered(policy_uri="https://rp.example/policy?a=1&b=2", tos_uri="https://rp.example/terms")
    links = ('href="https://rp.example/policy?a=1&amp;b=2"', 'href="https://rp.example/terms"')
    login = Client().get(authorize(None, app)["Location"]).content.decode()
    consent = authorize(make_session(make_user("eve@fabrikamcorp.com")), app).content.decode()
    for page in (login, consent):
        assert all(link in page for link in links)
    plain = registered(client_name="Plain")
    assert "Privacy policy" not in Client().get(authorize(None, plain)["Location"]).content.decode()


def test_one_that_was_stored_and_is_not_allowed_is_no_link():
    app = make_application("Odd")
    Application.objects.filter(pk=app.pk).update(policy_uri="javascript:alert(1)", tos_uri="http://odd.example/terms")
    page = Client().get(authorize(None, app)["Location"]).content.decode()
    assert "javascript:" not in page
    assert "odd.example/terms" not in page


def test_they_are_in_the_answer_and_change_with_the_registration():
    document = register(policy_uri="https://rp.example/policy").json()
    assert document["policy_uri"] == "https://rp.example/policy"
    Application.objects.filter(client_id=document["client_id"]).update(policy_uri="https://rp.example/by-hand")
    assert manage("GET", document).json()["policy_uri"] == "https://rp.example/by-hand"
    changed = manage("PUT", document, {**PUBLIC, "client_id": document["client_id"]}).json()
    assert "policy_uri" not in changed


# --- how old a proof may be -----------------------------------------------------------------------------------------------
@pytest.mark.spec(REGISTRATION, "2", "default_max_age applies where a request says none")
def test_default_max_age_is_max_age_of_a_request_that_says_none():
    app = registered(default_max_age=60)
    app.is_first_party = True
    app.save()
    old = make_session(make_user(), auth_time=timezone.now() - timedelta(minutes=10))
    assert next_of(authorize(old, app))
    assert answer_of(authorize(old, app, prompt="none"))["error"] == "login_required"
    assert "code" in answer_of(authorize(old, app, max_age="100000"))
    assert "code" in answer_of(authorize(make_session(make_user("eve@fabrikamcorp.com")), app))


def test_an_upstream_is_asked_for_that_age_too():
    from idp.tenants import configuration
    from sessions_app.signin.destinations import destination

    app = make_application("Bank", default_max_age=0)
    for query, expected in (("", (0, True)), ("&max_age=9", (9, False)), ("&max_age=x", (None, False))):
        asked = destination(f"/authorize?client_id={app.client_id}{query}", configuration.current()).asked
        assert (asked.max_age, asked.force) == expected


@pytest.mark.parametrize("value", [-1, "60", True, 1.5, [60], 10**12])
def test_an_age_that_is_no_number_of_seconds_is_refused(value):
    response = register(default_max_age=value)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.spec(REGISTRATION, "2", "require_auth_time")
def test_require_auth_time_is_kept_and_met():
    response = register(require_auth_time=True).json()
    assert response["require_auth_time"] is True
    app = Application.objects.get(client_id=response["client_id"])
    app.is_first_party = True
    app.save()
    issued = token(
        app,
        grant_type="authorization_code",
        code=code_for(make_session(make_user()), app),
        redirect_uri=app.callbacks[0],
        code_verifier=VERIFIER,
    )
    assert decode(issued.json()["id_token"])["auth_time"]


# --- signed UserInfo ------------------------------------------------------------------------------------------------------
@pytest.mark.spec(CORE, "5.3.2", "A signed UserInfo response has iss and aud and is application/jwt")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_userinfo_is_a_jwt_for_who_registered_to_get_one(session, algorithm):
    app = make_application("Signed", userinfo_signed_response_alg=algorithm)
    access = tokens_for(session, app)["access_token"]
    answer = userinfo(access)
    assert answer.headers["Content-Type"] == "application/jwt"
    claims = decode(answer.content.decode())
    assert (claims["iss"], claims["aud"], claims["sub"]) == (settings.ISSUER, app.client_id, session.user.user_id)
    assert claims["email"] == session.user.email
    assert not {"exp", "nonce", "sid", "at_hash"} & set(claims), "it must not pass for an ID token"


def test_errors_of_a_signed_userinfo_are_as_always(session):
    app = make_application("Signed", userinfo_signed_response_alg="RS256")
    answer = userinfo(tokens_for(session, app, scope="offline_access")["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


def test_registration_takes_the_algorithms_that_discovery_names():
    named = Client().get("/.well-known/openid-configuration").json()["userinfo_signing_alg_values_supported"]
    for algorithm in named:
        assert register(userinfo_signed_response_alg=algorithm).json()["userinfo_signed_response_alg"] == algorithm
    for algorithm in ("none", "HS256", 7):
        assert register(userinfo_signed_response_alg=algorithm).json()["error"] == "invalid_client_metadata"


# --- what we cannot do ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_we_cannot_do_is_refused_and_its_absence_is_not(name):
    for wanted in ("RSA-OAEP", True, ["https://rp.example/request"]):
        answer = register(**{name: wanted})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
        assert name in answer.json()["error_description"]
    for not_wanted in (None, "", False):
        assert register(**{name: not_wanted}).status_code == 201


def test_request_uris_are_left_out_of_a_registration_that_is_taken():
    answer = register(request_uris=["https://tool.example/request.jwt"])
    assert answer.status_code == 201
    assert "request_uris" not in answer.json()


# --- claims as Core 5.4 says ----------------------------------------------------------------------------------------------
@pytest.mark.spec(
    CORE, "5.4", "Claims of the scopes are returned from UserInfo, not in ID tokens, when there is an access token"
)
def test_the_id_token_of_a_self_registered_application_says_who_and_userinfo_the_rest(session):
    app = registered()
    app.is_first_party = True
    app.save()
    tokens = tokens_for(session, app)
    assert not {"email", "name", "email_verified", "picture"} & set(decode(tokens["id_token"]))
    assert userinfo(tokens["access_token"]).json()["email"] == session.user.email


def test_what_is_asked_for_by_name_is_in_the_id_token_all_the_same(session):
    app = make_application("Strict", scope_claims_in_userinfo_only=True)
    claims = decode(tokens_for(session, app, claims='{"id_token": {"email": null}}')["id_token"])
    assert claims["email"] == session.user.email
    assert "name" not in claims


def test_others_get_them_in_the_id_token_as_auth0s_do(session):
    assert decode(tokens_for(session, make_application())["id_token"])["email"] == session.user.email


def test_a_registration_may_say_otherwise_and_hears_what_holds():
    assert register().json()["scope_claims_in_userinfo_only"] is True
    document = register(scope_claims_in_userinfo_only=False).json()
    assert document["scope_claims_in_userinfo_only"] is False
    assert register(scope_claims_in_userinfo_only="no").status_code == 400


# --- loopback -------------------------------------------------------------------------------------------------------------
@pytest.mark.spec(
    "RFC 8252", "7.3", "A public client that registered without application_type may use any loopback port"
)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_tool_that_registered_itself_signs_in_on_whatever_port_it_got(session, host):
    app = registered(redirect_uris=[f"http://{host}/callback"])
    app.is_first_party = True
    app.save()
    here = f"http://{host}:51004/callback"
    response = authorize(session, app, redirect_uri=here)
    assert response["Location"].startswith(f"{here}?code=")
    code = answer_of(response)["code"]
    assert exchange(app, code_for(session, app, redirect_uri=here)).status_code == 400, "the port is part of the code"
    assert exchange(app, code, redirect_uri=here).status_code == 200


def test_a_confidential_web_application_keeps_to_its_port(session):
    app = make_application("Web", redirect_uris="http://127.0.0.1/callback")
    assert authorize(session, app, redirect_uri="http://127.0.0.1:51004/callback").status_code == 400


# --- doors ----------------------------------------------------------------------------------------------------------------
TENANT = """
clients:
  - name: Bank
    callbacks: [https://bank.example/cb]
    policy_uri: https://bank.example/policy
    tos_uri: https://bank.example/terms
    default_max_age: 300
    userinfo_signed_response_alg: ES256
    scope_claims_in_userinfo_only: true
    mobile:
      android: {app_package_name: com.bank.app, sha256_cert_fingerprints: [FINGERPRINT]}
      ios: {team_id: 9JA89QQLNQ, app_bundle_identifier: com.bank.app}
"""


def test_the_tenant_file_says_all_of_it(tmp_path):
    path = tmp_path / "tenant.yaml"
    path.write_text(TENANT.replace("FINGERPRINT", f'"{":".join(["AB"] * 32)}"'))
    call_command("apply", path)
    bank = Application.objects.get(name="Bank")
    assert (bank.policy_uri, bank.tos_uri) == ("https://bank.example/policy", "https://bank.example/terms")
    assert (bank.default_max_age, bank.userinfo_signed_response_alg) == (300, "ES256")
    assert bank.scope_claims_in_userinfo_only
    assert bank.fingerprints == [":".join(["AB"] * 32)]
    assert (bank.android_package_name, bank.ios_team_id, bank.ios_bundle_id) == (
        "com.bank.app",
        "9JA89QQLNQ",
        "com.bank.app",
    )


@pytest.mark.spec(REGISTRATION, "2", "default_acr_values apply where a request says none")
def test_default_acr_values_are_registered_and_told():
    assert register(default_acr_values=["multi-factor", "1"]).json()["default_acr_values"] == ["multi-factor", "1"]
    assert "default_acr_values" not in register().json()


@pytest.mark.parametrize("value", ["2", [2], {"2": 1}, ["phrh"], ["2", "urn:mace:incommon:iap:silver"]])
def test_a_class_that_nobody_can_reach_is_refused_at_registration(value):
    response = register(default_acr_values=value)
    assert response.status_code == 400
    assert "default_acr_values" in response.json()["error_description"]
