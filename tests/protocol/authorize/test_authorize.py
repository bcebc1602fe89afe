"""GET and POST /authorize: single sign-on, and every mistake by the right channel."""

import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sessions_app.models import AuthorizationCode, SessionClient, SessionEvent
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    issuer,
    next_of,
    request_params,
    tokens_for,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def spa():
    return make_application(
        "SPA",
        app_type="spa",
        token_endpoint_auth_method="none",
        redirect_uris="https://spa.example/callback",
        web_origins=["https://spa.example"],
    )


def refused_with_page(response, status=400):
    return response.status_code == status and "Location" not in response.headers


def work_of(captured):
    return [q["sql"] for q in captured if not q["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]


@pytest.mark.spec("RFC 9207", "2", "Authorization responses carry iss")
def test_a_signed_in_browser_gets_a_code_with_state_and_iss(app, session):
    response = authorize(session, app)
    assert response.status_code == 303
    answer = answer_of(response)
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "the-state"
    assert answer["iss"] == issuer()


@pytest.mark.parametrize("state", ["aGVsbG8=", "a;b", "a b+c&d", "ü/\u2028", '"><script>'])
def test_state_comes_back_byte_for_byte(app, session, state):
    assert answer_of(authorize(session, app, state=state))["state"] == state


def test_the_second_app_is_recorded_as_a_session_client(app, session):
    authorize(session, app)
    authorize(session, make_application("Two"))
    assert SessionClient.objects.filter(session=session).count() == 2
    assert SessionEvent.objects.filter(type="joined").count() == 2


def test_a_repeat_costs_two_statements_and_a_first_join_three_or_five_on_sqlite(app, session):
    warm = make_application("Warm")
    authorize(session, warm)
    with CaptureQueriesContext(connection) as captured:
        answer_of(authorize(session, warm))
    assert len(work_of(captured)) <= 2, work_of(captured)
    authorize(make_session(make_user("eve@fabrikamcorp.com")), app)  # loads the application's row
    with CaptureQueriesContext(connection) as captured:
        answer_of(authorize(session, app))
    assert len(work_of(captured)) <= (3 if connection.vendor == "postgresql" else 5), work_of(captured)


def test_without_a_session_the_whole_request_goes_to_the_login_page(app):
    response = authorize(None, app, login_hint="mary@fabrikamcorp.com")
    back = urlsplit(next_of(response))
    assert back.path == "/authorize"
    params = {name: values[0] for name, values in parse_qs(back.query).items()}
    assert {**request_params(app), "login_hint": "mary@fabrikamcorp.com"}.items() <= params.items()


def test_a_post_works_like_a_get(app, session):
    response = browser(session).post(
        "/authorize", urlencode(request_params(app)), content_type="application/x-www-form-urlencoded"
    )
    assert "code" in answer_of(response)


def test_a_cross_site_post_without_a_lax_cookie_is_sent_again_once_from_our_own_page(app):
    params = urlencode(request_params(app))
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://jwt-debugger.example"}
    first = Client().post("/authorize", params, content_type="application/x-www-form-urlencoded", headers=headers)
    assert first.status_code == 200
    assert b'name="curfew_reposted" value="1"' in first.content
    again = Client().post(
        "/authorize", params + "&curfew_reposted=1", content_type="application/x-www-form-urlencoded", headers=headers
    )
    assert next_of(again).startswith("/authorize?")


@pytest.mark.spec("RFC 6749", "4.1.2.1", "No redirect to an unregistered URI")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://jwt-debugger.example/callback/"},
        {"redirect_uri": "https://jwt-debugger.example/callback?x=1"},
        {"redirect_uri": "https://jwt-debugger.example/callback#x"},
        {"redirect_uri": "https://JWT-DEBUGGER.example/callback"},
        {"redirect_uri": "https://jwt-debugger.example/callback\n"},
        {"redirect_uri": "https://jwt-debugger.example\\@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"client_id": "a\x00b"},
    ],
)
def test_an_unknown_client_or_redirect_uri_gets_a_page(app, session, changes):
    response = authorize(session, app, **changes)
    assert refused_with_page(response)
    assert "evil.example" not in response.headers.get("Content-Security-Policy", "")


def test_a_disabled_application_gets_a_page(app, session):
    app.enabled = False
    app.save()
    assert refused_with_page(authorize(session, app))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_doubled_client_or_redirect_uri_gets_a_page(app, session, name):
    params = request_params(app)
    params[name] = [params[name], params[name]]
    assert refused_with_page(browser(session).get("/authorize", params))


def test_a_doubled_state_is_an_error_without_state(app, session):
    answer = answer_of(browser(session).get("/authorize", request_params(app, state=["a", "b"])))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token", "nonce": "n"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "carrier_pigeon"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://x.example/r"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "sing"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e9"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"audience": "https://unknown.example/"}, "invalid_target"),
        ({"id_token_hint": "nonsense"}, "invalid_request"),
        ({"nonce": "n" * 256}, "invalid_request"),
    ],
)
@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.6", "Errors go to the redirect URI")
def test_every_other_mistake_goes_to_the_redirect_uri(app, session, changes, error):
    response = authorize(session, app, **changes)
    answer = answer_of(response)
    assert answer["error"] == error
    assert answer["state"] == "the-state"
    assert answer["iss"] == issuer()
    assert not AuthorizationCode.objects.exists()


