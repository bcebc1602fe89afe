"""Pushed authorization requests (RFC 9126)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.models import Application
from idp.tenants import configuration
from sessions_app.models import PushedRequest, SSOSession
from sessions_app.session.purge import batches
from tests.support.dpop import Prover
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    exchange,
    issuer,
    next_of,
    post_form,
    request_params,
)

pytestmark = pytest.mark.django_db
RFC = "RFC 9126"


def push(app: Application, headers: dict[str, str] | None = None, **changes: Any) -> HttpResponse:
    wanted = request_params(app, **changes) | credentials(app)
    return post_form("/oauth/par", wanted, headers=headers or {})


def pushed(app: Application, **changes: Any) -> str:
    answer = push(app, **changes)
    assert answer.status_code == 201, answer.content
    return answer.json()["request_uri"]


def bring(client: Client, app: Application, request_uri: str, **more: str) -> HttpResponse:
    return client.get("/authorize", {"client_id": app.client_id, "request_uri": request_uri, **more})


@pytest.mark.spec(RFC, "2.2", "A pushed request is answered 201 with a request_uri and its lifetime")
def test_a_pushed_request_gets_a_name_that_works_within_a_minute(app: Application, session: SSOSession) -> None:
    answer = push(app)
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["expires_in"] == 60
    assert body["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    given = answer_of(bring(browser(session), app, body["request_uri"]))
    assert given["state"] == "the-state"
    assert exchange(app, given["code"]).status_code == 200


@pytest.mark.spec(RFC, "2.2", "A request_uri is used once")
def test_a_name_is_answered_once(app: Application, session: SSOSession) -> None:
    client, uri = browser(session), pushed(app)
    assert "code" in answer_of(bring(client, app, uri))
    again = bring(client, app, uri)
    assert again.status_code == 400
    assert b"invalid_request_uri" in again.content


def test_an_error_is_an_answer_too(app: Application) -> None:
    uri = pushed(app, prompt="none")
    assert answer_of(bring(browser(), app, uri))["error"] == "login_required"
    assert bring(browser(), app, uri).status_code == 400


@pytest.mark.spec(RFC, "4", "Parameters beside request_uri do not count")
def test_what_stands_beside_the_name_does_not_count(app: Application, session: SSOSession) -> None:
    more = {"redirect_uri": "https://evil.example/", "state": "evil", "scope": "openid", "code_challenge": "x"}
    response = bring(browser(session), app, pushed(app), **more)
    assert response.headers["Location"].startswith(app.callbacks[0])
    assert answer_of(response)["state"] == "the-state"


@pytest.mark.spec(RFC, "2.2", "A request_uri is bound to the client that pushed it")
def test_another_application_cannot_bring_it(app: Application, session: SSOSession) -> None:
    other, uri = make_application("Other"), pushed(app)
    assert bring(browser(session), other, uri).status_code == 400
    assert browser(session).get("/authorize", {"request_uri": uri}).status_code == 400
    assert "code" in answer_of(bring(browser(session), app, uri))


@pytest.mark.spec(RFC, "2.2", "An expired request_uri is refused")
def test_an_expired_name_is_a_page_and_no_redirect(app: Application, session: SSOSession) -> None:
    uri = pushed(app)
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True):
        assert bring(browser(session), app, uri).status_code == 400
    for made_up in ("urn:ietf:params:oauth:request_uri:x", f"{uri}x"):
        assert bring(browser(session), app, made_up).status_code == 400


def signed_in_behind(client: Client, login: HttpResponse) -> HttpResponse:
    page = login.headers["Location"]
    body = {"username": "mary@fabrikamcorp.com", "password": PASSWORD, "next": next_of(login)}
    response = client.post(page, body)
    while response.status_code in (302, 303) and response.headers["Location"].startswith("/"):
        response = client.get(response.headers["Location"])
    return response


def test_a_sign_in_may_take_longer_than_the_name_and_nothing_of_the_request_travels(app: Application) -> None:
    make_user()
    client, uri = browser(), pushed(app, login_hint="mary@fabrikamcorp.com", nonce="n-1")
    login = bring(client, app, uri)
    assert "mary" not in login.headers["Location"]
    assert "n-1" not in login.headers["Location"]
    assert "redirect_uri" not in login.headers["Location"]
    with time_machine.travel(timezone.now() + timedelta(minutes=20), tick=True):
        page = client.get(login.headers["Location"])
        assert 'value="mary@fabrikamcorp.com"' in page.content.decode()
        assert app.name in page.content.decode()
        answer = answer_of(signed_in_behind(client, login))
        assert exchange(app, answer["code"]).status_code == 200
    assert PushedRequest.objects.get().used_at is not None


def test_the_name_may_come_again_before_the_sign_in_but_not_from_another_browser(app: Application) -> None:
    make_user()
    mine, uri = browser(), pushed(app)
    bring(mine, app, uri)
    login = bring(mine, app, uri)
    assert bring(browser(make_session(make_user("paul@fabrikamcorp.com"))), app, uri).status_code == 400
    assert "code" in answer_of(signed_in_behind(mine, login))


def test_prompt_login_is_proved_once_and_does_not_loop(app: Application) -> None:
    session = make_session(make_user(), auth_time=timezone.now() - timedelta(minutes=10))
    client, uri = browser(session), pushed(app, prompt="login")
    back = next_of(bring(client, app, uri))
    SSOSession.objects.update(auth_time=timezone.now())
    assert "code" in answer_of(client.get(back))


@pytest.mark.parametrize("answer", ["allow", "deny"])
def test_consent_is_asked_for_and_answers_it_once(answer: str) -> None:
    app = make_application("Third", is_first_party=False)
    client = browser(make_session(make_user()))
    page = bring(client, app, pushed(app))
    assert page.status_code == 200
    sent = {"request": page.context["carried"], "answer": answer}
    given = answer_of(client.post("/authorize/consent", sent))
    assert ("code" in given) is (answer == "allow")
    assert given.get("error") == (None if answer == "allow" else "access_denied")
    assert client.post("/authorize/consent", sent).status_code == 400


@pytest.mark.spec(RFC, "2.3", "The endpoint refuses what /authorize would refuse, and who cannot prove who it is")
@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong-secret-of-enough-length-0123456789"}, 401, "invalid_client"),
        ({"redirect_uri": "https://evil.example/"}, 400, "invalid_request"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, 400, "invalid_request"),
        ({"prompt": "never"}, 400, "invalid_request"),
        ({"audience": "https://unknown.example/"}, 400, "invalid_target"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, 400, "invalid_request"),
        ({"request_uri": "https://app.example/request"}, 400, "invalid_request"),
        ({"request": "a.b.c"}, 400, "request_not_supported"),
        ({"claims": "{"}, 400, "invalid_request"),
        ({"dpop_jkt": "x"}, 400, "invalid_request"),
    ],
    ids=str,
)
def test_a_request_that_cannot_be_is_refused_at_once(
    app: Application, changes: dict[str, Any], status: int, error: str
) -> None:
    wanted = {**request_params(app), **credentials(app), **changes}
    answer = post_form("/oauth/par", {name: value for name, value in wanted.items() if value is not None})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert not PushedRequest.objects.exists()


def test_it_takes_post_only_and_what_is_pushed_holds_no_credentials(app: Application) -> None:
    assert Client().get("/oauth/par").status_code == 405
    pushed(app)
    kept = json.dumps(PushedRequest.objects.get().pairs)
    assert app.raw_secret not in kept  # type: ignore[attr-defined]


@pytest.mark.spec(RFC, "5", "An application or the tenant may require pushed requests")
@pytest.mark.parametrize("by", ["application", "tenant"])
def test_where_it_is_required_a_plain_request_is_refused_to_the_application(
    app: Application, session: SSOSession, by: str
) -> None:
    row = app if by == "application" else configuration.load_tenant()
    row.require_pushed_authorization_requests = True
    row.save()
    answer = answer_of(authorize(session, app))
    assert answer["error"] == "invalid_request"
    assert "oauth/par" in answer["error_description"]
    assert "code" in answer_of(bring(browser(session), app, pushed(app)))
    said = Client().get("/.well-known/openid-configuration").json()
    assert said["require_pushed_authorization_requests"] is (by == "tenant")
    assert said["pushed_authorization_request_endpoint"] == f"{issuer()}oauth/par"


@pytest.mark.spec("RFC 9449", "10.1", "A DPoP proof at the endpoint binds the code to its key")
def test_a_proof_at_the_endpoint_binds_the_code(app: Application, session: SSOSession) -> None:
    prover, other = Prover(), Prover()
    url = f"{issuer()}oauth/par"
    answer = push(app, {"DPoP": prover.proof("POST", url)})
    prover.nonce = other.nonce = answer.headers["DPoP-Nonce"]
    code = answer_of(bring(browser(session), app, answer.json()["request_uri"]))["code"]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.callbacks[0]}
    body |= credentials(app) | {"code_verifier": "a-verifier-of-more-than-forty-three-characters-0123456789"}
    proof = other.proof("POST", f"{issuer()}oauth/token")
    assert post_form("/oauth/token", body, headers={"DPoP": proof}).json()["error"] == "invalid_grant"
    mismatch = push(app, {"DPoP": prover.proof("POST", url)}, dpop_jkt=other.jkt)
    assert mismatch.json()["error"] == "invalid_request"


def test_a_public_client_cannot_fill_the_table_from_one_network() -> None:
    app = make_application("Page", token_endpoint_auth_method="none", client_secret="")
    from sessions_app.oauth import pushed as act

    limit = act.PUSHES.count
    answers = [push(app).status_code for _ in range(limit + 1)]
    assert answers == [201] * limit + [429]


def test_requests_that_nobody_can_open_any_more_are_purged(app: Application) -> None:
    pushed(app)
    later = timezone.now() + timedelta(days=1, minutes=2)
    for _, act in batches(later, 90):
        act()
    assert not PushedRequest.objects.exists()


def test_applications_that_do_not_push_pay_nothing(app: Application, session: SSOSession) -> None:
    code_for(session, app)
    with CaptureQueriesContext(connection) as statements:
        code_for(session, app)
    assert not [entry for entry in statements if "pushed" in entry["sql"]]
