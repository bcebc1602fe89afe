"""Tokens that are bound to a key: from the authorization request to their use and their refresh (RFC 9449)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.models import Application, ClientGrant, ResourceServer, SpentToken
from sessions_app.models import AccessToken, RefreshTokenFamily, SSOSession
from sessions_app.oauth import dpop
from tests.support.dpop import Prover
from tests.support.factories import make_application
from tests.support.oauth import VERIFIER, code_for, credentials, decode, issuer, post_form, tokens_for, userinfo

pytestmark = pytest.mark.django_db
RFC = "RFC 9449"


@pytest.fixture
def prover() -> Prover:
    made = Prover()
    made.nonce = dpop.nonce(timezone.now())
    return made


@pytest.fixture
def spa() -> Application:
    return make_application(
        "Page", app_type="spa", token_endpoint_auth_method="none", session_refresh_tokens=True, client_secret=""
    )


def token_url() -> str:
    return f"{issuer()}oauth/token"


def ask(app: Application, proof: str | None, **body: Any) -> HttpResponse:
    headers = {"DPoP": proof} if proof else {}
    return post_form("/oauth/token", {**credentials(app), **body}, headers=headers)


def exchange(app: Application, code: str, proof: str | None) -> HttpResponse:
    body = {"code": code, "redirect_uri": app.callbacks[0], "code_verifier": VERIFIER}
    return ask(app, proof, grant_type="authorization_code", **body)


def bound(app: Application, session: SSOSession, prover: Prover, **request: Any) -> dict[str, Any]:
    answer = exchange(app, code_for(session, app, **request), prover.proof("POST", token_url()))
    assert answer.status_code == 200, answer.content
    return answer.json()


def ask_userinfo(raw: str, proof: str | None, scheme: str = "DPoP") -> HttpResponse:
    headers = {"Authorization": f"{scheme} {raw}"} | ({"DPoP": proof} if proof else {})
    return Client().get("/userinfo", headers=headers)


def ath_proof(prover: Prover, raw: str, **changes: Any) -> str:
    return prover.proof("GET", f"{issuer()}userinfo", access_token=raw, **changes)


@pytest.mark.spec(RFC, "5", "A token request with a proof gives tokens of the type DPoP")
def test_a_proof_binds_the_access_token_to_its_key(app: Application, session: SSOSession, prover: Prover) -> None:
    body = bound(app, session, prover)
    assert body["token_type"] == "DPoP"
    assert AccessToken.rows.get().dpop_jkt == prover.jkt
    assert ask_userinfo(body["access_token"], ath_proof(prover, body["access_token"])).status_code == 200


@pytest.mark.spec(RFC, "7.1", "A bound token is refused without its proof, and by the scheme Bearer")
def test_a_bound_token_is_worth_nothing_to_whoever_only_bears_it(
    app: Application, session: SSOSession, prover: Prover
) -> None:
    raw = bound(app, session, prover)["access_token"]
    stranger = Prover()
    for answer, error in (
        (ask_userinfo(raw, None, "Bearer"), "invalid_token"),
        (ask_userinfo(raw, ath_proof(prover, raw), "Bearer"), "invalid_token"),
        (ask_userinfo(raw, None), "invalid_dpop_proof"),
        (ask_userinfo(raw, ath_proof(stranger, raw)), "invalid_token"),
        (ask_userinfo(raw, prover.proof("GET", f"{issuer()}userinfo")), "invalid_dpop_proof"),
        (ask_userinfo(raw, ath_proof(prover, "another")), "invalid_dpop_proof"),
        (ask_userinfo(raw, prover.proof("GET", token_url(), access_token=raw)), "invalid_dpop_proof"),
        (ask_userinfo(raw, prover.proof("POST", f"{issuer()}userinfo", access_token=raw)), "invalid_dpop_proof"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, error), answer.content
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith("DPoP ")
        assert f'error="{error}"' in challenge
        assert 'algs="PS256 ES256 EdDSA"' in challenge


def test_a_token_in_a_form_is_one_that_somebody_bears(app: Application, session: SSOSession, prover: Prover) -> None:
    raw = bound(app, session, prover)["access_token"]
    assert post_form("/userinfo", {"access_token": raw}).status_code == 401


def test_the_scheme_dpop_needs_a_bound_token(app: Application, session: SSOSession, prover: Prover) -> None:
    raw = tokens_for(session, app)["access_token"]
    assert ask_userinfo(raw, ath_proof(prover, raw)).status_code == 401
    assert userinfo(raw).status_code == 200


@pytest.mark.spec(RFC, "11.1", "A proof is good for one request")
def test_a_proof_that_comes_again_is_refused(app: Application, session: SSOSession, prover: Prover) -> None:
    proof = prover.proof("POST", token_url())
    assert exchange(app, code_for(session, app), proof).status_code == 200
    again = exchange(app, code_for(session, app), proof)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof")
    raw = bound(app, session, prover)["access_token"]
    proof = ath_proof(prover, raw)
    assert [ask_userinfo(raw, proof).status_code for _ in range(2)] == [200, 401]


def test_the_same_jti_of_another_key_is_another_proof(app: Application, session: SSOSession, prover: Prover) -> None:
    other = Prover()
    other.nonce = prover.nonce
    for one in (prover, other):
        assert exchange(app, code_for(session, app), one.proof("POST", token_url(), jti="1")).status_code == 200


@pytest.mark.spec(RFC, "8", "The server gives a nonce, and asks for it with use_dpop_nonce")
def test_a_token_request_needs_a_nonce_of_ours_which_the_refusal_gives(app: Application, session: SSOSession) -> None:
    prover, code = Prover(), code_for(session, app)
    refused = exchange(app, code, prover.proof("POST", token_url()))
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    prover.nonce = refused.headers["DPoP-Nonce"]
    answer = exchange(app, code, prover.proof("POST", token_url()))
    assert answer.status_code == 200, "the refusal must not use the code up"
    assert answer.headers["DPoP-Nonce"]


def test_a_nonce_that_is_old_or_made_up_is_replaced_at_every_endpoint(
    app: Application, session: SSOSession, prover: Prover
) -> None:
    raw, now = bound(app, session, prover)["access_token"], timezone.now()
    for nonce in ("made-up", dpop.nonce(now - timedelta(minutes=16)), dpop.nonce(now + timedelta(hours=1))):
        prover.nonce = nonce
        for answer in (
            exchange(app, "x", prover.proof("POST", token_url())),
            ask_userinfo(raw, ath_proof(prover, raw)),
            post_form("/oauth/par", credentials(app), headers={"DPoP": prover.proof("POST", f"{issuer()}oauth/par")}),
        ):
            assert answer.json()["error"] == "use_dpop_nonce"
            assert answer.headers["DPoP-Nonce"] == dpop.nonce(timezone.now())


def test_a_nonce_lives_until_the_end_of_the_next_five_minutes(app: Application, session: SSOSession) -> None:
    prover = Prover()
    with time_machine.travel(timezone.now().replace(minute=1, second=0), tick=False) as clock:
        prover.nonce = dpop.nonce(timezone.now())
        clock.shift(timedelta(minutes=8, seconds=50))
        assert exchange(app, "x", prover.proof("POST", token_url())).json()["error"] == "invalid_grant"
        clock.shift(timedelta(seconds=11))
        assert exchange(app, "x", prover.proof("POST", token_url())).json()["error"] == "use_dpop_nonce"


@pytest.mark.spec(RFC, "10", "dpop_jkt binds the code to the key")
def test_a_code_that_names_a_key_works_with_that_key_only(
    app: Application, session: SSOSession, prover: Prover
) -> None:
    other = Prover()
    other.nonce = prover.nonce
    refused = exchange(app, code_for(session, app, dpop_jkt=prover.jkt), other.proof("POST", token_url()))
    assert refused.json()["error"] == "invalid_grant"
    refused = exchange(app, code_for(session, app, dpop_jkt=prover.jkt), None)
    assert refused.json()["error"] == "invalid_dpop_proof"
    assert bound(app, session, prover, dpop_jkt=prover.jkt)


def test_a_thumbprint_that_is_none_is_refused(app: Application, session: SSOSession) -> None:
    from tests.support.oauth import answer_of, authorize

    assert answer_of(authorize(session, app, dpop_jkt="short"))["error"] == "invalid_request"


@pytest.mark.spec(RFC, "5", "Refresh tokens of public clients are bound to the key")
def test_a_public_clients_refresh_token_needs_the_same_key(
    spa: Application, session: SSOSession, prover: Prover
) -> None:
    body, thief = bound(spa, session, prover), Prover()
    thief.nonce = prover.nonce
    mine = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert ask(spa, None, **mine).json()["error"] == "invalid_dpop_proof"
    assert ask(spa, thief.proof("POST", token_url()), **mine).json()["error"] == "invalid_grant"
    answer = ask(spa, prover.proof("POST", token_url()), **mine)
    assert answer.json()["token_type"] == "DPoP"
    assert RefreshTokenFamily.objects.get().revoked_at is None


def test_a_confidential_clients_refresh_token_is_bound_to_the_client(
    app: Application, session: SSOSession, prover: Prover
) -> None:
    body, other = bound(app, session, prover), Prover()
    other.nonce = prover.nonce
    mine = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert ask(app, other.proof("POST", token_url()), **mine).json()["token_type"] == "DPoP"


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "client_credentials"])
def test_an_application_that_must_prove_gets_nothing_without(
    app: Application, session: SSOSession, prover: Prover, grant: str
) -> None:
    app.grant_types = ["authorization_code", "refresh_token", "client_credentials"]
    app.save()
    refresh_token = bound(app, session, prover)["refresh_token"]
    app.dpop_bound_access_tokens = True
    app.save()
    if grant == "authorization_code":
        answer = exchange(app, code_for(session, app), None)
    else:
        answer = ask(app, None, grant_type=grant, refresh_token=refresh_token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.spec(RFC, "6.2", "Introspection says the key and the type of a bound token")
def test_introspection_says_the_key(app: Application, session: SSOSession, prover: Prover) -> None:
    raw = bound(app, session, prover)["access_token"]
    said = post_form("/oauth/introspect", {**credentials(app), "token": raw}).json()
    assert said["cnf"] == {"jkt": prover.jkt}
    assert said["token_type"] == "DPoP"
    plain = post_form("/oauth/introspect", {**credentials(app), "token": tokens_for(session, app)["access_token"]})
    assert "cnf" not in plain.json()


@pytest.mark.spec(RFC, "6.1", "A JWT access token holds the key's thumbprint as cnf.jkt")
def test_a_jwt_access_token_holds_the_key_and_needs_it(app: Application, session: SSOSession, prover: Prover) -> None:
    api = "https://api.example/"
    ResourceServer.objects.create(identifier=api, token_dialect="rfc9068_profile")
    raw = bound(app, session, prover, audience=api)["access_token"]
    assert decode(raw)["cnf"] == {"jkt": prover.jkt}
    assert userinfo(raw).status_code == 401
    assert ask_userinfo(raw, ath_proof(prover, raw)).status_code == 200


@pytest.mark.parametrize("dialect", ["opaque", "access_token", "rfc9068_profile"])
def test_tokens_without_a_person_are_bound_too(app: Application, prover: Prover, dialect: str) -> None:
    app.grant_types = ["client_credentials"]
    app.save()
    api = ResourceServer.objects.create(
        identifier="https://api.example/", token_dialect=dialect, scopes=[{"value": "read"}]
    )
    ClientGrant.objects.create(application=app, resource_server=api, scope=["read"])
    body = {"grant_type": "client_credentials", "audience": api.identifier}
    answer = ask(app, prover.proof("POST", token_url()), **body).json()
    assert answer["token_type"] == "DPoP"
    if dialect == "opaque":
        assert AccessToken.rows.get().dpop_jkt == prover.jkt
    else:
        assert decode(answer["access_token"])["cnf"] == {"jkt": prover.jkt}
    assert ask(app, None, **body).json()["token_type"] == "Bearer"


def test_pages_may_read_the_nonce(spa: Application) -> None:
    spa.allowed_origins = "https://page.example"
    spa.save()
    answer = post_form(
        "/oauth/token",
        {"grant_type": "refresh_token", "refresh_token": "x", "client_id": spa.client_id},
        headers={"Origin": "https://page.example", "DPoP": Prover().proof("POST", token_url())},
    )
    assert answer.json()["error"] == "use_dpop_nonce"
    assert "DPoP-Nonce" in answer.headers["Access-Control-Expose-Headers"]


def test_a_proof_costs_one_statement_at_most_and_none_where_there_is_none(
    app: Application, session: SSOSession, prover: Prover
) -> None:
    tokens_for(session, app)  # what is made once is made
    first, second = code_for(session, app), code_for(session, app)
    with CaptureQueriesContext(connection) as without:
        assert exchange(app, first, None).status_code == 200
    with CaptureQueriesContext(connection) as with_proof:
        assert exchange(app, second, prover.proof("POST", token_url())).status_code == 200
    assert len(with_proof) - len(without) in (0, 1)  # what is prepared is not seen on every database
    assert SpentToken.objects.filter(kind="dpop").count() == 1