def test_a_public_client_must_send_pkce_and_a_confidential_one_may(app, spa, session):
    without = {"code_challenge": None, "code_challenge_method": None}
    assert answer_of(authorize(session, spa, **without))["error"] == "invalid_request"
    assert "code" in answer_of(authorize(session, app, **without))
    app.require_pkce = True
    app.save()
    assert answer_of(authorize(session, app, **without))["error"] == "invalid_request"


def test_an_implicit_request_is_refused_in_the_fragment(app, session):
    response = authorize(session, app, response_type="id_token token")
    assert urlsplit(response.headers["Location"]).fragment.startswith("error=unsupported_response_type")


def test_unknown_parameters_are_ignored(app, session):
    answer = answer_of(
        authorize(session, app, auth0Client="abc", organization="x", ui_locales="de", display="popup", acr_values="1 2")
    )
    assert "code" in answer


def test_fragment_mode(app, session):
    response = authorize(session, app, response_mode="fragment")
    assert urlsplit(response.headers["Location"]).query == ""
    assert "code" in answer_of(response)


def test_form_post_escapes_and_allows_only_the_applications_origin(app, session):
    response = authorize(session, app, response_mode="form_post", state='"><script>alert(1)</script>')
    assert response.status_code == 200
    page = response.content.decode()
    assert "<script>alert" not in page
    assert f'action="{app.callbacks[0]}"' in page
    policy = response.headers["Content-Security-Policy"]
    assert "form-action 'self' https://jwt-debugger.example" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Frame-Options"] == "DENY"


def test_web_message_is_framable_by_the_applications_web_origins_only(spa, session):
    response = authorize(session, spa, response_mode="web_message", prompt="none")
    assert response.status_code == 200
    page = response.content.decode()
    assert 'data-target="https://spa.example"' in page
    assert 'data-name="code"' in page
    assert "X-Frame-Options" not in response.headers
    assert "frame-ancestors 'self' https://spa.example" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"


def test_a_silent_error_is_a_message_too(spa):
    response = authorize(None, spa, response_mode="web_message", prompt="none")
    assert response.status_code == 200
    assert b'data-value="login_required"' in response.content
    assert b'data-value="Login required"' in response.content
    assert b'data-value="the-state"' in response.content


def test_web_message_needs_a_registered_web_origin(app, session):
    assert refused_with_page(authorize(session, app, response_mode="web_message", prompt="none"))


def test_silent_redirects_are_framable(app, session):
    response = authorize(session, app, prompt="none")
    assert "code" in answer_of(response)
    assert "X-Frame-Options" not in response.headers


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.2.6", "prompt=none without a session is login_required")
def test_prompt_none_without_a_session(app):
    answer = answer_of(authorize(None, app, prompt="none"))
    assert (answer["error"], answer["error_description"]) == ("login_required", "Login required")


def test_an_id_token_hint_must_be_about_the_signed_in_person(app, session):
    hint = tokens_for(session, app)["id_token"]
    assert "code" in answer_of(authorize(session, app, prompt="none", id_token_hint=hint))
    eve = make_session(make_user("eve@fabrikamcorp.com"))
    assert answer_of(authorize(eve, app, prompt="none", id_token_hint=hint))["error"] == "login_required"
    assert next_of(authorize(eve, app, id_token_hint=hint))


def test_a_claims_request_for_another_sub_is_not_answered(app, session):
    claims = json.dumps({"id_token": {"sub": {"value": "auth0|somebody"}}})
    assert answer_of(authorize(session, app, prompt="none", claims=claims))["error"] == "login_required"


def test_a_native_application_may_listen_on_any_loopback_port(session):
    cli = make_application(
        "CLI", app_type="native", token_endpoint_auth_method="none", redirect_uris="http://127.0.0.1/callback"
    )
    assert "code" in answer_of(authorize(session, cli, redirect_uri="http://127.0.0.1:51004/callback"))
    assert refused_with_page(authorize(session, cli, redirect_uri="http://127.0.0.1.evil.example:51004/callback"))
    assert refused_with_page(authorize(session, cli, redirect_uri="http://127.0.0.1:51004/other"))


def test_a_connection_that_is_not_enabled_for_the_application_does_not_sign_in(app, session):
    session.connection.enabled_for_all = False
    session.connection.save()
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "login_required"
    session.connection.enabled_clients.add(app)
    assert "code" in answer_of(authorize(session, app, prompt="none"))


def test_head_and_other_methods(app, session):
    assert browser(session).put("/authorize").status_code == 405
