"""The modules of the Foundation's plans for receivers of Shared Signals, by push and by poll.

The suite is the transmitter and looks at what the receiver asks of it; so does each test. `openid-ssf-receiver-caep-test-plan` has
four of the six modules, with the events of the interoperability profile, and one of its own.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from idp.connections import shared_signals
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.protocol.signal_events import EFFECTS, short
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import connect, poll
from tests.protocol.gtr.support import lives
from tests.protocol.shared_signals.conftest import (  # noqa: F401  the same fixtures
    _fresh_memory,
    ann,
    connection,
    pusher,
    session,
    transmitter,
)
from tests.support.factories import make_session
from tests.support.upstreams.scripted_transmitter import CAEP, TOKEN
from tests.support.upstreams.scripted_transmitter import SSF as STREAM

pytestmark = pytest.mark.django_db
PLAN = "openid-ssf-receiver-test-plan"
CAEP_PLAN = "openid-ssf-receiver-caep-test-plan"
INTEROP: dict[str, dict[str, Any]] = {
    f"{CAEP}session-revoked": {"reason_admin": {"en": "left"}, "initiating_entity": "policy"},
    f"{CAEP}credential-change": {
        "credential_type": "fido2-roaming",
        "change_type": "revoke",
        "reason_admin": {"en": "lost"},
    },
    f"{CAEP}device-compliance-change": {"previous_status": "compliant", "current_status": "not-compliant"},
}


class ReceiverUnderTest:
    """Curfew as an administrator drives it, and the suite's transmitter."""

    def __init__(self, connection, transmitter, pusher, method):  # noqa: F811
        connection.options["shared_signals"] = {"issuer": transmitter.issuer, "method": method}
        context = secret_context(connection.name, "shared_signals_token")
        connection.sealed_options["shared_signals_token"] = seal(TOKEN, context)
        connection.save()
        self.connection, self.transmitter, self.pusher, self.method = connection, transmitter, pusher, method

    @property
    def options(self):
        return shared_signals.of(self.connection)

    def create(self):
        return connect.connect(self.connection, self.options, actor="admin:boss", at=timezone.now())

    def verify(self):
        connect.verify(self.connection, self.options, at=timezone.now())
        return self.transmitter.verifications[-1]["state"]

    def delete(self):
        assert connect.disconnect(self.connection, self.options, actor="admin:boss", at=timezone.now()) == ""

    def deliver(self, uri, event=None, **changes):
        """By the stream; True: it was acknowledged."""
        token = self.transmitter.token(uri, event, **changes)
        if self.method == "push":
            header = self.transmitter.streams["stream-1"]["delivery"]["authorization_header"]
            return self.pusher.push(token, headers={"Authorization": header}).status_code == 202
        self.transmitter.waiting["1"] = token
        poll.poll_all(timezone.now())
        return not self.transmitter.waiting and not self.transmitter.errors

    def about_the_stream(self, name, **event):
        subject = {"format": "opaque", "id": SignalStream.objects.get().stream_id}
        return self.deliver(f"{STREAM}{name}", event, sub_id=subject)

    def asked(self):
        """How often each operation on our stream was asked for, every one of them with our token."""
        assert {token for *_, token in self.transmitter.seen if token} == {f"Bearer {TOKEN}"}
        named = [(method, urlsplit(where), body) for method, where, body, _ in self.transmitter.seen]
        return Counter(
            f"{method} {where.path}"
            for method, where, body in named
            if where.query == "stream_id=stream-1" or "stream_id" in (body or ()) or method == "POST"
        )


@pytest.fixture(params=["push", "poll"])
def receiver(request, connection, transmitter, pusher):  # noqa: F811
    return ReceiverUnderTest(connection, transmitter, pusher, request.param)


@pytest.mark.spec(PLAN, "openid-ssf-receiver-happypath", "A stream is made, read, updated, replaced and deleted")
def test_openid_ssf_receiver_happypath(receiver):
    receiver.create()
    receiver.verify()  # it is read first
    receiver.create()  # a known one is updated
    SignalStream.objects.all().delete()
    receiver.create()  # one that the transmitter has and we do not know is replaced
    receiver.delete()
    asked = receiver.asked()
    assert all(asked[f"{method} /streams"] for method in ("POST", "GET", "PATCH", "PUT", "DELETE")), asked
    assert receiver.transmitter.streams == {}


