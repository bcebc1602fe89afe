"""Many requests at once: one effect, no error of ours, on both databases."""

from __future__ import annotations

from collections import Counter

import pytest

from logout_app.models import LogoutDelivery, LogoutEvent, RevocationRequest
from tests.protocol.door.test_concurrency import at_once
from tests.support.factories import make_application, make_session
from tests.support.oauth import refresh, tokens_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_token_twenty_times_at_once_is_good_for_one(okta, ann):
    """GTR-035, T5."""
    make_session(ann)
    token, body = okta.token(), okta.subject_of("00uann")
    okta.post(b"{}", okta.token())  # the keys are known from here on
    statuses = at_once(lambda _: okta.post(body, token).status_code, 20)
    assert Counter(statuses) == {204: 1, 401: 19}
    assert LogoutEvent.objects.count() == 1


def test_two_tokens_at_once_are_both_done_with_one_effect(okta, ann):
    """T13."""
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
