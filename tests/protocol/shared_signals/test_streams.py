"""*Connect*, *Ask for a test event*, *Disconnect* and polls, against a transmitter on a real socket; and what the page tells."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import check, poll
from logout_app.shared_signals import transmitter as kept
from logout_app.tasks import poll_signals
from sessions_app.models import SessionEvent
from tests.protocol.gtr.support import lives
from tests.protocol.shared_signals.support import REVOKED, SSF, assert_err
from tests.support.factories import browser, make_session, make_user
from tests.support.upstreams.scripted_oidc import rsa_key
from tests.support.upstreams.scripted_transmitter import CAEP, TOKEN
from tests.support.upstreams.scripted_transmitter import SSF as STREAM

pytestmark = pytest.mark.django_db
POLLS = "RFC 8936"


@pytest.fixture
def admin():
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


@pytest.fixture
def connection(connection, transmitter):
    """Discovered, with an access token; the audience is the stream's."""
    connection.options["shared_signals"] = {"issuer": transmitter.issuer}
    connection.sealed_options["shared_signals_token"] = seal(TOKEN, secret_context("acme", "shared_signals_token"))
    connection.save()
    return connection


@pytest.fixture
def polled(connection):
    connection.options["shared_signals"]["method"] = "poll"
    connection.save()
    return connection


def act(admin, connection, name):
    return admin.post(reverse("admin:idp_connection_act", args=(connection.pk, name)), follow=True)


def page(admin, connection):
    return admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()


def header_of(transmitter):
    return transmitter.streams["stream-1"]["delivery"]["authorization_header"]


@pytest.mark.spec(SSF, "8.1.1.1", "The receiver creates a stream with its push endpoint and a header of its own")
def test_connect_makes_a_stream_and_asks_for_a_test_event_which_the_page_tells(admin, connection, transmitter, pusher):
    assert "Connected, and asked for a test event" in act(admin, connection, "connect-signals").content.decode()
    stream = SignalStream.objects.get()
    asked = transmitter.bodies("POST", "/streams")[0]
    assert asked["delivery"]["method"] == "urn:ietf:rfc:8935"
    assert asked["delivery"]["endpoint_url"].endswith("/ssf/acme/events")
    assert REVOKED in asked["events_requested"]
    assert {token for *_, token in transmitter.seen if token} == {f"Bearer {TOKEN}"}
    assert header_of(transmitter) not in str(SignalStream.objects.values())
    state = transmitter.verifications[0]["state"]
    test = {
        "sub_id": {"format": "opaque", "id": stream.stream_id},
        "headers": {"Authorization": header_of(transmitter)},
    }
    assert "did not come yet" in page(admin, connection)

    def verification(**event):
        token = transmitter.token(f"{STREAM}verification", event, sub_id=test["sub_id"])
        return pusher.push(token, headers=test["headers"])

    assert_err(verification(state="another"), "invalid_state")
    assert SignalStream.objects.get().verified_at is None
    assert verification(state=state).status_code == 202
    assert SignalStream.objects.get().verified_at is not None
    assert "did not come yet" not in page(admin, connection)
    assert verification().status_code == 202  # nobody asked for this one
    assert SessionEvent.objects.get(type="signal_stream_changed").data["status"] == "connected"


def test_a_stream_that_connect_made_takes_pushes_with_its_secret_only(admin, connection, transmitter, pusher, session):
    act(admin, connection, "connect-signals")
    token = transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))
    refused = pusher.push(token)
    assert_err(refused, "authentication_failed", 401)
    assert refused.headers["WWW-Authenticate"]
    assert_err(pusher.push(token, headers={"Authorization": "Bearer guess"}), "authentication_failed", 401)
    assert lives(session)
    assert pusher.push(token, headers={"Authorization": header_of(transmitter)}).status_code == 202
    assert not lives(session)
    shown = page(admin, connection)
    assert "session-revoked: 1 session of oidc|acme|ann ended" in shown
    assert "s from the signature of the last event" in shown


