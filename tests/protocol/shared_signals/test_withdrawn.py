"""What a receiver of our streams gets once its right is taken away, and what it cannot break."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from idp.models import ClientGrant
from logout_app.models import EventStream, StreamState
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import manage
from sessions_app.audit.events import EventType
from tests.protocol.shared_signals.test_sent import happened
from tests.support.event_streams import StreamReceiver, events_of, make_receiver, pushed
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(settings: Any) -> StreamReceiver:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    return StreamReceiver(make_receiver())


def end_somebodys(name: str) -> None:
    user = make_user(email=f"{name}@fabrikamcorp.com")
    happened(EventType.ENDED, user, make_session(user), initiator="user-logout")


@pytest.mark.parametrize("how", ["deleted", "without a scope"])
def test_whose_grant_is_taken_away_hears_of_nobody_any_more(receiver, how):
    receiver.create(v.PUSH)
    end_somebodys("ann")
    assert events_of(pushed()) == ["session-revoked"]
    grant = ClientGrant.objects.get()
    if how == "deleted":
        grant.delete()
    else:
        grant.scope = []
        grant.save()
    end_somebodys("bob")
    assert events_of(pushed()) == ["stream-updated"]
    assert (receiver.row.status, receiver.row.reason) == (StreamState.DISABLED, "the client grant was taken away")


@pytest.mark.parametrize("stopped", [StreamState.PAUSED, StreamState.DISABLED])
def test_what_an_administrator_stopped_no_receiver_starts(receiver, stopped):
    receiver.create(v.PUSH)
    stream = receiver.row
    manage.set_status(stream, stopped, "", actor="admin:boss", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)
    wanted = {"stream_id": stream.public_id, "status": "enabled"}
    refused = receiver.call("POST", "/ssf/status", wanted)
    assert (refused.status_code, receiver.row.status) == (403, stopped)
    assert "administrator" in refused.json()["error_description"]
    assert "insufficient_scope" not in refused.headers.get("WWW-Authenticate", "")  # another token changes nothing
    deleted = receiver.call("DELETE", f"/ssf/streams?stream_id={stream.public_id}")  # to make one that runs
    assert (deleted.status_code, receiver.row.status) == (403, stopped)
    manage.set_status(receiver.row, "enabled", "", actor="admin:boss", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)
    assert receiver.call("POST", "/ssf/status", wanted | {"status": "paused"}).status_code == 200
    assert receiver.call("POST", "/ssf/status", wanted).status_code == 200


def test_an_application_goes_with_its_stream_and_its_grant(receiver):
    receiver.create(v.PUSH)
    receiver.application.delete()
    assert not EventStream.objects.exists()
    end_somebodys("ann")
    assert pushed() == []


@pytest.mark.parametrize("path", ["/ssf/poll/%00", "/ssf/streams?stream_id=%00", "/ssf/status?stream_id=%00"])
def test_an_id_that_no_database_keeps_is_no_stream(receiver, path):
    receiver.create()
    method = "POST" if "poll" in path else "GET"
    assert receiver.call(method, path, {}).status_code in (400, 404)
