"""What of the tenant tools read and write: mails, texts, keys of applications; who is let in again; what there is none of."""

from __future__ import annotations

from datetime import timedelta
from time import time

import pytest
from django.conf import settings
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from idp.crypto import sealing
from idp.limits import limiter
from idp.models import Application, TenantSettings
from logout_app.api.table import OPERATIONS
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream
from logout_app.streams import rules
from sessions_app.audit import history
from sessions_app.models import RefreshTokenFamily, SessionEvent
from tests.support.factories import PASSWORD, make_application, make_user
from tests.support.management import Api
from tests.support.oauth import post_form, tokens_for
from tests.support.sign_in import csrf_client, sign_in_by_form

pytestmark = pytest.mark.django_db
MAIL = {
    "template": "reset_email",
    "subject": "A new password at {{ friendly_name }}",
    "body": "Hello {{user.email}},\n\n{{ url }}",
    "syntax": "liquid",
    "enabled": True,
    "from": "",
}


# --- mails -----------------------------------------------------------------------------------------------------------
def test_a_mail_has_words_of_ones_own_in_each_language():
    api, path = Api(), "email-templates/reset_email"
    assert (api.get(path).status_code, api.patch(path, MAIL).status_code) == (404, 404)
    made = api.post("email-templates", MAIL)
    assert made.status_code == 200
    assert made.json() == api.get(path).json()
    assert (made.json()["subject"], made.json()["body"]) == (MAIL["subject"], "Hello {{ user.email }},\n\n{{ url }}")
    stored = {"subject": "A new password at {tenant}", "body": "Hello {address},\n\n{url}"}
    assert TenantSettings.objects.get().mail_templates == {"reset_email": {"en": stored}}
    german = {"de": {"subject": "Neues Passwort", "body": "{{ url }}"}}
    assert api.patch(path, {"languages": german}).json()["languages"] == german
    assert api.patch(path, {"subject": "New"}).json()["languages"] == german
    assert api.get(path).json()["subject"] == "New"
    assert api.ask("PUT", path, MAIL).json() == made.json()
    assert api.post("email-templates", MAIL).status_code == 409
    assert api.delete(path).status_code == 204
    assert TenantSettings.objects.get().mail_templates == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"body": "<p>{{ url }}</p>"}, "markup"),
        ({"body": "{{ url }} {% if x %}"}, "Liquid"),
        ({"body": "{{ url }} {{ client_secret }}"}, "Liquid"),
        ({"body": "no link"}, "{url}"),
        ({"body": "{{ url }} https://evil.example/?go={{ url }}"}, "another address"),
        ({"body": "{{ url }} evil.example/{{ url }}"}, "another address"),
        ({"body": "{{ url }} {{ code }}"}, "{code}"),
        ({"subject": "{{ url }}"}, "subject"),
        ({"subject": ["x"]}, "text"),
        ({"from": "boss@evil.example"}, "from"),
        ({"enabled": False}, "enabled"),
        ({"urlLifetimeInSeconds": 86400}, "urlLifetimeInSeconds"),
        ({"languages": {"xx": {"subject": "a", "body": "{{ url }}"}}}, "language"),
        ({"languages": {"de": {"subject": 1}}}, "languages.de"),
        ({"languages": {"de": {"subject": "a", "body": "leer"}}}, "languages.de"),
        ({"template": "welcome_email"}, "welcome_email"),
        ({"more": 1}, "more"),
    ],
)
def test_a_mail_that_could_not_be_sent_so_is_refused(change, says):
    answer = Api().post("email-templates", MAIL | change)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert TenantSettings.objects.filter(mail_templates={}).count() == TenantSettings.objects.count()


# --- texts -----------------------------------------------------------------------------------------------------------
def test_texts_stand_where_auth0_has_them():
    api, path = Api(), "prompts/login/custom-text/en"
    assert api.get(path).json() == {}
    said = {"login": {"description": "Use your staff account."}}
    assert api.ask("PUT", path, said).json() == api.get(path).json() == said
    assert api.get("tenants/settings").json()["texts"] == {"login": {"en": "Use your staff account."}}
    assert api.get("prompts/login/custom-text/de").json() == api.get("prompts/mfa/custom-text/en").json() == {}
    assert api.ask("PUT", path, {}).json() == {}
    assert TenantSettings.objects.get().texts == {}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("prompts/login/custom-text/en", {"login": {"title": "x"}}, 400),
        ("prompts/login/custom-text/en", {"login": "x"}, 400),
        ("prompts/login/custom-text/en", {"login": {"description": 7}}, 400),
        ("prompts/login/custom-text/en", {"login": {"description": 0}}, 400),
        ("prompts/login/custom-text/en", {"login": {"description": "a\nb"}}, 400),
        ("prompts/mfa/custom-text/en", {"mfa": {"title": "x"}}, 400),
        ("prompts/login/custom-text/xx", {"login": {"description": "x"}}, 404),
        ("prompts", {"identifier_first": True}, 400),
        ("prompts", {"universal_login_experience": "classic"}, 400),
        ("prompts", {"identifier_first": False}, 200),
    ],
)
def test_texts_that_have_no_place_are_refused(path, body, status):
    assert Api().ask("PATCH" if path == "prompts" else "PUT", path, body).status_code == status