def test_a_stream_that_the_transmitter_has_already_is_taken_over(admin, connection, transmitter):
    act(admin, connection, "connect-signals")
    SignalStream.objects.all().delete()
    assert "Connected" in act(admin, connection, "connect-signals").content.decode()
    assert len(transmitter.bodies("PUT", "/streams")) == 1
    assert SignalStream.objects.get().stream_id == "stream-1"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_transmitter_that_replaces_no_stream_is_asked_to_change_it(admin, connection, transmitter, status):
    act(admin, connection, "connect-signals")
    SignalStream.objects.all().delete()
    transmitter.answers["PUT /streams"] = (status, {})
    assert "Connected" in act(admin, connection, "connect-signals").content.decode()
    assert len(transmitter.bodies("PATCH", "/streams")) == 1


def test_another_method_changes_the_stream_that_is_there(admin, connection, transmitter, session):
    act(admin, connection, "connect-signals")
    button = reverse("admin:idp_connection_act", args=(connection.pk, "connect-signals"))
    assert button not in page(admin, connection)
    connection.options["shared_signals"]["method"] = "poll"
    connection.save()
    assert button in page(admin, connection)
    assert "Connected" in act(admin, connection, "connect-signals").content.decode()
    assert [body["stream_id"] for body in transmitter.bodies("PATCH", "/streams")] == ["stream-1"]
    transmitter.waiting = {"1": transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))}
    poll_signals()
    assert not lives(session)


def test_a_stream_that_we_know_and_the_transmitter_deleted_is_made_anew(admin, connection, transmitter):
    act(admin, connection, "connect-signals")
    transmitter.streams.clear()
    assert "has no stream stream-1 any more" in act(admin, connection, "test-signals").content.decode()
    connection.options["shared_signals"]["method"] = "poll"
    connection.save()
    assert "Connected" in act(admin, connection, "connect-signals").content.decode()
    assert len(transmitter.bodies("POST", "/streams")) == 2


def test_a_paused_stream_is_asked_to_run_again_before_its_test(admin, connection, transmitter):
    act(admin, connection, "connect-signals")
    transmitter.statuses["stream-1"] = "paused"
    SignalStream.objects.update(status="paused", reason="maintenance")
    assert "Asked for a test event" in act(admin, connection, "test-signals").content.decode()
    assert transmitter.bodies("POST", "/status") == [{"stream_id": "stream-1", "status": "enabled"}]
    assert (SignalStream.objects.get().status, SignalStream.objects.get().reason) == ("enabled", "")
    transmitter.statuses["stream-1"] = "disabled"
    transmitter.answers["POST /status"] = (403, {})
    assert "asked to have it run" in act(admin, connection, "test-signals").content.decode()


@pytest.mark.parametrize("answer", [(404, {}), (200, {"status": "asleep"}), (200, []), (500, {})])
def test_a_transmitter_that_tells_no_status_is_connected_all_the_same(admin, connection, transmitter, answer):
    transmitter.answers["GET /status"] = answer
    assert "Connected, and asked" in act(admin, connection, "connect-signals").content.decode()


def test_disconnect_deletes_the_stream_there_and_forgets_it_here(admin, connection, transmitter):
    act(admin, connection, "connect-signals")
    assert "has deleted the stream" in act(admin, connection, "disconnect-signals").content.decode()
    assert transmitter.streams == {}
    assert not SignalStream.objects.exists()


