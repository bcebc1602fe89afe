"""Events that come at once, and very many of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from logout_app.models import DeliveryTally, LogoutEvent, ReceivedSignal
from tests.protocol.gtr.support import lives, make_federated_user
from tests.protocol.shared_signals.support import REVOKED
from tests.support.factories import make_session
from tests.support.upstreams.scripted_transmitter import RISC

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(pusher, tokens):
    def push(token):
        try:
            return pusher.push(token).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(push, tokens))


@pytest.mark.postgresql
def test_copies_of_one_event_that_come_at_once_have_one_effect(pusher, transmitter, session):
    token = transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))
    assert at_once(pusher, [token] * 8) == [202] * 8
    assert not lives(session)
    assert (LogoutEvent.objects.count(), ReceivedSignal.objects.count()) == (1, 1)
    assert DeliveryTally.objects.get(metric="signals", label="repeated").value == 7


@pytest.mark.postgresql
def test_events_about_the_same_and_other_people_that_come_at_once_all_count(pusher, transmitter, connection):
    sessions = [make_session(make_federated_user(connection, f"p{n}", f"p{n}@acme.example")) for n in range(6)]
    tokens = [
        transmitter.token(uri, sub_id=transmitter.subject(f"p{n}"))
        for uri in (REVOKED, f"{RISC}account-disabled")
        for n in range(6)
    ]
    assert at_once(pusher, tokens) == [202] * 12
    assert not any(lives(session) for session in sessions)
