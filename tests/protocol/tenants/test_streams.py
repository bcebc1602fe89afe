"""`sharedSignalsStreams` and `logStreams` of a tenant file: set up, changed without losing their place, taken away with what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from idp.crypto import sealing
from idp.models import ClientGrant
from idp.tenants import apply as tenant
from idp.tenants.applied import Applied
from idp.tenants.file.references import SecretNames
from idp.tenants.reader import TenantFileError
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream, LogoutDelivery
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import manage, rules
from logout_app.streams.file.webhooks import LogStreams
from sessions_app.audit import history
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent
from tests.protocol.shared_signals.test_sent import happened
from tests.support.event_streams import StreamReceiver, events_of, fed, make_receiver, pushed
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db
WATCHER = "{name: Watcher, endpoint: 'http://127.0.0.1:18009/events', audiences: [watcher], events: [session-revoked]}"
HOOK = "{name: SIEM, type: http, sink: {httpEndpoint: 'http://127.0.0.1:18009/in'}, filters: [{type: category, name: ended}]}"


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(text: str, **options: bool) -> list[Applied]:
        path = tmp_path / "tenant.yaml"
        path.write_text(text)
        return tenant.apply(path, at=timezone.now(), **options)

    return _write


def end_somebodys(name: str) -> None:
    user = make_user(email=f"{name}@fabrikamcorp.com")
    happened(EventType.ENDED, user, make_session(user), initiator="user-logout")


def streams(*entries: str) -> str:
    return f"sharedSignalsStreams: [{', '.join(entries)}]"


def test_a_new_stream_hears_from_now_on_and_a_changed_one_keeps_its_place(write):
    end_somebodys("ann")
    (made,) = write(streams(WATCHER))
    assert (made.what, made.note.startswith("id ")) == ("created", True)
    row = EventStream.objects.get()
    assert (row.after, row.events) == (history.newest() - 1, [v.SESSION_REVOKED])  # before the line of its making
    end_somebodys("bob")
    held = row.after
    changed = WATCHER.replace(
        "audiences: [watcher]", "audiences: [watcher, dog], algorithm: ES256, subject_format: email"
    )
    (outcome,) = write(streams(changed))
    assert [each.what for each in outcome.changes] == ["audiences", "algorithm", "subject_format"]
    row.refresh_from_db()
    assert (row.after, row.algorithm) == (held, "ES256")
    told = pushed()
    assert [each["sub_id"]["email"] for each in told] == ["bob@fabrikamcorp.com"]
    assert [outcome.what for outcome in write(streams(changed))] == ["unchanged"]
    changes = SessionEvent.objects.filter(type="event_stream_changed").order_by("pk")
    assert [line.data["change"] for line in changes] == ["made", "changed"]


def test_a_dry_run_makes_nothing_and_shows_no_secret(write, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HEADER", "Bearer of-the-watcher")
    path = tmp_path / "tenant.yaml"
    path.write_text(f"{streams(WATCHER.replace('}', ', authorization_header: {env: HEADER}}'))}\nlogStreams: [{HOOK}]")
    with pytest.raises(SystemExit) as ended:
        call_command("apply", str(path), "--dry-run")
    said = capsys.readouterr().out
    assert ended.value.code == 2
    assert "created   Shared Signals stream Watcher (what it is known by is made" in said
    assert "authorization: nothing -> a secret" in said
    assert "secret: nothing -> a secret" in said
    assert "of-the-watcher" not in said
    assert "whsec_" not in said
    assert not EventStream.objects.exists()


def test_a_webhook_gets_a_secret_that_is_shown_once_and_one_that_it_has_is_no_change(write, monkeypatch):
    (made,) = write(f"logStreams: [{HOOK}]")
    row = EventStream.objects.get()
    secret = sealing.unseal(row.secret, sealed_for(row, "secret"))
    assert secret in made.note
    assert (row.kind, row.events, row.body_format) == ("webhook", ["ended"], "object")
    monkeypatch.setenv("SECRET", secret)
    same = HOOK.replace("/in'", "/in', signatureSecret: {env: SECRET}")
    assert [each.what for each in write(f"logStreams: [{same}]")] == ["unchanged"]
    monkeypatch.setenv("SECRET", "another-secret-0123456789")
    (outcome,) = write(f"logStreams: [{same}]")
    assert [(each.what, each.after) for each in outcome.changes] == [("secret", "another secret")]


def test_what_a_pruned_stream_held_is_said_and_a_receiver_s_own_stays(write):
    receiver = StreamReceiver(make_receiver())
    receiver.create()
    write(f"{streams(WATCHER)}\nlogStreams: [{HOOK}]")
    end_somebodys("ann")
    assert fed() == 2
    end_somebodys("bob")
    outcomes = write("{sharedSignalsStreams: [], logStreams: []}", prune=True)
    assert [str(each) for each in outcomes] == [
        "removed   webhook SIEM (with 2 events that it was not told)",
        "unchanged Shared Signals stream Receiver (Receiver manages it, until its client grant is taken away)",
        "removed   Shared Signals stream Watcher (with 2 events that it was not told)",
    ]
    assert [row.name for row in EventStream.objects.all()] == ["Receiver"]
    assert set(LogoutDelivery.objects.values_list("state", flat=True)) == {"dropped"}
    assert write("clients: []", prune=True)  # which has no section of streams: with the application its stream goes
    assert not EventStream.objects.exists()


def test_an_administrator_s_word_about_a_receiver_s_stream_and_none_about_its_own_pause(write):
    receiver = StreamReceiver(make_receiver())
    stream_id = receiver.create(v.PUSH)["stream_id"]
    entry = f"{{id: {stream_id}, client_id: Receiver, status: STATUS}}"
    assert [each.what for each in write(streams(entry.replace("STATUS", "enabled")))] == ["unchanged"]
    assert receiver.call("POST", "/ssf/status", {"stream_id": stream_id, "status": "paused"}).status_code == 200
    assert [each.what for each in write(streams(entry.replace("STATUS", "enabled")))] == ["unchanged"]
    (outcome,) = write(streams(entry.replace("STATUS", "paused")))
    assert [str(each) for each in outcome.changes] == ["status from paused, by its receiver to paused"]
    enable = {"stream_id": stream_id, "status": "enabled"}
    assert receiver.call("POST", "/ssf/status", enable).status_code == 403
    write(streams(entry.replace("STATUS", "enabled")))
    assert receiver.row.status == "enabled"
    assert receiver.row.events == list(v.SUPPORTED)  # of which the entry said nothing


def test_another_method_gives_back_what_waits_by_the_old_one(write):
    receiver = StreamReceiver(make_receiver())
    stream_id = receiver.create(v.PUSH)["stream_id"]
    end_somebodys("ann")
    assert fed() > 0
    write(streams(f"{{id: {stream_id}, method: poll}}"))
    assert (receiver.row.method, receiver.row.endpoint) == ("poll", "")
    receiver.stream = receiver.get("/ssf/streams", stream_id=stream_id).json()
    assert "session-revoked" in events_of(receiver.polled())


def test_a_stream_of_an_application_without_a_grant_tells_nobody_until_it_has_one(write):
    application = make_receiver()
    ClientGrant.objects.all().delete()
    (made,) = write(streams("{client_id: Receiver, name: Its, method: poll}"))
    assert "no client grant" in made.warnings[0]
    row = EventStream.objects.get()
    assert (row.application, row.status, row.audiences) == (application, "disabled", [application.client_id])


def test_a_word_of_the_file_does_not_give_back_what_a_superuser_took_away(write):
    receiver = StreamReceiver(make_receiver())
    entry = f"{{id: {receiver.create(v.PUSH)['stream_id']}, client_id: Receiver, status: STATUS}}"
    write(streams(entry.replace("STATUS", "paused")))
    ClientGrant.objects.get().delete()
    (outcome,) = write(streams(entry.replace("STATUS", "enabled")))
    assert (outcome.what, receiver.row.status) == ("unchanged", "disabled")
    assert "no client grant" in outcome.warnings[0]
    with pytest.raises(manage.NotGranted):
        manage.set_status(receiver.row, "enabled", "", actor="x", at=timezone.now(), by=manage.SetBy.ADMINISTRATOR)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (WATCHER.replace("18009/events", "99/events"), "[0].endpoint: nothing can be sent there"),
        (WATCHER.replace("session-revoked", "session-ended"), "[0].events[0]: must be one of session-revoked"),
        (WATCHER.replace("session-revoked", "'urn:x'"), "[0].events: there is no such event: urn:x"),
        (WATCHER.replace("[watcher]", "[]"), "[0].audiences: must be 1 to 10 texts"),
        (WATCHER.replace("name: Watcher, ", ""), "[0].name: is missing"),
        (WATCHER.replace("name", "method: poll, name"), "[0].method: must be push"),
        (WATCHER.replace("name", "algorithm: HS256, name"), "[0].algorithm: must be one of"),
        (WATCHER.replace("name", "client_id: gone, name"), "[0].client_id: there is no client gone"),
        (WATCHER.replace("name", "id: 7, name"), "[0].id: must be text"),
        (WATCHER.replace("name", "id: x, name"), "[0].id: is no id of a stream"),
        (WATCHER.replace("name", "posision: 5, name"), "[0].posision: is not known here"),
        (WATCHER.replace("name", 'authorization_header: "two\\nlines", name'), "[0].authorization_header: must be one"),
        (f"{WATCHER}, {WATCHER}", "[1]: has the same name as"),
    ],
)
def test_mistakes_are_named_at_their_place_and_nothing_is_made(write, entry, problem):
    with pytest.raises(TenantFileError) as caught:
        write(streams(entry))
    assert f"sharedSignalsStreams{problem}" in str(caught.value)
    assert not EventStream.objects.exists()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (HOOK.replace("http,", "splunk,"), "[0].type: must be one of http, not splunk"),
        (HOOK.replace("ended", "auth.login.fail"), "[0].filters: there is no such type in the audit trail"),
        (HOOK.replace("127.0.0.1", "169.254.169.254"), "[0].sink.httpEndpoint: nothing can be sent there"),
        (HOOK.replace("/in'", "/in', httpContentFormat: XML"), "[0].sink.httpContentFormat: must be one of"),
        (HOOK.replace("/in'", "/in', signatureSecret: short"), "[0].sink.signatureSecret: is shorter than"),
        (HOOK.replace("type: http,", "isPriority: true,"), "[0].isPriority: is not done here"),
    ],
)
def test_mistakes_of_webhooks_are_named_in_auth0_s_words(write, entry, problem):
    with pytest.raises(TenantFileError) as caught:
        write(f"logStreams: [{entry}]")
    assert f"logStreams{problem}" in str(caught.value)


def test_another_host_is_not_told_what_the_old_one_knows_us_by(write):
    write(streams(WATCHER.replace("name", "authorization_header: Bearer old, name")))
    moved = WATCHER.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(TenantFileError, match=r"\[0\]\.authorization_header: must be given"):
        write(streams(moved))
    (outcome,) = write(streams(moved.replace("name", "authorization_header: Bearer new, name")))
    assert [each.what for each in outcome.changes] == ["endpoint", "authorization"]


def test_two_of_a_name_are_told_apart_by_their_ids(write):
    for _ in range(2):
        EventStream.objects.create(
            public_id=manage.new_public_id(), name="Watcher", endpoint="http://127.0.0.1:18009/e", audiences=["w"]
        )
    with pytest.raises(TenantFileError, match=r"\[0\]\.name: several streams are called Watcher: give the id"):
        write(streams(WATCHER))
    row = EventStream.objects.first()
    (outcome,) = write(streams(WATCHER.replace("name", f"id: {row.public_id}, name")))
    assert outcome.what == "updated"


def test_no_more_are_made_than_a_worker_can_look_at(write, monkeypatch):
    monkeypatch.setattr(rules, "MOST", 1)
    write(f"logStreams: [{HOOK}]")
    with pytest.raises(TenantFileError, match=r"logStreams\[1\]: there would be more than 1 of its kind"):
        write(f"logStreams: [{HOOK}, {HOOK.replace('SIEM', 'Another')}]")
    assert [outcome.what for outcome in write(f"logStreams: [{HOOK}]")] == ["unchanged"]


def test_what_the_api_lists_as_an_event_stream_is_one_in_the_file_too(write):
    write(f"logStreams: [{HOOK[:-1]}, asEventStream: true}}]")
    assert EventStream.objects.get().as_events
    (entry,) = LogStreams().export(SecretNames())
    assert entry["asEventStream"] is True
    assert [outcome.what for outcome in write(f"logStreams: [{HOOK}]")] == ["unchanged"]
    write(f"logStreams: [{HOOK[:-1]}, asEventStream: false}}]")
    assert "asEventStream" not in LogStreams().export(SecretNames())[0]