def test_disconnect_forgets_the_stream_also_if_the_transmitter_does_not_answer(admin, connection, transmitter):
    act(admin, connection, "connect-signals")
    transmitter.answers["DELETE /streams"] = (500, {})
    assert "answered HTTP 500" in act(admin, connection, "disconnect-signals").content.decode()
    assert not SignalStream.objects.exists()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((401, {}), "did not take our access token"),
        ((500, {}), "answered HTTP 500"),
        ((201, {}), "answered with no stream_id"),
        ((201, {"stream_id": "s", "iss": "https://elsewhere.example"}), "a stream of another issuer"),
        ((201, ["stream"]), "no stream_id"),
    ],
)
def test_a_transmitter_that_makes_no_stream_is_told_in_a_sentence(admin, connection, transmitter, answer, sentence):
    transmitter.answers["POST /streams"] = answer
    response = act(admin, connection, "connect-signals")
    assert response.status_code == 503
    assert sentence in response.content.decode()
    assert not SignalStream.objects.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"issuer": "https://elsewhere.example"}, "is expected"),
        ({"configuration_endpoint": "javascript:alert(1)"}, "cannot be used"),
        ({"configuration_endpoint": ""}, "has no configuration_endpoint"),
    ],
)
def test_metadata_that_is_somebody_elses_or_wrong_is_told(admin, connection, transmitter, change, sentence):
    transmitter.metadata |= change
    assert sentence in act(admin, connection, "connect-signals").content.decode()


def test_a_stream_that_the_transmitter_pauses_says_so_on_the_page(admin, connection, transmitter, pusher):
    act(admin, connection, "connect-signals")
    event = {"status": "paused", "reason": "maintenance"}
    token = transmitter.token(f"{STREAM}stream-updated", event, sub_id={"format": "opaque", "id": "stream-1"})
    assert pusher.push(token, headers={"Authorization": header_of(transmitter)}).status_code == 202
    assert "stream-1, paused: maintenance" in page(admin, connection)
    other = transmitter.token(f"{STREAM}stream-updated", event, sub_id={"format": "opaque", "id": "stream-2"})
    assert_err(pusher.push(other, headers={"Authorization": header_of(transmitter)}), "invalid_request")


def test_a_subject_that_is_markup_is_shown_as_text(admin, connection, transmitter, pusher):
    act(admin, connection, "connect-signals")
    token = transmitter.token(REVOKED, sub_id={"format": "opaque", "id": "<script>alert(1)</script>"})
    assert pusher.push(token, headers={"Authorization": header_of(transmitter)}).status_code == 202
    shown = page(admin, connection)
    assert "<script>alert(1)" not in shown
    assert "&lt;script&gt;" in shown


# --- polls ---------------------------------------------------------------------------------------------------------------
@pytest.mark.spec(POLLS, "2.4", "Events are acknowledged once they are acted upon, and refused ones with an error")
def test_a_poll_takes_what_waits_and_acknowledges_it(admin, polled, transmitter, session):
    act(admin, polled, "connect-signals")
    transmitter.waiting = {
        "1": transmitter.token(REVOKED, sub_id=transmitter.subject("ann")),
        "2": transmitter.token(
            REVOKED, sub_id=transmitter.subject("ann"), key=rsa_key("attacker"), header={"kid": "transmitter"}
        ),
        "3": transmitter.token(f"{CAEP}credential-change", sub_id=transmitter.subject("nobody")),
    }
    poll_signals()
    assert not lives(session)
    assert transmitter.waiting == {}
    assert transmitter.errors == {
        "2": {"err": "authentication_failed", "description": "No key of the transmitter signed this."}
    }
    assert SignalStream.objects.get().polled_at is not None
    first, second = transmitter.bodies("POST", "/poll")
    assert first == {"maxEvents": 25, "returnImmediately": True}
    assert second["ack"] == ["1", "3"]


def test_many_events_that_wait_are_taken_in_one_run(admin, polled, transmitter, session):
    act(admin, polled, "connect-signals")
    transmitter.waiting = {
        str(n): transmitter.token(REVOKED, sub_id=transmitter.subject(f"nobody-{n}")) for n in range(60)
    }
    assert poll.poll_all(timezone.now()) == 60
    assert transmitter.waiting == {}