# --- keys of applications ----------------------------------------------------------------------------------------------
def test_keys_of_an_application_come_and_go_one_by_one():
    api, app = Api(), make_application()
    path = f"clients/{app.client_id}/credentials"
    pems = [key.as_pem(private=False).decode() for key in (RSAKey.generate_key(2048), ECKey.generate_key("P-256"))]
    made = [
        api.post(path, {"credential_type": "public_key", "name": f"key {n}", "pem": pem}) for n, pem in enumerate(pems)
    ]
    assert [answer.status_code for answer in made] == [201, 201]
    assert api.get(path).json() == [answer.json() for answer in made]
    assert api.post(path, {"credential_type": "public_key", "pem": pems[0]}).status_code == 409
    changed = api.patch(f"clients/{app.client_id}", {"token_endpoint_auth_method": "private_key_jwt"})
    assert changed.status_code == 200, changed.content
    first, last = (f"{path}/{answer.json()['id']}" for answer in made)
    assert api.patch(first, {"expires_at": "2030-01-01T00:00:00Z"}).json()["errorCode"] == "operation_not_supported"
    assert api.delete(first).status_code == 204
    assert (api.get(first).status_code, api.get(last).json()) == (404, made[1].json())
    assert api.delete(last).status_code == 400
    app.refresh_from_db()
    app.jwks["keys"].append({**ECKey.generate_key("P-256").as_dict(private=False), "use": "enc"})
    app.save()
    assert api.delete(last).status_code == 400, "what is left encrypts, and proves nothing"


def pem_of(key) -> str:
    return key.as_pem(private=False).decode()


def test_keys_that_prove_who_a_client_is_come_with_it_or_are_named_by_their_ids():
    """As Auth0's newer clients say it, and its Terraform provider."""
    api, key = Api(), ECKey.generate_key("P-256")
    given = {"credential_type": "public_key", "pem": pem_of(key), "alg": "ES256", "name": "first"}
    made = api.post(
        "clients",
        {"name": "Robot", "client_authentication_methods": {"private_key_jwt": {"credentials": [given]}}},
    )
    assert (made.status_code, made.json()["token_endpoint_auth_method"]) == (201, "private_key_jwt")
    assert "client_secret" not in made.json()
    path = f"clients/{made.json()['client_id']}"
    (credential,) = api.get(f"{path}/credentials").json()
    assert (credential["name"], credential["alg"]) == ("first", "ES256")
    row = Application.objects.get(client_id=made.json()["client_id"])
    claims = {"iss": row.client_id, "sub": row.client_id, "aud": settings.ISSUER, "jti": "1", "exp": time() + 60}
    form = {
        "token": "x",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES256", "kid": credential["kid"]}, claims, key),
    }
    assert post_form("/oauth/revoke", form).status_code == 200
    other = api.post("clients", {"name": "Shop"}).json()
    theirs = f"clients/{other['client_id']}"
    ids = [
        api.post(f"{theirs}/credentials", given | {"pem": pem_of(ECKey.generate_key("P-256"))}).json()["id"]
        for _ in "ab"
    ]

    def named(*ids: str):
        return {"client_authentication_methods": {"private_key_jwt": {"credentials": [{"id": one} for one in ids]}}}

    for wrong in (
        named(ids[0]),
        named(credential["id"]),
        named(),
        named(*ids) | {"token_endpoint_auth_method": "none"},
    ):
        assert api.patch(theirs, wrong).json()["errorCode"] == "invalid_body", wrong
    assert api.get(theirs).json()["token_endpoint_auth_method"] == other["token_endpoint_auth_method"]
    assert api.patch(theirs, named(*ids)).json()["token_endpoint_auth_method"] == "private_key_jwt"
    tls = {"client_authentication_methods": {"tls_client_auth": {"credentials": [{"id": ids[0]}]}}}
    assert "certificates of TLS" in api.patch(theirs, tls).json()["message"]