@pytest.mark.spec(CAEP_PLAN, "openid-ssf-receiver-stream-create-delete", "A stream is made and deleted")
@pytest.mark.spec(PLAN, "openid-ssf-receiver-stream-create-delete", "A stream is made and deleted, by its id")
def test_openid_ssf_receiver_stream_create_delete(receiver):
    assert receiver.create().stream_id in receiver.transmitter.streams
    receiver.delete()
    assert receiver.asked()["DELETE /streams"] == 1
    assert not receiver.transmitter.streams


@pytest.mark.spec(PLAN, "openid-ssf-receiver-stream-status-update", "The status of a stream is updated")
def test_openid_ssf_receiver_stream_status_update(receiver):
    receiver.create()
    for status in ("paused", "disabled", "enabled"):  # as the transmitter tells it
        assert receiver.about_the_stream("stream-updated", status=status)
        assert SignalStream.objects.get().status == status
    receiver.transmitter.statuses["stream-1"] = "paused"
    receiver.verify()
    assert receiver.transmitter.statuses == {"stream-1": "enabled"}
    receiver.delete()


@pytest.mark.spec(CAEP_PLAN, "openid-ssf-receiver-stream-verification", "A test event is asked for and acknowledged")
@pytest.mark.spec(
    PLAN,
    "openid-ssf-receiver-stream-verification",
    "A test event is asked for, and must bring the state of the question",
)
def test_openid_ssf_receiver_stream_verification(receiver):
    receiver.create()
    state = receiver.verify()
    assert not receiver.about_the_stream("verification", state=f"{state}x")
    receiver.transmitter.errors.clear()
    assert receiver.about_the_stream("verification", state=state)
    assert SignalStream.objects.get().verified_at is not None
    receiver.delete()


@pytest.mark.spec(CAEP_PLAN, "openid-ssf-receiver-unsolicited-stream-verification", "One nobody asked for is taken")
@pytest.mark.spec(
    PLAN, "openid-ssf-receiver-unsolicited-stream-verification", "A test event that nobody asked for is taken"
)
def test_openid_ssf_receiver_unsolicited_stream_verification(receiver):
    receiver.create()
    assert receiver.about_the_stream("verification")
    assert SignalStream.objects.get().verified_at is not None
    receiver.delete()


@pytest.mark.spec(
    PLAN, "openid-ssf-receiver-stream-supported-events", "Every event that the stream asks for is taken and acted on"
)
@pytest.mark.parametrize("uri", EFFECTS)
def test_openid_ssf_receiver_stream_supported_events(receiver, transmitter, session, uri):  # noqa: F811
    receiver.create()
    assert uri in transmitter.streams["stream-1"]["events_delivered"]
    assert receiver.about_the_stream("verification", state=receiver.verify())
    event = {"claims": {"groups": []}, "event_timestamp": int(time.time())}
    assert receiver.deliver(uri, event, sub_id=transmitter.subject("ann"))
    kept = ReceivedSignal.objects.get()
    assert (kept.type, kept.effect != "note") == (short(uri), True)
    receiver.delete()


@pytest.mark.spec(CAEP_PLAN, "openid-ssf-receiver-stream-supported-events", "The events of the profile are taken")
@pytest.mark.parametrize("uri", INTEROP)
def test_openid_ssf_receiver_stream_supported_events_of_the_profile(receiver, ann, uri):  # noqa: F811
    current = make_session(ann)
    receiver.create()
    email = {"format": "email", "email": "ann@acme.example"}
    assert receiver.deliver(uri, INTEROP[uri], sub_id=email)
    current.refresh_from_db()
    assert current.ended_at is not None or current.is_stale
    receiver.delete()


@pytest.mark.spec(
    CAEP_PLAN,
    "openid-ssf-receiver-stream-caep-interop",
    "A stream is made, its configuration and status are read, it is verified, and the events of the profile are acknowledged",
)
def test_openid_ssf_receiver_stream_caep_interop(receiver, transmitter, ann):  # noqa: F811
    current = make_session(ann)
    receiver.create()
    assert receiver.about_the_stream("verification", state=receiver.verify())
    asked = receiver.asked()
    assert asked["GET /streams"]
    assert asked["GET /status"]
    in_milliseconds = {"event_timestamp": int(time.time() * 1000)}  # as the suite has it
    for uri, event in INTEROP.items():
        assert uri in transmitter.streams["stream-1"]["events_delivered"]
        assert receiver.deliver(uri, event | in_milliseconds, sub_id=transmitter.subject("ann"), txn="t-1")
    assert not lives(current)
    assert ReceivedSignal.objects.filter(error="").count() == len(INTEROP)
