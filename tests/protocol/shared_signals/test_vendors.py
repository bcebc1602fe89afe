"""Transmitters in the shapes of Okta, Google and Apple's profile: connected, tested, and their events end a session."""

from __future__ import annotations

import pytest
from django.utils import timezone

from idp.connections import shared_signals
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.protocol.signal_events import RISC
from logout_app.models import LogoutDelivery, ReceivedSignal, SignalStream
from logout_app.shared_signals import connect
from sessions_app.models import SSOSession
from tests.protocol.gtr.support import lives
from tests.protocol.shared_signals.support import assert_err
from tests.support.factories import make_application, make_session
from tests.support.upstreams.scripted_transmitter import TOKEN
from tests.support.upstreams.signal_vendors import VENDORS, okta_credential_change

pytestmark = pytest.mark.django_db
OLDER_PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"


@pytest.fixture
def connected(connection, transmitter):
    """Makes the stream; returns the header that its pushes have."""

    def connects(older_names):
        if older_names:
            transmitter.metadata["delivery_methods_supported"] = [OLDER_PUSH]
        connection.options["shared_signals"] = {"issuer": transmitter.issuer}
        connection.sealed_options["shared_signals_token"] = seal(TOKEN, secret_context("acme", "shared_signals_token"))
        connection.save()
        connect.connect(connection, shared_signals.of(connection), actor="admin:boss", at=timezone.now())
        return {"Authorization": transmitter.streams["stream-1"]["delivery"]["authorization_header"]}

    return connects


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_each_event_of_a_vendor_ends_the_session_that_it_is_about(
    transmitter, pusher, connection, ann, connected, vendor
):
    headers = connected(vendor.older_names)
    asked = transmitter.bodies("POST", "/streams")[0]["delivery"]["method"]
    assert asked == (OLDER_PUSH if vendor.older_names else "urn:ietf:rfc:8935")
    connect.verify(connection, shared_signals.of(connection), at=timezone.now())
    state = transmitter.verifications[-1]["state"]
    assert_err(pusher.push(vendor.test(transmitter, f"{state}x"), headers=headers), "invalid_state")
    assert pusher.push(vendor.test(transmitter, state), headers=headers).status_code == 202
    assert SignalStream.objects.get().verified_at is not None

    application = make_application(backchannel_logout_uri="https://app.example/bc")
    for token in vendor.ends(transmitter, "ann", "ann@acme.example"):
        session = make_session(ann, application)
        assert pusher.push(token, headers=headers).status_code == 202
        assert not lives(session)
        assert LogoutDelivery.objects.filter(session=session, channel="backchannel").exists()
        assert ReceivedSignal.objects.latest("pk").sessions == 1


@pytest.mark.parametrize(
    ("changes", "is_stale"),
    [
        ({}, True),
        ({"credential_type": "ALL_FACTORS", "change_type": "revoke"}, True),
        ({"credential_type": "fido2-roaming", "change_type": "create"}, False),
    ],
)
def test_okta_tells_of_a_changed_password_and_of_factors(transmitter, pusher, session, changes, is_stale):
    assert pusher.push(okta_credential_change(transmitter, "ann", **changes)).status_code == 202
    assert SSOSession.objects.get(pk=session.pk).is_stale is is_stale


def test_a_test_event_of_the_drafts_without_a_stream_of_ours_is_accepted(transmitter, pusher):
    for vendor in VENDORS.values():
        assert pusher.push(vendor.test(transmitter, "anything")).status_code == 202
    assert not ReceivedSignal.objects.exists()


def test_a_revoked_token_of_googles_is_no_reason_to_end_anything(transmitter, pusher, session):
    uri = "https://schemas.openid.net/secevent/oauth/event-type/token-revoked"
    subject = {"subject_type": "oauth_token", "token_type": "refresh_token", "token": "abc"}
    assert pusher.push(transmitter.token(uri, {"subject": subject})).status_code == 202
    enabled = {"subject": {"subject_type": "iss-sub", "iss": transmitter.issuer, "sub": "ann"}}
    assert pusher.push(transmitter.token(f"{RISC}account-enabled", enabled)).status_code == 202
    assert lives(session)
