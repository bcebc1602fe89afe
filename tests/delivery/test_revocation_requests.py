"""Applications with a Global Token Revocation endpoint of their own are told when everything of a person ends."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys
from idp.people import accounts
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryAttempt, LogoutDelivery
from logout_app.protocol import gtr, gtr_request
from logout_app.protocol.gtr import ExpectedRequest
from sessions_app.models import RefreshTokenFamily
from tests.delivery.conftest import running
from tests.support.factories import make_application, make_session, make_user
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
DRAFT = "draft-parecki-oauth-global-token-revocation"


def revoke(user, *, offline_tokens=True, spare=None):
    return end_sessions(
        Selection.user(user.pk, except_session=spare),
        initiator=Initiator.SESSION_REVOKED,
        actor="admin:1",
        at=timezone.now(),
        offline_tokens=offline_tokens,
    )


def with_endpoint(receiver, name="app", **fields):
    return make_application(name, global_token_revocation_uri=receiver.url(name), **fields)


def finished():
    rows = LogoutDelivery.objects.filter(channel="gtr")
    return rows.exists() and not rows.filter(state="pending").exists()


@pytest.mark.spec(DRAFT, "Revocation Request", "We send what we accept: a signed JWT and iss_sub")
def test_an_application_gets_one_signed_request_however_many_sessions_there_were(receiver):
    application, user = with_endpoint(receiver), make_user()
    for _ in range(3):
        make_session(user, application)
    with running():
        ended = revoke(user)
        assert ended.told.deliveries == 1
        wait_until(finished)
    (post,) = receiver.posts("app")
    assert post["headers"]["content-type"] == "application/json"
    subject = {"format": "iss_sub", "iss": "http://localhost:8000/", "sub": user.user_id}
    assert json.loads(post["body"]) == {"sub_id": subject}
    raw = gtr.bearer(post["headers"]["authorization"])
    expected = ExpectedRequest("http://localhost:8000/", application.client_id, receiver.url("app"))
    proof = gtr.check(gtr.read_token(raw), expected, timezone.now())  # our own receiver's rules
    assert jwt.decode(raw, KeySet.import_key_set(keys.published()), algorithms=["RS256"]).header["typ"] == gtr.TYP
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.jti, attempt.status, attempt.outcome) == (proof.jti, 200, "delivered")
    assert LogoutDelivery.objects.get().session is None


def test_only_applications_that_the_person_was_in_are_told(receiver):
    joined, holding = with_endpoint(receiver, "joined"), with_endpoint(receiver, "holding")
    with_endpoint(receiver, "stranger")
    user, other = make_user(), make_user("other@fabrikamcorp.com")
    make_session(user, joined)
    make_session(other, joined, holding)
    RefreshTokenFamily.objects.create(user=user, application=holding, offline=True, auth_time=timezone.now())
    ended = revoke(user)
    rows = ended.event.deliveries.order_by("client_id").values_list("client_id", "channel", "sub", "session")
    assert list(rows) == [("holding", "gtr", user.user_id, None), ("joined", "gtr", user.user_id, None)]


@pytest.mark.parametrize("how", ["logout", "spared", "without offline tokens"])
def test_the_end_of_less_than_everything_is_no_revocation(receiver, how):
    application, user = with_endpoint(receiver), make_user()
    session, other = make_session(user, application), make_session(user, application)
    if how == "logout":
        selection, initiator = Selection.session(session.pk), Initiator.RP_LOGOUT
        end_sessions(selection, initiator=initiator, actor="user", at=timezone.now(), offline_tokens=False)
    elif how == "spared":
        revoke(user, spare=other.pk)
    else:
        revoke(user, offline_tokens=False)
    assert not LogoutDelivery.objects.filter(channel="gtr").exists()


@pytest.mark.parametrize("act", ["block", "delete"])
def test_deactivation_and_deletion_are_told(receiver, act):
    application, user = with_endpoint(receiver), make_user()
    make_session(user, application)
    with running():
        accounts_act = accounts.block_user if act == "block" else accounts.delete_user
        accounts_act(user, actor="admin:1", at=timezone.now())
        wait_until(finished)
    assert json.loads(receiver.posts("app")[0]["body"])["sub_id"]["sub"] == user.user_id


@pytest.mark.parametrize(
    ("behaviour", "state", "outcome", "word"),
    [
        ("204", "delivered", "delivered", "204"),
        ("400", "dead", "refused", "not understood"),
        ("404", "dead", "refused", "does not know this person"),
        ("401", "pending", "retry", "not believed"),
        ("403", "pending", "retry", "may not ask this"),
        ("422", "pending", "retry", "could not sign the person out"),
        ("503", "pending", "retry", "503"),
    ],
)
def test_each_status_means_what_the_draft_says(receiver, behaviour, state, outcome, word):
    application, user = with_endpoint(receiver), make_user()
    receiver.behave(app=behaviour)
    make_session(user, application)
    with running():
        revoke(user)
        wait_until(lambda: DeliveryAttempt.objects.exists())
        wait_until(lambda: LogoutDelivery.objects.get().last_status)
    row = LogoutDelivery.objects.get()
    assert (row.state, DeliveryAttempt.objects.order_by("number").first().outcome) == (state, outcome)
    assert word in row.last_reason


def test_a_second_attempt_has_a_token_of_its_own(receiver):
    application, user = with_endpoint(receiver), make_user()
    receiver.behave(app="503")
    make_session(user, application)
    with running():
        revoke(user)
        wait_until(lambda: len(receiver.posts("app")) == 1)
        receiver.behave(app="204")
        wait_until(finished)
    first, second = (gtr.read_token(gtr.bearer(post["headers"]["authorization"])) for post in receiver.posts("app"))
    assert first.claims["jti"] != second.claims["jti"]


def test_an_endpoint_that_was_taken_away_is_told_nothing(receiver):
    application, user = with_endpoint(receiver), make_user()
    make_session(user, application)
    revoke(user)
    application.global_token_revocation_uri = ""
    application.save()
    with running():
        wait_until(finished)
    row = LogoutDelivery.objects.get()
    assert (row.state, row.last_reason) == ("dropped", "the application has no Global Token Revocation URL")
    assert receiver.posts("app") == []


def test_back_channel_and_revocation_are_two_deliveries(receiver):
    application = with_endpoint(receiver, backchannel_logout_uri=receiver.url("bc"))
    application.backchannel_logout_initiators_mode = "all"
    application.save()
    user = make_user()
    make_session(user, application)
    with running():
        assert revoke(user).told.deliveries == 2
        wait_until(lambda: receiver.posts("app") and receiver.posts("bc"))


@pytest.mark.parametrize("url", ["https://app.example/gtr?tenant=1", "https://app.example/gtr"])
def test_the_audience_is_the_url_without_its_query(url):
    claims = gtr_request.claims(issuer="https://id.example/", client_id="app", url=url, at=timezone.now())
    assert claims["aud"] == "https://app.example/gtr"
