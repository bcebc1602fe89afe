"""What is dead after a revocation: everything of the person, on every path; and nothing of anybody else."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from allauth.mfa.totp.internal import auth as totp_auth
from django.test import Client
from django.utils import timezone

from idp.models import User
from logout_app.models import Channel, LogoutDelivery
from sessions_app.models import RefreshTokenFamily, SessionEvent, SSOSession
from tests.protocol.gtr.support import DRAFT, lives, make_federated_user
from tests.support.factories import browser, make_application, make_connection, make_session
from tests.support.oauth import (
    answer_of,
    authorize,
    code_for,
    credentials,
    exchange,
    post_form,
    refresh,
    token,
    tokens_for,
    userinfo,
)

pytestmark = pytest.mark.django_db
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def app():
    return make_application(backchannel_logout_uri="https://app.example/bc")


@pytest.fixture
def ben(connection):
    return make_session(make_federated_user(connection, "00uben", "ben@acme.example"))


@pytest.mark.spec(DRAFT, "Revocation Expectations", "sessions, refresh tokens, codes and access tokens are dead")
def test_nothing_of_the_person_lives_and_all_of_the_others_does(okta, ann, app, ben):
    browsers = [make_session(ann), make_session(ann)]
    bound = tokens_for(browsers[0], app)
    offline = tokens_for(browsers[1], app, scope="openid offline_access")
    code = code_for(browsers[0], app)
    bens = tokens_for(ben, app, scope="openid offline_access")
    assert okta.revoke("00uann").status_code == 204
    assert not any(lives(session) for session in browsers)
    for tokens in (bound, offline):
        assert refresh(app, tokens["refresh_token"]).json()["error"] == "invalid_grant"
        assert userinfo(tokens["access_token"]).status_code == 401
    assert exchange(app, code).json()["error"] == "invalid_grant"
    for session in browsers:
        answer = answer_of(authorize(session, app, prompt="none"))
        assert answer["error"] == "login_required"
    assert refresh(app, bens["refresh_token"]).status_code == 200
    assert userinfo(bens["access_token"]).status_code == 200
    assert lives(ben)


def test_the_applications_of_every_session_hear_of_it_by_the_back_channel(okta, ann, app):
    sessions = [make_session(ann, app), make_session(ann, app)]
    assert okta.revoke("00uann").status_code == 204
    rows = LogoutDelivery.objects.filter(channel=Channel.BACKCHANNEL)
    assert {row.sid for row in rows} == {session.sid for session in sessions}
    assert {row.event.initiator for row in rows} == {"idp-logout"}


def test_offline_tokens_of_a_session_that_ended_long_ago_die_too(okta, ann, app):
    session = make_session(ann)
    offline = tokens_for(session, app, scope="openid offline_access")
    browser(session).get("/v2/logout")
    assert not lives(session)
    assert okta.revoke("00uann").status_code == 204
    assert refresh(app, offline["refresh_token"]).json()["error"] == "invalid_grant"


def test_access_tokens_of_an_application_whose_tokens_outlive_sessions_die_too(okta, ann, app):
    app.access_tokens_die_with_session = False
    app.save()
    tokens = tokens_for(make_session(ann), app)
    assert userinfo(tokens["access_token"]).status_code == 200
    assert okta.revoke("00uann").status_code == 204
    assert userinfo(tokens["access_token"]).status_code == 401


def test_a_device_that_was_approved_and_did_not_ask_yet_gets_nothing(okta, ann):
    cli = make_application(
        "CLI", app_type="native", token_endpoint_auth_method="none", grant_types=[DEVICE, "refresh_token"]
    )
    started = post_form("/oauth/device/code", {**credentials(cli), "scope": "openid"}).json()
    session = make_session(ann)
    browser(session).post("/activate", {"user_code": started["user_code"], "answer": "allow"})
    assert okta.revoke("00uann").status_code == 204
    assert token(cli, grant_type=DEVICE, device_code=started["device_code"]).status_code == 400


def test_a_session_that_began_after_the_request_came_lives(okta, ann):
    """Late or replayed, it is when the request came in that counts, not when it was signed."""
    before = make_session(ann)
    assert okta.revoke("00uann").status_code == 204
    after = make_session(ann, auth_time=timezone.now())
    assert not lives(before)
    assert lives(after)
    assert authorize(after, make_application("Other"), prompt="none").headers["Location"].startswith("https://other.")


def test_a_session_that_began_between_signing_and_arrival_of_the_request_ends(okta, ann):
    late = okta.token()
    session = make_session(ann, auth_time=timezone.now())
    assert okta.post(okta.subject_of("00uann"), late).status_code == 204
    assert not lives(session)


def test_a_sign_in_that_was_proved_before_and_opens_its_session_after_is_dead(okta, ann, app):
    """A second factor was waited for, or two requests met: what was proved before the mark opens nothing that lives."""
    proved_at = timezone.now()
    assert okta.revoke("00uann").status_code == 204
    session = make_session(ann, auth_time=proved_at)
    assert answer_of(authorize(session, app, prompt="none"))["error"] == "login_required"
    assert SSOSession.objects.live(timezone.now()).count() == 0


def test_a_blocked_person_is_signed_out_as_well(okta, ann):
    session = make_session(ann)
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert okta.revoke("00uann").status_code == 204
    assert not lives(session)


@pytest.fixture
def linked(ann):
    """Ann also comes in through another identity provider, which says nothing about her today."""
    contoso = make_connection("contoso", "okta", options={"client_id": "x", "issuer": "https://contoso.example"})
    identity = ann.identities.create(connection=contoso, sub="ann-at-contoso", email="ann@acme.example")
    return make_session(ann, identity=identity, connection=contoso)


def test_who_also_comes_in_elsewhere_loses_only_what_began_here(okta, ann, app, linked):
    here = make_session(ann, app)
    mine = tokens_for(here, app, scope="openid offline_access")
    others = tokens_for(linked, app, scope="openid offline_access")
    assert okta.post({"sub_id": {"format": "email", "email": "ann@acme.example"}}).status_code == 204
    assert not lives(here)
    assert lives(linked)
    assert refresh(app, mine["refresh_token"]).json()["error"] == "invalid_grant"
    assert userinfo(mine["access_token"]).status_code == 401
    assert refresh(app, others["refresh_token"]).status_code == 200
    audit = SessionEvent.objects.get(type="universal_logout_succeeded")
    assert audit.data["accounts"] == ["acme-okta|00uann", "contoso|ann-at-contoso"]


def test_offline_tokens_from_here_die_although_their_session_ended_before(okta, ann, app, linked):
    here = make_session(ann)
    mine = tokens_for(here, app, scope="openid offline_access")
    browser(here).get("/v2/logout")
    assert okta.revoke("00uann").status_code == 204
    assert refresh(app, mine["refresh_token"]).json()["error"] == "invalid_grant"
    assert RefreshTokenFamily.objects.filter(revoked_at=None).count() == 0


def test_more_than_a_minute_of_clock_difference_is_too_much(okta, ann):
    soon = int((timezone.now() + timedelta(minutes=3)).timestamp())
    assert okta.revoke("00uann", iat=soon, exp=soon + 60).status_code == 401


def depart(client, **query):
    """Begin a sign-in at Okta; what travels there."""
    response = client.get("/login/upstream/acme-okta", query)
    assert response.status_code == 303, response.content
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


def come_back(client, provider, travelled, **claims):
    provider.nonce = travelled["nonce"]
    provider.claims = {"sub": "00uann", "email": "ann@acme.example", **claims}
    return client.get("/login/callback", {"code": "c", "state": travelled["state"]})


@pytest.mark.spec(DRAFT, "Revocation Expectations", "The person must authenticate again, not only upstream's session")
def test_a_sign_in_upstream_that_was_proved_before_is_sent_back_to_prove_it_anew(okta, ann, provider):
    """On its way while the revocation comes, or silent afterwards."""
    client = Client()
    travelled = depart(client)
    old = int(timezone.now().timestamp()) - 60
    assert okta.revoke("00uann").status_code == 204
    response = come_back(client, provider, travelled, auth_time=old)
    again = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
    assert again["prompt"] == "login"
    assert SSOSession.objects.live(timezone.now()).count() == 0
    response = come_back(client, provider, again, auth_time=old)  # it did not ask
    assert SSOSession.objects.live(timezone.now()).count() == 0
    again = depart(client)
    come_back(client, provider, again, auth_time=int(timezone.now().timestamp()) + 1)
    assert SSOSession.objects.live(timezone.now()).count() == 1


def forced(client, provider):
    """A departure after a revocation that asks for a new proof, as the first answer from before it causes."""
    response = come_back(client, provider, depart(client), auth_time=int(timezone.now().timestamp()) - 600)
    again = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
    assert again["prompt"] == "login"
    return again


@pytest.mark.parametrize("behind", [0, 1, 45])
def test_a_proof_that_was_forced_after_the_revocation_counts_in_its_second_and_by_a_clock_that_is_behind(
    okta, ann, provider, behind
):
    """`auth_time` has whole seconds of the upstream's clock, the mark has microseconds of ours."""
    client = Client()
    with time_machine.travel(timezone.now().replace(microsecond=400_000), tick=False) as clock:
        assert okta.revoke("00uann").status_code == 204
        clock.shift(0.1)
        again = forced(client, provider)
        clock.shift(0.2)
        come_back(client, provider, again, auth_time=int(timezone.now().timestamp()) - behind)
        assert SSOSession.objects.live(timezone.now()).count() == 1