def test_the_server_for_mails_is_nobody_s_to_change_here():
    api = Api()
    for method in ("POST", "PATCH", "DELETE"):
        answer = api.ask(method, "emails/provider", {"name": "smtp"} if method != "DELETE" else None)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "operation_not_supported")
        assert "CURFEW_EMAIL_URL" in answer.json()["message"]


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "nonsense",
        ECKey.generate_key("P-256").as_pem(private=True).decode(),
        ECKey.generate_key("P-256").as_pem(private=False).decode().replace("KoZIzj0DAQcD", "KoZIzj0DAXAD"),  # no curve
    ],
)
def test_what_is_no_good_public_key_is_refused(pem):
    app = make_application()
    answer = Api().post(f"clients/{app.client_id}/credentials", {"credential_type": "public_key", "pem": pem})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    app.refresh_from_db()
    assert app.jwks is None


# --- people ------------------------------------------------------------------------------------------------------------
def test_who_tried_too_often_is_seen_and_let_in_again(monkeypatch):
    monkeypatch.setattr(limiter, "ACCOUNT", limiter.Limit("account", 2, 900))
    api, user = Api(), make_user()
    boss = make_user("boss@fabrikamcorp.com", is_staff=True)
    nobody = {"blocked_for": []}
    assert api.get(f"user-blocks/{user.user_id}").json() == nobody
    for name in (user.email, boss.email):
        for _ in range(2):
            sign_in_by_form(csrf_client(), username=name, password="wrong")
    blocked = {"blocked_for": [{"identifier": user.email, "connection": "FabrikamAD"}]}
    assert api.get(f"user-blocks/{user.user_id}").json() == blocked
    assert api.get("user-blocks", identifier=user.email.upper()).json() == blocked
    assert sign_in_by_form(csrf_client(), username=user.email, password=PASSWORD).status_code == 429
    assert api.ask("DELETE", f"user-blocks?identifier={user.email}").status_code == 204
    assert api.get(f"user-blocks/{user.user_id}").json() == nobody
    assert sign_in_by_form(csrf_client(), username=user.email, password=PASSWORD).status_code in (302, 303)
    for path in (f"user-blocks/{boss.user_id}", f"user-blocks?identifier={boss.email}"):
        assert api.ask("DELETE", path).status_code == 403
    assert len(api.get(f"user-blocks/{boss.user_id}").json()["blocked_for"]) == 1
    assert api.get("user-blocks/auth0%7Cnobody").status_code == 404
    assert api.get("user-blocks").status_code == 400


def test_metadata_of_a_refresh_token_is_replaced(session, app):
    api = Api()
    tokens_for(session, app, scope="openid offline_access")
    path = f"refresh-tokens/{RefreshTokenFamily.objects.get().public_id}"
    assert api.get(path).json()["refresh_token_metadata"] is None
    assert api.patch(path, {"refresh_token_metadata": {"device": "van 7"}}).json() == api.get(path).json()
    assert api.get(path).json()["refresh_token_metadata"] == {"device": "van 7"}
    assert api.patch(path, {"refresh_token_metadata": {"device": 7}}).status_code == 400
    assert api.patch(path, {"user_id": "auth0|another"}).status_code == 400
    assert api.patch(path, {"refresh_token_metadata": None}).json()["refresh_token_metadata"] is None


# --- log streams -------------------------------------------------------------------------------------------------------
SINK = {
    "httpEndpoint": "https://siem.example/in",
    "httpContentFormat": "JSONLINES",
    "httpAuthorization": "Bearer secret",
}


def test_a_log_stream_is_a_webhook():
    api = Api()
    made = api.post("log-streams", {"name": "SIEM", "type": "http", "sink": SINK})
    assert made.status_code == 200
    row = EventStream.objects.get()
    stored = sealing.unseal(row.secret, sealed_for(row, "secret"))
    assert made.json()["sink"]["signatureSecret"] == stored
    assert b"ecret" not in api.get("log-streams").content
    path = f"log-streams/{made.json()['id']}"
    only = {"filters": [{"type": "category", "name": "ended"}], "status": "paused"}
    changed = api.patch(path, only).json()
    assert changed == api.get(path).json() == api.get("log-streams").json()[0]
    assert changed == changed | only | {"name": "SIEM", "type": "http"}
    assert api.patch(path, {"status": "active"}).json()["status"] == "active"
    moved = api.patch(path, {"sink": {"httpEndpoint": "https://evil.example/"}})
    assert "httpAuthorization" in moved.json()["message"]
    assert api.get(path).json()["sink"]["httpEndpoint"] == SINK["httpEndpoint"]
    assert api.delete(path).status_code == 204
    assert api.get(path).json()["errorCode"] == "inexistent_log_stream"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "splunk"},
        {"type": None},
        {"sink": {**SINK, "httpEndpoint": "http://127.0.0.1:1/"}},
        {"sink": {**SINK, "httpEndpoint": "file:///etc/passwd"}},
        {"sink": {**SINK, "httpAuthorization": "a\nb"}},
        {"sink": {**SINK, "httpContentType": "text/plain"}},
        {"sink": {**SINK, "more": 1}},
        {"sink": {}},
        {"sink": []},
        {"filters": [{"type": "category", "name": "nothing"}]},
        {"filters": ["ended"]},
        {"status": "suspended"},
    ],
)
def test_a_log_stream_that_could_tell_nobody_is_refused(change):
    answer = Api().post("log-streams", {"name": "SIEM", "type": "http", "sink": SINK} | change)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    assert not EventStream.objects.exists()


