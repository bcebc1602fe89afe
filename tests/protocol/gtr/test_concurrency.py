"""Many requests at once: one effect, no error of ours, on both databases."""

from __future__ import annotations

from collections import Counter

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from idp.http.requests import RequestFacts
from logout_app.models import LogoutDelivery, LogoutEvent, RevocationRequest
from sessions_app.models import RefreshTokenFamily, SSOSession
from sessions_app.session import lifecycle
from tests.protocol.door.test_concurrency import at_once
from tests.protocol.gtr.support import make_federated_user
from tests.support.factories import make_application, make_connection, make_session
from tests.support.oauth import refresh, tokens_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_token_twenty_times_at_once_is_good_for_one(okta, ann):
    make_session(ann)
    token, body = okta.token(), okta.subject_of("00uann")
    okta.post(b"{}", okta.token())  # the keys are known from here on
    statuses = at_once(lambda _: okta.post(body, token).status_code, 20)
    assert Counter(statuses) == {204: 1, 401: 19}
    assert LogoutEvent.objects.count() == 1


def test_two_tokens_at_once_are_both_done_with_one_effect(okta, ann):
    application = make_application(backchannel_logout_uri="https://app.example/bc")
    for _ in range(5):
        make_session(ann, application)
    tokens = [okta.token() for _ in range(8)]
    okta.post(b"{}", okta.token())
    body = okta.subject_of("00uann")
    assert at_once(lambda number: okta.post(body, tokens[number]).status_code, 8) == [204] * 8
    assert LogoutEvent.objects.count() == 1
    assert LogoutDelivery.objects.count() == 5
    assert RevocationRequest.objects.filter(status=204).count() == 8


def test_what_is_refreshed_while_it_is_revoked_is_dead(okta, ann):
    application = make_application()
    session = make_session(ann)
    tokens = [tokens_for(session, application, scope="openid offline_access")["refresh_token"] for _ in range(6)]
    request, body = okta.token(), okta.subject_of("00uann")
    okta.post(b"{}", okta.token())

    def act(number):
        return okta.post(body, request) if number == 3 else refresh(application, tokens[number % 6])

    answers = at_once(act, 7)
    assert answers[3].status_code == 204
    assert {answer.status_code for answer in answers} <= {200, 204, 400, 401, 403}
    for answer in answers:
        if answer.status_code == 200:
            assert refresh(application, answer.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_requests_sign_ins_and_refreshes_at_once_leave_nothing_alive_and_nobody_waits_for_ever(okta, connection):
    """Of one person, of another, and of one who is linked. Whatever was proved before the requests came is dead after them."""
    application = make_application(backchannel_logout_uri="https://app.example/bc")
    people = [make_federated_user(connection, f"00u{name}", f"{name}@acme.example") for name in ("ann", "ben", "cat")]
    contoso = make_connection("contoso", "okta", options={"client_id": "x", "issuer": "https://contoso.example"})
    people[2].identities.create(connection=contoso, sub="cat-at-contoso")
    accounts = [person.identities.select_related("user").get(connection=connection) for person in people]
    sessions = [make_session(account.user, identity=account, connection=connection) for account in accounts * 3]
    offline = [tokens_for(session, application, scope="openid offline_access")["refresh_token"] for session in sessions]
    proved_at = timezone.now()
    okta.post(b"{}", okta.token())  # the keys are known from here on
    tokens = [okta.token() for _ in range(50)]

    def revoke(number):
        return okta.post(okta.subject_of(accounts[number % 3].sub), tokens[number]).status_code

    def sign_in(number):
        account, facts = accounts[number % 3], RequestFacts("192.0.2.1", "browser")
        try:
            lifecycle.open_session(
                account.user, connection=connection, identity=account, amr=[], facts=facts, at=proved_at
            )
        except PermissionDenied:
            return 403
        return 200

    def prove_again(number):
        session = SSOSession.objects.select_related("user", "connection", "identity").get(pk=sessions[number % 9].pk)
        return 200 if lifecycle.reauthenticate(session, amr=[], facts=RequestFacts(), at=proved_at) else 403

    def exchange(number):
        return refresh(application, offline[number % 9]).status_code

    acts = (revoke, sign_in, revoke, prove_again, exchange)
    statuses = at_once(lambda number: (acts[number % 5].__name__, acts[number % 5](number)), 50)
    assert {status for name, status in statuses if name == "revoke"} == {204}
    assert {status for name, status in statuses} <= {200, 204, 400, 401, 403}
    assert not SSOSession.objects.live(timezone.now()).exists()
    assert not [family for family in RefreshTokenFamily.objects.all() if family.is_alive(timezone.now())]
    assert not SSOSession.objects.filter(pk__in=[session.pk for session in sessions], ended_at=None).exists()