def test_a_worker_that_died_before_it_acknowledged_gets_the_event_again_and_it_does_nothing(
    admin, polled, transmitter, ann, monkeypatch
):
    act(admin, polled, "connect-signals")
    first = make_session(ann)
    transmitter.waiting = {"1": transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))}
    ask = poll._ask

    def dies_on_acknowledging(stream, verdicts, deadline):
        if verdicts.acks:
            raise KeyboardInterrupt
        return ask(stream, verdicts, deadline)

    with monkeypatch.context() as patched:
        patched.setattr(poll, "_ask", dies_on_acknowledging)
        with pytest.raises(KeyboardInterrupt):
            poll.poll_all(timezone.now())
    assert not lives(first)
    newer = make_session(ann)
    assert poll.poll_all(timezone.now()) == 1
    assert lives(newer)
    assert transmitter.waiting == {}


def test_events_stay_at_the_transmitter_while_its_keys_cannot_be_had(admin, polled, transmitter, session):
    act(admin, polled, "connect-signals")
    transmitter.waiting = {"1": transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))}
    transmitter.answers["GET /jwks"] = (500, {})
    poll.poll_all(timezone.now())
    assert list(transmitter.waiting) == ["1"]
    assert lives(session)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((500, {}), "HTTP 500"),
        ((200, {"sets": []}), "no object of sets"),
        ((200, {"sets": {"1": 7}}), "no object of sets"),
    ],
)
def test_a_poll_that_was_not_answered_is_told_on_the_page(admin, polled, transmitter, answer, sentence):
    act(admin, polled, "connect-signals")
    transmitter.answers["POST /poll"] = answer
    assert poll.poll_all(timezone.now()) == 0
    assert sentence in page(admin, polled)
    del transmitter.answers["POST /poll"]
    poll.poll_all(timezone.now())
    assert sentence not in page(admin, polled)


def test_nobody_is_polled_for_a_connection_that_is_disabled(admin, polled, transmitter, session):
    act(admin, polled, "connect-signals")
    polled.enabled = False
    polled.save()
    assert poll.poll_all(timezone.now()) == 0
    assert transmitter.bodies("POST", "/poll") == []


def test_metadata_is_found_after_the_path_of_an_issuer_too(transmitter, connection, pusher, session):
    """As Keycloak has it."""
    issuer = f"{transmitter.issuer}/realms/acme"
    transmitter.metadata["issuer"] = issuer
    transmitter.answers["GET /realms/acme/.well-known/ssf-configuration"] = (200, transmitter.metadata)
    connection.options["shared_signals"] = {"issuer": issuer, "audience": transmitter.audience}
    connection.save()
    kept.forget()
    assert pusher.event(REVOKED, iss=issuer).status_code == 202
    assert not lives(session)
    assert ReceivedSignal.objects.get().sessions == 1


@pytest.mark.django_db(transaction=True)
def test_the_check_says_what_an_event_must_say_and_whether_it_would_arrive(live_server, settings, admin, connection):
    settings.ISSUER_ORIGIN = live_server.url
    assert '<span class="warn"><span class="visually-hidden">warning: </span>No event was believed' in checked(
        admin, connection
    )
    endpoint = f"{live_server.url}/ssf/acme/events"
    shown = checked(admin, connection)
    assert f"A request to {endpoint} arrives" in shown
    assert f"iss {connection.options['shared_signals']['issuer']} and aud {endpoint}" in shown
    assert "The keys that signatures are checked with are there, for RS256" in shown
    assert '<span class="bad">' not in shown
    ReceivedSignal.objects.create(connection=connection, type=REVOKED)
    assert '<span class="warn">' not in checked(admin, connection)


def test_the_check_tells_of_a_transmitter_that_nobody_can_ask(admin, connection, settings):
    settings.ISSUER_ORIGIN = "http://localhost:9"
    connection.options["shared_signals"] = {"issuer": "http://localhost:9"}
    connection.save()
    assert [finding.level for finding in check.check(connection)] == ["warning", "ok", "error", "warning"]
    connection.options["shared_signals"] = {}
    connection.save()
    assert "Check signals" not in page(admin, connection)
    assert [finding.level for finding in check.check(connection)] == ["error"]


def checked(admin, connection):
    return act(admin, connection, "check-signals").content.decode()
