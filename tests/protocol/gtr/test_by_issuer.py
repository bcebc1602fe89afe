"""The one endpoint that discovery announces: it finds the connection by the token's issuer."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client

from idp.connections.oidc import discovery
from idp.limits import limiter
from idp.models import LimiterSlot
from logout_app.gtr import by_issuer, revocation
from logout_app.models import RevocationRequest
from logout_app.protocol.gtr import Chooser, chosen
from tests.protocol.gtr.support import DRAFT, Okta, assert_refused, lives, make_federated_user
from tests.support.factories import make_connection, make_session
from tests.support.upstreams.scripted_oidc import CLIENT, rsa_key

pytestmark = pytest.mark.django_db
PATH = "/oauth/global-token-revocation"
HERE = f"{settings.ISSUER}oauth/global-token-revocation"


def revoke(okta: Okta, person: str = "00uann", **changes):
    return okta.post(okta.subject_of(person), okta.token(**{"aud": HERE} | changes), path=PATH)


@pytest.mark.spec(DRAFT, "Authorization Server Metadata", "global_token_revocation_endpoint is a URL that works")
def test_what_discovery_announces_takes_a_request_of_a_connections_issuer(okta, session):
    announced = Client().get("/.well-known/openid-configuration").json()["global_token_revocation_endpoint"]
    assert announced == HERE == by_issuer.endpoint()
    assert revoke(okta).status_code == 204
    assert not lives(session)
    assert RevocationRequest.objects.get().connection == okta.connection


def test_the_connections_own_endpoint_stays_and_neither_takes_a_token_for_the_other(okta, session):
    assert_refused(revoke(okta, aud=okta.endpoint))
    assert_refused(okta.revoke("00uann", aud=HERE))
    assert lives(session)
    assert {row.connection for row in RevocationRequest.objects.all()} == {okta.connection}
    assert okta.revoke("00uann").status_code == 204
    assert not lives(session)


@pytest.mark.parametrize("issuer", ["https://nobody.example", "", 7, None, ["http://localhost"], "https://ä.example"])
def test_an_issuer_that_nobody_has_is_refused_like_every_other(okta, session, issuer):
    unknown, known = revoke(okta, iss=issuer), revoke(okta, aud="https://elsewhere.example/")
    for answer in (unknown, known):
        assert_refused(answer)
    assert unknown.json() == okta.post({}, okta.token(), path=f"{PATH}/connection/nobody").json()
    assert lives(session)


def test_a_token_that_another_key_signed_is_refused_and_kept_for_the_connection_that_it_names(okta, session):
    forged = okta.token(aud=HERE, key=rsa_key("attacker"))
    assert_refused(okta.post(okta.subject_of("00uann"), forged, path=PATH))
    assert lives(session)
    assert RevocationRequest.objects.get().status == 401


def test_of_several_connections_of_one_issuer_it_is_the_one_that_is_called_as_the_token_says(okta, session, provider):
    options = {"discovery_url": provider.discovery_url, "client_id": "another"}
    other = make_connection("acme-two", "okta", options=options)
    there = make_session(make_federated_user(other, "00ubob", "bob@acme.example"))
    assert revoke(okta, "00ubob", sub="another").status_code == 204
    assert not lives(there)
    assert lives(session)
    assert_refused(revoke(okta, sub="a-third"))


def test_connections_that_cannot_be_told_apart_have_their_own_endpoints_only(okta, session, provider):
    options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
    make_connection("acme-twin", "okta", options=options)
    assert_refused(revoke(okta))
    assert okta.revoke("00uann").status_code == 204
    assert not lives(session)


def test_a_connection_that_is_switched_off_is_as_unknown_as_one_that_does_not_exist(okta, session):
    okta.connection.enabled = False
    okta.connection.save()
    assert_refused(revoke(okta))
    assert lives(session)


def test_whoever_fails_too_often_is_told_so_at_both_and_the_issuers_own_key_never_is(okta, ann, monkeypatch):
    monkeypatch.setattr(revocation, "FAILURES", limiter.Limit("gtr", 3, 300))
    forged = okta.token(aud=HERE, iss="https://nobody.example", key=rsa_key("attacker"))
    assert [okta.post({}, forged, path=PATH).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert okta.post({}, forged).status_code == 429
    assert revoke(okta).status_code == 204


def test_invented_issuers_make_no_rows_without_end(okta, ann):
    assert revoke(okta, iss="https://nobody.example").status_code == 401
    before = LimiterSlot.objects.count()
    for number in range(20):
        revoke(okta, iss=f"https://nobody-{number}.example")
    assert LimiterSlot.objects.count() == before


def test_no_server_is_asked_to_find_out_whose_issuer_it_is(okta, ann, monkeypatch):
    def asked(*_):
        raise AssertionError("a server was asked")

    make_connection("far", "oidc", options={"discovery_url": "https://away.example/.well-known/openid-configuration"})
    monkeypatch.setattr(discovery, "provider", asked)
    assert_refused(revoke(okta, iss="https://nobody.example"))


@pytest.mark.once
@pytest.mark.parametrize(
    ("claims", "index"),
    [
        ({"iss": "a"}, 0),
        ({"iss": "a", "sub": "whatever"}, 0),
        ({"iss": "b", "sub": "two"}, 2),
        ({"iss": "b"}, None),
        ({"iss": "c"}, None),
        ({}, None),
    ],
)
def test_choosing(claims, index):
    choosers = [Chooser(("a", "a/"), "one"), Chooser(("b",), "one"), Chooser(("b",), "two")]
    assert chosen(claims, choosers) == index