def test_a_forced_proof_that_is_older_than_the_leeway_before_its_departure_opens_nothing(okta, ann, provider):
    client = Client()
    assert okta.revoke("00uann").status_code == 204
    again = forced(client, provider)
    come_back(client, provider, again, auth_time=int(timezone.now().timestamp()) - 62)
    assert not SSOSession.objects.exists()


def test_a_proof_that_was_forced_before_the_revocation_is_measured_against_the_revocation(okta, ann, provider):
    client = Client()
    with time_machine.travel(timezone.now().replace(microsecond=400_000), tick=False) as clock:
        travelled = depart(client, fresh="1")
        clock.shift(5)
        assert okta.revoke("00uann").status_code == 204
        response = come_back(client, provider, travelled, auth_time=int(timezone.now().timestamp()))
        assert dict(parse_qsl(urlsplit(response.headers["Location"]).query))["prompt"] == "login"
        assert not SSOSession.objects.exists()


@pytest.mark.usefixtures("one_half_minute")
def test_a_second_factor_that_is_given_after_the_revocation_opens_nothing_that_lives(okta, ann, provider):
    """A sign-in that waits for its second factor is a pending one."""
    secret = totp_auth.generate_totp_secret()
    totp_auth.TOTP.activate(ann, secret)
    client = Client()
    response = come_back(client, provider, depart(client), auth_time=int(timezone.now().timestamp()))
    assert SSOSession.objects.count() == 0
    assert okta.revoke("00uann").status_code == 204
    code = totp_auth.format_hotp_value(totp_auth.hotp_value(secret, next(totp_auth.yield_hotp_counters_from_time())))
    client.post(response.headers["Location"], {"code": code})
    assert SSOSession.objects.live(timezone.now()).count() == 0