def test_what_a_stream_is_called_tells_no_secret_of_its_address():
    sink = {"httpEndpoint": "https://siem.example/in?token=s3cret"}
    assert Api().post("log-streams", {"type": "http", "sink": sink}).json()["name"] == "https://siem.example"
    assert not SessionEvent.objects.filter(data__icontains="s3cret").exists()


def test_a_log_stream_may_start_where_the_trail_was():
    api, before = Api(), history.newest()
    api.post("roles", {"name": "Early"})
    past = (timezone.now() - timedelta(hours=1)).isoformat()
    assert api.post("log-streams", {"type": "http", "sink": SINK, "startFrom": past}).status_code == 200
    assert EventStream.objects.get().after <= before
    for wrong in ("yesterday", "2026-11-30", 7):
        answer = api.post("log-streams", {"type": "http", "sink": SINK, "startFrom": wrong})
        assert (answer.status_code, "startFrom" in answer.json()["message"]) == (400, True), wrong
    harmless = {"pii_config": None, "isPriority": False}
    assert api.post("log-streams", {"type": "http", "sink": SINK} | harmless).status_code == 200
    custom = {**SINK, "httpCustomHeaders": [{"header": "X-Key", "value": "x"}]}
    assert "httpCustomHeaders" in api.post("log-streams", {"type": "http", "sink": custom}).json()["message"]


def test_where_the_trail_goes_is_said_by_who_may_read_it():
    api = Api(["create:log_streams", "update:log_streams"])
    assert api.post("log-streams", {"type": "http", "sink": SINK}).json()["errorCode"] == "insufficient_scope"
    assert not EventStream.objects.exists()


def test_no_more_log_streams_are_made_than_a_worker_can_look_at(monkeypatch):
    monkeypatch.setattr(rules, "MOST", 1)
    api = Api()
    assert api.post("log-streams", {"type": "http", "sink": SINK}).status_code == 200
    refused = api.post("log-streams", {"type": "http", "sink": SINK})
    assert (refused.status_code, refused.json()["errorCode"]) == (409, "conflict")
    assert EventStream.objects.count() == 1


# --- what there is none of -----------------------------------------------------------------------------------------------
def test_what_there_is_none_of_is_empty_or_not_found_whatever_pages_are_asked_for():
    api = Api()
    for operation in OPERATIONS:
        if operation.says in ("Empty.", "404.", "None.") and "<" not in operation.path:
            for query in ({}, {"page": 0, "per_page": 100, "include_totals": "true"}, {"take": 50}):
                known = {name: value for name, value in query.items() if name in operation.query}
                answer = api.get(operation.path, **known)
                assert answer.status_code == (404 if operation.says == "404." else 200), operation
                assert b"[{" not in answer.content


def test_limits_of_guessing_are_told_as_they_are():
    api = Api()
    assert api.get("attack-protection/brute-force-protection").json()["max_attempts"] == limiter.ACCOUNT.count
    stage = api.get("attack-protection/suspicious-ip-throttling").json()["stage"]["pre-login"]
    assert stage == {"max_attempts": limiter.ADDRESS.count, "rate": 4500}
    assert api.get("attack-protection/bot-detection").json()["challenge_password_policy"] == "never"


def test_system_apis_are_not_made_anew_elsewhere():
    """Tools write back what they read, and leave alone what Auth0 calls so."""
    api = Api()
    [listed] = api.get("resource-servers").json()
    assert (listed["name"], listed["is_system"]) == ("Auth0 Management API", True)
    path = f"resource-servers/{listed['id']}"
    assert api.patch(path, {"token_lifetime": listed["token_lifetime"]}).status_code == 200
    assert api.patch(path, {"token_lifetime": 60}).status_code == 400
