"""Webhooks as Auth0's event streams: what is taken and refused, what never comes back, and what became of each event."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.crypto import sealing
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream
from logout_app.protocol.retry import Outcome
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SessionEvent
from tests.support.event_streams import fed, sent
from tests.support.factories import make_user
from tests.support.management import Api, make_program

pytestmark = pytest.mark.django_db
BEARER = {"method": "bearer", "token": "s3cret-of-hook"}


def to(endpoint="https://hook.example/in", authorization=BEARER, kind="webhook"):
    return {"type": kind, "configuration": {"webhook_endpoint": endpoint, "webhook_authorization": authorization}}


STREAM = {
    "name": "Watcher",
    "subscriptions": [{"event_type": "user.deleted"}, {"event_type": "password_changed"}],
    "destination": to(),
}


def header(row: EventStream) -> str:
    return sealing.unseal(row.authorization, sealed_for(row, "authorization"))


def test_it_is_made_changed_and_deleted_and_its_secrets_come_out_once():
    api = Api()
    made = api.post("event-streams", STREAM)
    assert made.status_code == 201
    row = EventStream.objects.get()
    assert (row.events, header(row)) == (["account_deleted", "password_changed"], "Bearer s3cret-of-hook")
    stored = made.json()
    secret = stored["destination"]["configuration"].pop("signature_secret")
    assert secret == sealing.unseal(row.secret, sealed_for(row, "secret"))
    path = f"event-streams/{stored['id']}"
    assert stored == api.get(path).json() == api.get("event-streams").json()["eventStreams"][0]
    assert stored["subscriptions"] == STREAM["subscriptions"]
    assert stored["destination"]["configuration"]["webhook_authorization"] == {"method": "bearer"}
    assert api.get("log-streams").json() == []
    assert api.get(f"log-streams/{stored['id'].removeprefix('est_')}").status_code == 404
    same = {name: value for name, value in stored.items() if name not in ("id", "created_at")}
    assert api.patch(path, same).json() == stored  # what was read is written back: the secret stays
    assert header(EventStream.objects.get()) == "Bearer s3cret-of-hook"
    moved = api.patch(path, {"destination": to("https://mallory.example/", {"method": "bearer"})})
    assert (moved.status_code, "webhook_authorization" in moved.json()["message"]) == (400, True)
    assert api.patch(path, {"status": "disabled"}).json()["status"] == "disabled"
    assert api.patch(path, {"status": "enabled", "name": "Other"}).json()["name"] == "Other"
    assert api.delete(path).status_code == 204
    assert api.get(path).json()["errorCode"] == "inexistent_event_stream"
    assert "s3cret" not in str(SessionEvent.objects.values_list("data", flat=True))


@pytest.mark.parametrize(
    ("said", "sent_as", "shown"),
    [
        (
            {"method": "basic", "username": "curfew", "password": "pa:ss"},
            "Basic " + base64.b64encode(b"curfew:pa:ss").decode(),
            {"method": "basic", "username": "curfew"},
        ),
        (
            {"method": "custom_header", "header_key": "authorization", "header_value": "Splunk x"},
            "Splunk x",
            {"method": "custom_header", "header_key": "Authorization"},
        ),
        (
            {"method": "custom_header", "header_key": "Authorization", "header_value": "Basic c2VjcmV0"},
            "Basic c2VjcmV0",
            {"method": "custom_header", "header_key": "Authorization"},
        ),
    ],
)
def test_each_way_to_authorize_requests_is_one_header(said, sent_as, shown):
    answer = Api().post("event-streams", STREAM | {"destination": to(authorization=said)}).json()
    assert header(EventStream.objects.get()) == sent_as
    assert answer["destination"]["configuration"]["webhook_authorization"] == shown


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"destination": to(kind="eventbridge")}, "destination.type"),
        ({"destination": to(kind="action")}, "not by action"),
        ({"destination": to(kind="kafka")}, "destination.type"),
        ({"destination": to("http://127.0.0.1:1/")}, "webhook_endpoint"),
        ({"destination": to(authorization={"method": "bearer"})}, "token"),
        ({"destination": to(authorization={"method": "bearer", "token": "a\nb"})}, "ASCII"),
        ({"destination": to(authorization={"method": "basic", "username": "a:b", "password": "x"})}, "username"),
        (
            {"destination": to(authorization={"method": "custom_header", "header_key": "X-Key", "header_value": "x"})},
            "header_key",
        ),
        ({"destination": to(authorization={"method": "digest"})}, "method"),
        ({"destination": to(authorization=None)}, "webhook_authorization"),
        ({"destination": None}, "destination"),
        ({"subscriptions": []}, "subscriptions"),
        ({"subscriptions": [{"event_type": "organization.created"}]}, "event_type"),
        ({"subscriptions": [{"event_type": "user.created"}]}, "event_type"),
        ({"subscriptions": ["user.deleted"]}, "subscriptions"),
        ({"status": "suspended"}, "status"),
        ({"halted": True}, "halted"),
    ],
)
def test_one_that_could_tell_nobody_is_refused_by_the_name_of_the_key(change, named):
    answer = Api().post("event-streams", STREAM | change)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    assert named in answer.json()["message"]
    assert not EventStream.objects.exists()


def test_where_the_trail_goes_is_said_by_who_may_read_it():
    scopes = ["create:event_streams", "update:event_streams"]
    api = Api(scopes, program=make_program(scopes=scopes))
    assert api.post("event-streams", STREAM).json()["errorCode"] == "insufficient_scope"
    assert not EventStream.objects.exists()


def test_what_became_of_each_event_is_told_and_what_was_refused_is_sent_again():
    api, mary = Api(), make_user()
    path = f"event-streams/{api.post('event-streams', STREAM).json()['id']}"
    for _ in range(3):
        trail.record(EventType.PASSWORD_CHANGED, sub=mary.user_id, actor="user", at=timezone.now(), data={})
    fed()
    told = [json.loads(body) for _, body in sent(Outcome.DELIVERED, Outcome.REFUSED)]
    assert [one["type"] for one in told] == ["password_changed"] * 3
    found = api.get(f"{path}/deliveries").json()["deliveries"]
    assert [(one["id"], one["status"]) for one in found] == [
        (told[2]["id"], "delivered"),
        (told[1]["id"], "failed"),
        (told[0]["id"], "delivered"),
    ]
    assert [len(one["attempts"]) for one in found] == [1, 1, 1]
    page = api.get(f"{path}/deliveries", take=2).json()
    rest = api.get(f"{path}/deliveries", take=2, **{"from": page["next"]}).json()
    assert page["deliveries"] + rest["deliveries"] == found
    assert "next" not in rest
    failed = api.get(f"{path}/deliveries", statuses="failed", event_types="password_changed,user.deleted").json()
    assert failed["deliveries"] == [found[1]] == [api.get(f"{path}/deliveries/{told[1]['id']}").json()]
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    assert api.get(f"{path}/deliveries", date_from=later).json()["deliveries"] == []
    assert api.get(f"{path}/deliveries", statuses="lost").status_code == 400
    none = api.post(f"{path}/redeliver", {"date_from": later})
    assert (none.status_code, sent()) == (202, [])
    assert (
        api.post(f"{path}/redeliver", {"statuses": ["failed"], "event_types": ["password_changed"]}).status_code == 202
    )
    assert [json.loads(body)["id"] for _, body in sent(Outcome.REFUSED)] == [told[1]["id"]]
    assert api.post(f"{path}/redeliver/{told[1]['id']}").status_code == 202
    assert [json.loads(body)["id"] for _, body in sent()] == [told[1]["id"]]
    assert api.post(f"{path}/redeliver/{told[1]['id']}").status_code == 409
    assert api.post(f"{path}/redeliver/nothing").json()["errorCode"] == "inexistent_event"
    assert len(api.get(f"{path}/deliveries/{told[1]['id']}").json()["attempts"]) == 3


def test_the_number_of_statements_does_not_grow_with_the_events():
    api, mary, counts = Api(), make_user(), []
    path = f"event-streams/{api.post('event-streams', STREAM).json()['id']}"
    for _ in range(2):
        for _ in range(4):
            trail.record(EventType.PASSWORD_CHANGED, sub=mary.user_id, actor="user", at=timezone.now(), data={})
        fed()
        sent()
        with CaptureQueriesContext(connection) as seen:
            api.get(f"{path}/deliveries")
        counts.append(len(seen.captured_queries))
    assert counts[0] == counts[1]


def test_a_test_event_is_sent_and_is_one_of_its_events():
    api = Api()
    path = f"event-streams/{api.post('event-streams', STREAM).json()['id']}"
    asked = api.post(f"{path}/test", {"event_type": "user.deleted"})
    assert (asked.status_code, asked.json()["event_type"], asked.json()["status"]) == (202, "test", "pending")
    assert [json.loads(body)["type"] for _, body in sent()] == ["test"]
    assert api.get(f"{path}/deliveries/{asked.json()['id']}").json()["status"] == "delivered"
    assert api.post(f"{path}/test", {"event_type": "user.deleted", "data": {"user_id": "x"}}).status_code == 400


def test_another_stream_s_events_are_not_found():
    api = Api()
    one, other = (api.post("event-streams", STREAM).json()["id"] for _ in range(2))
    event = api.post(f"event-streams/{one}/test", {"event_type": "user.deleted"}).json()["id"]
    assert api.get(f"event-streams/{other}/deliveries/{event}").status_code == 404
    assert api.post(f"event-streams/{other}/redeliver/{event}").status_code == 404
