"""Events that we send: what each act becomes, and that Apple, Google, Okta and programs of one's own can read it.

The stand-ins are what documents of the real ones say: Apple's request to make a stream as bridges for it record it (older name
of push, `aud`, `iss`, `format`, a token beside the URL); Google and Okta as their references describe their receivers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from idp.directory import memberships
from idp.models import Group, Role
from idp.people import accounts
from idp.tenants import signals_api
from logout_app.delivery import deliver, outbox
from logout_app.delivery.channels import streams as channels
from logout_app.delivery.channels.registry import SENT
from logout_app.models import EventStream, FormerAddress, LogoutDelivery
from logout_app.protocol.retry import Outcome
from logout_app.protocol.streams import vocabulary as v
from logout_app.protocol.streams import webhooks
from logout_app.streams import manage, poll
from sessions_app.audit import history, trail
from sessions_app.audit.events import EventType, Fact
from tests.support.event_streams import (
    PUSHED_TO,
    StreamReceiver,
    bearer,
    claims_of,
    events_of,
    fed,
    make_receiver,
    pushed,
    sent,
)
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db
AT_APPLE = "https://schemas.openid.net/secevent/risc/delivery-method/push"


@pytest.fixture(autouse=True)
def _loopback(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


def stream(**fields: Any) -> EventStream:
    row = EventStream(
        **{
            "public_id": manage.new_public_id(),
            "name": "Watcher",
            "endpoint": PUSHED_TO,
            "audiences": ["watcher"],
            "events": list(v.SUPPORTED),
            "after": history.newest(),
            **fields,
        }
    )
    row.secret = manage.seal(row, "secret", "whsec_known")
    row.save()
    return row


def happened(event: EventType, user, session=None, **facts: Any) -> None:
    actor = "user" if Fact.ACTOR in event.facts else ""
    trail.record(event, user=user, session=session, actor=actor, at=timezone.now(), **facts)


def test_every_act_has_its_event_with_the_claims_that_caep_and_risc_require():
    stream()
    mary, at = make_user(), timezone.now()
    session = make_session(mary)
    happened(EventType.OPENED, mary, session, data={"amr": ["pwd"]})
    happened(EventType.REAUTHENTICATED, mary, session, data={"amr": ["pwd", "otp"]})
    happened(EventType.SECOND_FACTOR_ADDED, mary, data={"factor": "webauthn"})
    happened(EventType.SECOND_FACTOR_ADDED, mary, data={"factor": "recovery_codes"})  # none of CAEP's
    happened(EventType.SECOND_FACTORS_RESET, mary, data={"factors": ["totp"]})
    memberships.add_person(Group.objects.create(name="staff"), mary, actor="admin:boss", at=at)
    accounts.change_email(mary, "mary.smith@fabrikamcorp.com", verified=True, actor="user", at=at)
    accounts.block_user(mary, actor="admin:boss", at=at)
    accounts.unblock_user(mary, actor="admin:boss", at=at)
    claims = pushed()
    accounts.delete_user(mary, actor="admin:boss", at=at)
    claims += pushed()
    said = [next(iter(each["events"].values())) for each in claims]
    of_accounts = ("identifier-changed", "session-revoked", "account-disabled", "account-enabled", "account-purged")
    of_sessions = ("session-established", "assurance-level-change", "token-claims-change")
    assert Counter(events_of(claims)) == Counter([*of_accounts, *of_sessions, *["credential-change"] * 2])
    by_name = dict(zip(events_of(claims), said, strict=True))
    assert (by_name["session-established"]["ext_id"], by_name["session-established"]["amr"]) == (session.sid, ["pwd"])
    assert by_name["assurance-level-change"]["current_level"] == "nist-aal2"
    assert [(each["credential_type"], each["change_type"]) for each in said if "credential_type" in each] == [
        ("fido2-roaming", "create"),
        ("app", "revoke"),
    ]
    assert by_name["token-claims-change"]["claims"] == {"groups": ["staff"]}


def test_who_is_named_by_address_is_so_although_they_have_another_or_are_gone():
    stream(subject_format="email", events=[v.IDENTIFIER_CHANGED, v.ACCOUNT_PURGED, v.SESSION_REVOKED])
    mary, at = make_user(), timezone.now()
    accounts.change_email(mary, "new@fabrikamcorp.com", verified=True, actor="user", at=at)
    changed = pushed()[0]
    assert changed["sub_id"] == {"format": "email", "email": "mary@fabrikamcorp.com"}
    assert changed["events"][v.IDENTIFIER_CHANGED] == {"new-value": "new@fabrikamcorp.com"}
    accounts.delete_user(mary, actor="admin:boss", at=timezone.now())
    assert pushed()[-1]["sub_id"] == {"format": "email", "email": "new@fabrikamcorp.com"}


def test_without_a_stream_nothing_is_kept_of_who_is_deleted():
    accounts.delete_user(make_user(), actor="admin:boss", at=timezone.now())
    assert not FormerAddress.objects.exists()


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"subject_place": "both", "subject_format": "email"}, "google"),
        ({"subject_place": "event", "subject_format": "email"}, "okta"),
        ({"subject_format": "complex", "algorithm": "ES256"}, "complex"),
    ],
)
def test_google_and_okta_find_the_subject_where_they_look_for_it(fields, where):
    stream(**fields)
    mary = make_user()
    session = make_session(mary)
    happened(EventType.ENDED, mary, session, initiator="rp-logout")
    [claims] = pushed()
    event, email = claims["events"][v.SESSION_REVOKED], {"format": "email", "email": mary.email}
    if where == "google":
        assert claims["sub_id"] == event["subject"] == email
    elif where == "okta":
        assert event["subject"] == {"user": email}
        assert "sub_id" not in claims
    else:
        user = {"format": "iss_sub", "iss": claims["iss"], "sub": mary.user_id}
        assert claims["sub_id"] == {
            "format": "complex",
            "user": user,
            "session": {"format": "opaque", "id": session.sid},
        }


def test_several_sessions_of_one_sign_out_are_one_event_for_who_knows_no_sessions():
    stream()
    mary = make_user()
    for _ in range(3):
        happened(EventType.ENDED, mary, make_session(mary), initiator="rp-logout", data={"event": 77})
    assert [claims["txn"] for claims in pushed()] == ["77"]


def test_apple_makes_its_stream_with_the_token_of_an_administrator_who_signed_in_there():
    apple, boss = make_receiver("Apple Business Manager"), make_user("boss@fabrikamcorp.com")
    token = bearer(apple, "openid ssf.manage ssf.read offline_access", user=boss, session=make_session(boss, apple))
    manager = StreamReceiver(apple, token)
    wanted = {
        "iss": "http://localhost:8000/",
        "aud": ["https://federation.apple.com/feeds/business/caep/1", "apple"],
        "delivery": {"method": AT_APPLE, "endpoint_url": PUSHED_TO, "endpoint_url_token": "of-apple"},
        "events_requested": [v.SESSION_REVOKED, v.CREDENTIAL_CHANGE],
        "format": "email",
    }
    assert manager.call("POST", "/ssf/streams", wanted).status_code == 403  # the person has no role for it yet
    permission = {"resource_server_identifier": signals_api.audience(), "permission_name": "ssf.manage"}
    Role.objects.create(name="Streams", permissions=[permission]).people.add(boss)
    response = manager.call("POST", "/ssf/streams", wanted)
    assert response.status_code == 201, response.content
    assert response.json()["delivery"]["method"] == AT_APPLE
    assert response.json()["aud"] == wanted["aud"]
    [(head, body)] = sent()  # a verification, at once
    assert head["Authorization"] == "Bearer of-apple"
    assert events_of([claims_of(body.decode())]) == ["verification"]
    mary = make_user()
    accounts.set_password(mary, "another correct horse", actor="user")
    [claims] = pushed()
    assert claims["sub_id"] == {"format": "email", "email": mary.email}
    assert claims["aud"] == wanted["aud"]


def test_two_workers_feed_a_stream_once_and_a_held_back_row_keeps_the_others_back():
    row = stream(events=[v.SESSION_REVOKED])
    mary = make_user()
    for number in range(3):
        happened(EventType.ENDED, mary, make_session(mary), initiator="rp-logout", data={"event": number + 1})
    assert (fed(), fed()) == (3, 0)
    first = LogoutDelivery.objects.order_by("pk").first()
    LogoutDelivery.objects.filter(pk=first.pk).update(
        lease_until=timezone.now() + timedelta(seconds=10), attempts=1
    )  # another worker is at it
    assert sent() == []
    LogoutDelivery.objects.filter(pk=first.pk).update(lease_until=None, due_at=timezone.now())
    LogoutDelivery.objects.update(due_at=timezone.now())
    assert [claims_of(body.decode())["txn"] for _, body in sent(Outcome.REFUSED)] == ["1", "2", "3"]
    assert manage.redeliver_dead(row, at=timezone.now()) == 1


@pytest.mark.parametrize("many", [True, False])
def test_what_a_claim_has_of_a_stream_is_read_at_once_and_else_one_by_one(many, monkeypatch, django_assert_num_queries):
    stream(events=[v.SESSION_REVOKED])
    user = make_user()
    for _ in range(5):
        happened(EventType.ENDED, user, make_session(user), initiator="user-logout")
    fed()
    rows = claimed()
    if not many:  # one value that cannot be read keeps the other events back no longer than itself
        monkeypatch.setattr(channels, "_at_once", lambda _: 1 / 0)
    deliver.prepare(rows[:1], timezone.now())
    of_order, of_items = 1, 2
    with django_assert_num_queries(of_order + (of_items if many else len(rows))):
        prepared = deliver.prepare(rows, timezone.now())
    assert [job.claimed.id for job in prepared.jobs] == [row.id for row in rows]


def claimed():
    at = timezone.now()
    return outbox.claim(channels=list(SENT), rooms={}, cap=20, limit=100, at=at, lease=timedelta(seconds=10))


def test_who_polls_again_at_once_gets_what_gathered(monkeypatch):
    waited = list[float]()
    monkeypatch.setattr(poll, "sleep", waited.append)
    monkeypatch.setattr(poll, "GATHER", 60.0)
    monkeypatch.setattr(poll, "_answered", {})
    receiver = StreamReceiver(make_receiver())
    receiver.create(events_requested=[v.SESSION_REVOKED])
    user = make_user()
    happened(EventType.ENDED, user, make_session(user), initiator="user-logout")
    first = receiver.poll(returnImmediately=False)["sets"]
    assert waited == [0.0]
    happened(EventType.ENDED, user, make_session(user), initiator="user-logout")
    second = receiver.poll(returnImmediately=False, ack=list(first))["sets"]
    assert (len(first), len(second)) == (1, 1)
    assert 30 < waited[1] <= 60
    assert len(receiver.poll(returnImmediately=True)["sets"]) == 1  # who does not wait is not made to


def test_who_is_behind_is_not_made_to_wait(monkeypatch):
    waited = list[float]()
    monkeypatch.setattr(poll, "sleep", waited.append)
    monkeypatch.setattr(poll, "_answered", {})
    receiver = StreamReceiver(make_receiver())
    receiver.create(events_requested=[v.SESSION_REVOKED])
    user = make_user()
    for _ in range(2):
        happened(EventType.ENDED, user, make_session(user), initiator="user-logout")
    first = receiver.poll(returnImmediately=False, maxEvents=1)
    assert first["moreAvailable"]
    assert len(receiver.poll(returnImmediately=False, maxEvents=1, ack=list(first["sets"]))["sets"]) == 1
    assert waited == [0.0, 0.0]


@pytest.mark.parametrize(
    ("body_format", "read"), [("object", json.loads), ("array", lambda raw: json.loads(raw)[0]), ("lines", json.loads)]
)
def test_a_webhook_is_signed_and_tells_lines_again_with_their_ids(body_format, read):
    row, before = stream(kind="webhook", events=["opened", "ended"], body_format=body_format), timezone.now()
    mary = make_user()
    session = make_session(mary)
    happened(EventType.OPENED, mary, session)
    happened(EventType.PASSWORD_CHANGED, mary)
    happened(EventType.ENDED, mary, session, initiator="rp-logout", data={"event": 5})
    fed()
    requests = sent(Outcome.DELIVERED, Outcome.REFUSED)
    lines = [read(body) for _, body in requests]
    assert [line["type"] for line in lines] == ["opened", "ended"]
    assert lines[1]["data"] == {"event": 5}
    assert lines[0]["position"] < lines[1]["position"]
    head, body = requests[0]
    parts = dict(part.split("=") for part in head[webhooks.SIGNATURE].split(","))
    assert hmac.new(b"whsec_known", f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest() == parts["v1"]
    assert body.endswith(b"\n") == (body_format == "lines")
    manage.replay(row, before, actor="admin:boss", at=timezone.now())
    fed()
    assert [read(body)["id"] for _, body in sent()] == [line["id"] for line in lines]
    manage.send_verification(row, None, timezone.now())
    assert [read(body)["type"] for _, body in sent()] == ["test"]
