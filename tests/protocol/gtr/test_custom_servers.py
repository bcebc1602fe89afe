"""People sign in at an authorization server, and somebody else asks for revocations: Okta's organization, by its own keys."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.urls import reverse
from django.utils import timezone

from idp.connections import strategies
from idp.connections.oidc import keys
from logout_app.gtr import check
from tests.protocol.gtr.support import Okta, assert_refused, lives, make_federated_user
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.upstreams.scripted_oidc import CLIENT, WELL_KNOWN, ScriptedProvider, rsa_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    """The authorization server; the organization is the origin that it lives on, with keys of its own."""
    with ScriptedProvider("/oauth2/default") as scripted:
        origin = f"http://localhost:{scripted.port}"
        organization = {"issuer": origin, "jwks_uri": f"{origin}/oauth2/v1/keys"}
        published = {"keys": [rsa_key("organization").as_dict(private=False)]}
        scripted.bodies |= {
            WELL_KNOWN: json.dumps(organization).encode(),
            "/oauth2/v1/keys": json.dumps(published).encode(),
        }
        scripted.statuses |= {WELL_KNOWN: 200, "/oauth2/v1/keys": 200}
        yield scripted


def connect(server, strategy="okta", **options):
    given = {"discovery_url": server.discovery_url, "client_id": CLIENT, **options}
    return make_connection("acme-okta", strategy, options=given)


def organization_of(server, connection, **changes):
    return Okta(f"http://localhost:{server.port}", CLIENT, connection, rsa_key("organization"), **changes)


def sign_in(connection):
    return make_session(make_federated_user(connection, "00uann", "ann@acme.example"))


def test_the_organization_revokes_although_people_sign_in_at_its_authorization_server(server):
    connection = connect(server)
    session = sign_in(connection)
    assert organization_of(server, connection).revoke("00uann").status_code == 204
    assert not lives(session)


def test_the_authorization_server_may_revoke_as_well(server):
    connection = connect(server)
    session = sign_in(connection)
    okta = Okta(server.issuer, CLIENT, connection, server.keys[0])
    assert okta.revoke("00uann").status_code == 204
    assert not lives(session)


def test_each_issuer_is_believed_by_its_own_keys_only(server):
    connection = connect(server)
    session = sign_in(connection)
    organization = organization_of(server, connection)
    assert_refused(replace(organization, key=server.keys[0]).revoke("00uann"))
    assert_refused(replace(organization, issuer=server.issuer).revoke("00uann"))
    assert lives(session)


@pytest.mark.parametrize("issuer", ["{origin}/", "{origin}/oauth2/other", "https://evil.example", "http://localhost:1"])
def test_nobody_else_is_asked_for_keys(server, issuer):
    connection = connect(server)
    session = sign_in(connection)
    elsewhere = replace(
        organization_of(server, connection), issuer=issuer.format(origin=f"http://localhost:{server.port}")
    )
    assert_refused(elsewhere.revoke("00uann"))
    assert lives(session)
    assert server.hits[WELL_KNOWN] == 0


def test_an_organization_whose_keys_cannot_be_had_is_asked_to_come_again(server):
    connection = connect(server)
    server.statuses[WELL_KNOWN] = 500
    session = sign_in(connection)
    assert organization_of(server, connection).revoke("00uann").status_code == 503
    assert lives(session)


def test_an_address_that_calls_itself_otherwise_is_not_believed(server):
    connection = connect(server)
    server.bodies[WELL_KNOWN] = json.dumps({"issuer": "https://other.example", "jwks_uri": "x"}).encode()
    session = sign_in(connection)
    assert organization_of(server, connection).revoke("00uann").status_code == 503
    assert lives(session)


@pytest.mark.parametrize("strategy", ["oidc", "okta"])
def test_the_options_name_another_domain_and_another_name_for_us(server, strategy):
    """A custom domain whose organization calls itself by the original one; or Okta behind the strategy `oidc`."""
    origin = f"http://127.0.0.1:{server.port}"
    organization = {"issuer": origin, "jwks_uri": f"{origin}/oauth2/v1/keys"}
    server.bodies[WELL_KNOWN] = json.dumps(organization).encode()
    named = {"global_token_revocation_jwt_iss": origin, "global_token_revocation_jwt_sub": "0oa1"}
    connection = connect(server, strategy, **named)
    session = sign_in(connection)
    asking = replace(organization_of(server, connection), issuer=origin)
    assert asking.revoke("00uann").status_code == 403
    assert replace(asking, subject="0oa1").revoke("00uann").status_code == 204
    assert not lives(session)


def test_others_than_okta_are_believed_by_their_origin_only_if_the_options_say_so(server):
    connection = connect(server, "oidc")
    session = sign_in(connection)
    assert_refused(organization_of(server, connection).revoke("00uann"))
    assert lives(session)


def test_the_test_request_and_the_page_name_both(server, settings):
    settings.ISSUER_ORIGIN = "http://localhost:9"
    connection = connect(server)
    said = [(finding.level, finding.text) for finding in check.check(connection, timezone.now())[1:]]
    origin = f"http://localhost:{server.port}"
    assert [level for level, _ in said] == ["ok"] * 3
    assert f"iss {server.issuer} or {origin}," in said[0][1]
    assert f"The keys of {origin} " in said[2][1]
    server.statuses["/oauth2/v1/keys"] = 404
    keys.forget()
    assert [finding.level for finding in check.check(connection, timezone.now())[1:]] == ["ok", "ok", "warning"]
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    page = admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()
    assert f"<code data-copy>{origin}</code>" in page


@pytest.mark.parametrize(("value", "good"), [("https://acme.okta.com", True), ("acme", False), (7, False)])
def test_the_issuer_of_revocations_is_an_address(value, good):
    problems = strategies.problems(
        "okta", {"domain": "acme.okta.com", "client_id": "x", "global_token_revocation_jwt_iss": value}
    )
    assert (not problems) is good
