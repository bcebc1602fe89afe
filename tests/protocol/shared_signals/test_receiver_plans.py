"""The OpenID Foundation's plans for receivers, re-expressed by module name: `openid-ssf-receiver-test-plan` and `openid-ssf-receiver-caep-test-plan`."""

from __future__ import annotations

import pytest
from django.utils import timezone

from idp.connections import shared_signals
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.protocol.signal_events import EFFECTS, short
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import connect, poll
from tests.protocol.gtr.support import lives
from tests.protocol.shared_signals.support import REVOKED
from tests.support.factories import make_session
from tests.support.upstreams.scripted_transmitter import CAEP, TOKEN
from tests.support.upstreams.scripted_transmitter import SSF as STREAM

pytestmark = pytest.mark.django_db
PLAN = "openid-ssf-receiver-test-plan"
CAEP_PLAN = "openid-ssf-receiver-caep-test-plan"


class Receiver:
    """Curfew as the plan drives it: make a stream, take what is sent by it, verify and delete it."""

    def __init__(self, connection, transmitter, pusher, method):
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
        return connect.disconnect(self.connection, self.options, actor="admin:boss", at=timezone.now())

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


@pytest.fixture(params=["push", "poll"])
def receiver(request, connection, transmitter, pusher):
    return Receiver(connection, transmitter, pusher, request.param)


@pytest.mark.spec(PLAN, "openid-ssf-receiver-happypath", "Create, verify, receive, delete")
def test_happypath(receiver, transmitter, session):
    receiver.create()
    assert receiver.about_the_stream("verification", state=receiver.verify())
    assert receiver.deliver(REVOKED, sub_id=transmitter.subject("ann"))
    assert not lives(session)
    assert receiver.delete() == ""
    assert transmitter.streams == {}


@pytest.mark.spec(PLAN, "openid-ssf-receiver-stream-create-delete", "A stream is made and deleted, by its id")
def test_stream_create_delete(receiver, transmitter):
    assert receiver.create().stream_id in transmitter.streams
    receiver.delete()
    deleted = [path for method, path, *_ in transmitter.seen if method == "DELETE"]
    assert deleted == ["/streams?stream_id=stream-1"]


@pytest.mark.spec(PLAN, "openid-ssf-receiver-stream-status-update", "A change of the stream's state is taken")
def test_stream_status_update(receiver):
    receiver.create()
    for status in ("paused", "disabled", "enabled"):
        assert receiver.about_the_stream("stream-updated", status=status)
        assert SignalStream.objects.get().status == status


@pytest.mark.spec(
    PLAN, "openid-ssf-receiver-stream-verification", "A test event must bring the state that it was asked with"
)
def test_stream_verification(receiver):
    receiver.create()
    state = receiver.verify()
    assert not receiver.about_the_stream("verification", state=f"{state}x")
    receiver.transmitter.errors.clear()
    assert receiver.about_the_stream("verification", state=state)
    assert SignalStream.objects.get().verified_at is not None


@pytest.mark.spec(
    PLAN, "openid-ssf-receiver-unsolicited-stream-verification", "A test event that nobody asked for is taken"
)
def test_unsolicited_stream_verification(receiver):
    receiver.create()
    assert receiver.about_the_stream("verification")


@pytest.mark.spec(
    PLAN, "openid-ssf-receiver-stream-supported-events", "Every event that the stream asks for is acted on"
)
@pytest.mark.parametrize("uri", EFFECTS)
def test_stream_supported_events(receiver, transmitter, session, uri):
    receiver.create()
    assert uri in transmitter.streams["stream-1"]["events_delivered"]
    assert receiver.deliver(uri, {"claims": {"groups": []}}, sub_id=transmitter.subject("ann"))
    kept = ReceivedSignal.objects.get()
    assert (kept.type, kept.effect != "note") == (short(uri), True)


@pytest.mark.spec(
    CAEP_PLAN, "openid-ssf-receiver-caep-interop", "The events of the interoperability profile, with email subjects"
)
@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("session-revoked", {"reason_admin": {"en": "left"}, "initiating_entity": "policy"}),
        (
            "credential-change",
            {"credential_type": "fido2-roaming", "change_type": "revoke", "reason_admin": {"en": "lost"}},
        ),
        ("device-compliance-change", {"previous_status": "compliant", "current_status": "not-compliant"}),
    ],
)
def test_caep_interop(receiver, ann, name, event):
    session = make_session(ann)
    receiver.create()
    assert receiver.deliver(f"{CAEP}{name}", event, sub_id={"format": "email", "email": "ann@acme.example"}, txn="t-1")
    session.refresh_from_db()
    assert session.ended_at is not None or session.is_stale