def test_a_sign_in_from_here_that_was_on_its_way_opens_nothing_for_a_linked_person_either(okta, ann, provider, linked):
    """The mark is on the account, the person's other sessions live."""
    client = Client()
    travelled = depart(client)
    old = int(timezone.now().timestamp()) - 60
    assert okta.revoke("00uann").status_code == 204
    response = come_back(client, provider, travelled, auth_time=old)
    assert dict(parse_qsl(urlsplit(response.headers["Location"]).query))["prompt"] == "login"
    assert [session.pk for session in SSOSession.objects.live(timezone.now())] == [linked.pk]


@pytest.mark.usefixtures("one_half_minute")
def test_a_second_factor_that_comes_after_the_revocation_opens_nothing_for_a_linked_person(okta, ann, provider, linked):
    secret = totp_auth.generate_totp_secret()
    totp_auth.TOTP.activate(ann, secret)
    client = Client()
    response = come_back(client, provider, depart(client), auth_time=int(timezone.now().timestamp()))
    assert okta.revoke("00uann").status_code == 204
    code = totp_auth.format_hotp_value(totp_auth.hotp_value(secret, next(totp_auth.yield_hotp_counters_from_time())))
    assert client.post(response.headers["Location"], {"code": code}).status_code == 403
    assert [session.pk for session in SSOSession.objects.live(timezone.now())] == [linked.pk]
