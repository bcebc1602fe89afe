"""Deliveries from the door to a real receiver in another process."""

from __future__ import annotations

import pytest

from logout_app.models import DeliveryAttempt, LogoutDelivery
from tests.delivery.conftest import running, sign_in, sign_out
from tests.support.receiver import header_of, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def states() -> list[str]:
    return list(LogoutDelivery.objects.order_by("id").values_list("state", flat=True))


def test_every_application_of_the_session_is_told_once(receiver, application):
    session = sign_in(application("one"), application("two"))
    application("stranger")
    with running():
        sign_out(session)
        wait_until(lambda: states() == ["delivered"] * 2)
    assert sorted(post["path"] for post in receiver.posts()) == ["one", "two"]
    assert {token["sid"] for token in receiver.tokens()} == {session.sid}
    assert header_of(receiver.posts()[0]["form"]["logout_token"][0])["typ"] == "logout+jwt"
    assert DeliveryAttempt.objects.filter(outcome="delivered", status=200, number=1).count() == 2
