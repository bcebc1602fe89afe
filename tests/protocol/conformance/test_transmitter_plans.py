"""The modules of the Foundation's plans for transmitters of Shared Signals, by push and by poll.

The suite is the receiver: it manages a stream with its token, asks for a verification, and reads what comes. The CAEP plan drops
update, replace and subjects, and adds one module of its own.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from idp.people import accounts
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import manage
from tests.support.event_streams import StreamReceiver, claims_of, fed, make_receiver, pushed, sent
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db
PLAN = "openid-ssf-transmitter-test-plan"
SSF = "OpenID Shared Signals Framework 1.0"
INTEROP = "CAEP Interoperability Profile 1.0"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"


@pytest.fixture(autouse=True)
def _loopback(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def suite() -> StreamReceiver:
    return StreamReceiver(make_receiver())


def assert_refused(response: Any, status: int) -> None:
    assert response.status_code == status, response.content
    assert response.json()["error_description"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.spec(SSF, "7.1", "What the transmitter offers, as the interoperability profile wants it")
def test_openid_ssf_transmitter_metadata(suite):
    issuer = "http://localhost:8000/"
    document = Client().get("/.well-known/ssf-configuration").json()
    assert document["issuer"] == issuer
    assert document["spec_version"] == "1_0"
    assert set(document["delivery_methods_supported"]) == {v.PUSH, v.POLL}
    for name in ("jwks_uri", "configuration_endpoint", "status_endpoint", "verification_endpoint"):
        assert document[name].startswith(issuer), name
    assert document["authorization_schemes"] == [{"spec_urn": "urn:ietf:rfc:6749"}]
    assert document["default_subjects"] == "ALL"
    assert all(value for value in document.values())  # empty arrays are left out
    assert Client().get("/.well-known/risc-configuration").json() == document
    resource = Client().get("/.well-known/oauth-protected-resource/ssf").json()
    assert set(resource["scopes_supported"]) == {"ssf.read", "ssf.manage"}


@pytest.mark.parametrize("method", [v.PUSH, v.POLL])
@pytest.mark.spec(SSF, "8.1.1", "Create, read, update, replace and delete a stream")
def test_openid_ssf_stream_control_happy_path(suite, method):
    stream = suite.create(method)
    assert stream["iss"] == "http://localhost:8000/"
    assert stream["aud"] == suite.application.client_id
    assert stream["delivery"]["method"] == method
    assert set(stream["events_delivered"]) <= set(stream["events_supported"]) & set(stream["events_requested"])
    assert "authorization_header" not in stream["delivery"]
    assert suite.get("/ssf/streams", stream_id=stream["stream_id"]).json() == stream
    assert suite.get("/ssf/streams").json() == [stream]

    changed = suite.call("PATCH", "/ssf/streams", {"stream_id": stream["stream_id"], "description": "Updated"}).json()
    assert changed == {**stream, "description": "Updated"}
    replaced = suite.call(
        "PUT", "/ssf/streams", {"stream_id": stream["stream_id"], "events_requested": [v.SESSION_REVOKED]}
    ).json()
    assert replaced["events_delivered"] == [v.SESSION_REVOKED]
    assert "description" not in replaced
    assert replaced["delivery"]["method"] == v.POLL

    assert suite.get("/ssf/status", stream_id=stream["stream_id"]).json()["status"] == "enabled"
    for status in ("enabled", "paused", "disabled"):
        body = {"stream_id": stream["stream_id"], "status": status, "reason": "as asked"}
        assert suite.call("POST", "/ssf/status", body).json() == body
    gone = suite.call("DELETE", f"/ssf/streams?stream_id={stream['stream_id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert suite.get("/ssf/streams").json() == []


@pytest.mark.spec(SSF, "8.1.1.1", "A body that cannot be read, or a delivery that does not exist, is refused with 400")
def test_openid_ssf_stream_control_error_create_stream_with_broken_input(suite):
    push = {"method": v.PUSH, "endpoint_url": "https://receiver.example/"}
    for body in (
        "{broken",
        "[]",
        {"delivery": {"method": "urn:unknown"}},
        {"delivery": {"method": v.PUSH}},
        {"delivery": {**push, "endpoint_url": "http://10.0.0.1/"}},
        {"delivery": {**push, "authorization_header": "two\nlines"}},
        {"events_requested": "all"},
        {"description": 5},
    ):
        assert_refused(suite.call("POST", "/ssf/streams", body), 400)
    assert suite.get("/ssf/streams").json() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/ssf/streams", {}),
        ("GET", "/ssf/streams", None),
        ("PATCH", "/ssf/streams", {}),
        ("PUT", "/ssf/streams", {}),
        ("DELETE", "/ssf/streams?stream_id=1", None),
        ("GET", "/ssf/status?stream_id=1", None),
        ("POST", "/ssf/subjects/add", {}),
        ("POST", "/ssf/verify", {}),
        ("POST", "/ssf/poll/1", {}),
    ],
)
@pytest.mark.spec(SSF, "8.1", "Every endpoint of a stream refuses an invalid token with 401")
def test_openid_ssf_stream_control_error_with_invalid_token(suite, method, path, body):
    for token in ("", "invalid"):
        response = suite.call(method, path, body, token=token)
        assert_refused(response, 401)
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="curfew", error="invalid_token"')


@pytest.mark.spec(SSF, "8.1.1.1", "A receiver that has a stream gets 409 for a second one")
def test_openid_ssf_stream_control_error_create_stream_with_duplicate_config(suite):
    suite.create()
    assert_refused(suite.call("POST", "/ssf/streams", suite.wanted()), 409)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/ssf/streams?stream_id=unknown", None),
        ("PATCH", "/ssf/streams", {"stream_id": "unknown"}),
        ("PUT", "/ssf/streams", {"stream_id": "unknown"}),
        ("DELETE", "/ssf/streams?stream_id=unknown", None),
        ("POST", "/ssf/status", {"stream_id": "unknown", "status": "paused"}),
        ("POST", "/ssf/verify", {"stream_id": "unknown"}),
    ],
)
@pytest.mark.spec(SSF, "8.1", "A stream that does not exist, or is another receiver's, is 404")
def test_openid_ssf_stream_control_error_unknown_stream(suite, method, path, body):
    assert_refused(suite.call(method, path, body), 404)
    others = StreamReceiver(make_receiver("Other")).create()["stream_id"]
    named = {**body, "stream_id": others} if body else None
    assert_refused(suite.call(method, path.replace("unknown", others), named), 404)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.spec(SSF, "8.1.1.3", "What is the transmitter's must be as it is, if it is sent")
def test_openid_ssf_stream_control_error_update_and_replace_invalid_body(suite, method):
    stream = suite.create()
    for body in ("{broken", {}, {"stream_id": 7}, {**stream, "aud": "another"}, {**stream, "iss": "https://other/"}):
        assert_refused(suite.call(method, "/ssf/streams", body), 400)
    assert suite.call(method, "/ssf/streams", stream).status_code == 200


@pytest.mark.spec(SSF, "8.1.3", "Subjects are in the stream until they are removed")
def test_openid_ssf_stream_subject_control(suite):
    stream, mary = suite.create(), make_user()
    body = {"stream_id": stream["stream_id"], "subject": {"format": "email", "email": mary.email.upper()}}
    assert suite.call("POST", "/ssf/subjects/remove", body).status_code == 204
    end(make_session(mary), at=timezone.now())
    assert suite.poll()["sets"] == {}
    added = suite.call("POST", "/ssf/subjects/add", body)
    assert (added.status_code, added.content) == (200, b"")
    end(make_session(mary), at=timezone.now())
    assert len(suite.poll()["sets"]) == 1
    assert (
        suite.call(
            "POST", "/ssf/subjects/add", {**body, "subject": {"format": "email", "email": "nobody@x.org"}}
        ).status_code
        == 200
    )
    assert_refused(suite.call("POST", "/ssf/subjects/add", {**body, "subject": "mary"}), 400)


@pytest.mark.spec(
    SSF, "8.1.4", "A verification comes with the state that it was asked with, and not more than once a minute"
)
def test_openid_ssf_transmitter_stream_verification_push(suite):
    stream = suite.create(v.PUSH)
    asked = suite.call("POST", "/ssf/verify", {"stream_id": stream["stream_id"], "state": "a state"})
    assert (asked.status_code, asked.content) == (204, b"")
    [(head, body)] = sent()
    assert head == {"Content-Type": "application/secevent+jwt", "Authorization": "Bearer of-the-receiver"}
    assert_verification(claims_of(body.decode()), stream, {"state": "a state"})
    again = suite.call("POST", "/ssf/verify", {"stream_id": stream["stream_id"]})
    assert again.status_code == 429
    assert 0 < int(again.headers["Retry-After"]) <= stream["min_verification_interval"]


def test_openid_ssf_transmitter_stream_verification_error_push_no_auth(suite):
    wanted = suite.wanted(v.PUSH)
    del wanted["delivery"]["authorization_header"]
    suite.stream = suite.call("POST", "/ssf/streams", wanted).json()
    suite.verify("x")
    [(head, _)] = sent()
    assert "Authorization" not in head


@pytest.mark.spec("RFC 8936", "2.4", "What is not acknowledged comes again, with the same jti")
def test_openid_ssf_transmitter_stream_verification_poll_only(suite):
    stream = suite.create()
    suite.verify("one")
    answer = suite.poll(maxEvents=1)
    [encoded] = answer["sets"].values()
    assert_verification(claims_of(encoded), stream, {"state": "one"})
    assert "moreAvailable" not in answer
    assert suite.poll()["sets"].keys() == answer["sets"].keys()


def test_openid_ssf_transmitter_stream_verification_poll_and_ack(suite):
    stream = suite.create()
    suite.verify("one")
    first = suite.poll()["sets"]
    suite.verify("two")
    [second] = suite.polled(ack=list(first))
    assert_verification(second, stream, {"state": "two"})


@pytest.mark.spec("RFC 8936", "2.2", "maxEvents 0 acknowledges, and fetches nothing")
def test_openid_ssf_transmitter_stream_verification_ack_only(suite):
    suite.create()
    suite.verify("one")
    first = suite.poll()["sets"]
    assert suite.poll(maxEvents=0, ack=list(first)) == {"sets": {}}
    assert suite.poll() == {"sets": {}}


@pytest.mark.parametrize("method", [v.PUSH, v.POLL])
@pytest.mark.spec(INTEROP, "3", "session-revoked and credential-change, with a reason for administrators")
def test_openid_ssf_transmitter_stream_caep_interop(suite, method):
    stream, mary = suite.create(method), make_user()
    suite.verify("state")
    session = make_session(mary)
    event = end(session, at=timezone.now())
    accounts.set_password(mary, "another correct horse", actor="admin:boss")
    claims = pushed() + pushed() if method == v.PUSH else suite.polled()
    if method == v.POLL:
        claims += suite.polled(ack=[each["jti"] for each in claims])
    verification, revoked, changed = claims
    assert_verification(verification, stream, {"state": "state"})
    for each in claims:
        assert not {"sub", "exp"} & each.keys()
        assert (each["iss"], each["aud"]) == (stream["iss"], stream["aud"])
        assert each["iat"] <= timezone.now().timestamp()
        assert len(each["events"]) == 1
    subject = {"format": "iss_sub", "iss": stream["iss"], "sub": mary.user_id}
    assert revoked["sub_id"] == changed["sub_id"] == subject
    assert revoked["txn"] == str(event.pk)
    said = revoked["events"][v.SESSION_REVOKED]
    assert said["initiating_entity"] == "user"
    assert said["reason_admin"] == {"en": "Session ended (rp-logout)"}
    assert isinstance(said["event_timestamp"], int)
    said = changed["events"][v.CREDENTIAL_CHANGE]
    assert (said["credential_type"], said["change_type"]) == ("password", "update")
    assert said["initiating_entity"] == "admin"
    suite.call("DELETE", f"/ssf/streams?stream_id={stream['stream_id']}")
    assert fed() == 0


def assert_verification(claims: dict[str, Any], stream: dict[str, Any], event: dict[str, Any]) -> None:
    assert claims["events"] == {VERIFICATION: event}
    assert claims["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}
    assert claims["aud"] == stream["aud"]


def end(session, at):
    return end_sessions(
        Selection.sessions([session.pk]), initiator=Initiator.RP_LOGOUT, actor="user", at=at, offline_tokens=False
    ).event


def test_who_may_only_read_manages_nothing_and_a_grant_that_was_taken_away_is_gone(suite):
    stream = suite.create()
    reader = StreamReceiver(suite.application, token="")
    from tests.support.event_streams import bearer

    reader.token = bearer(suite.application, "ssf.read")
    assert reader.get("/ssf/streams", stream_id=stream["stream_id"]).status_code == 200
    response = reader.call("DELETE", f"/ssf/streams?stream_id={stream['stream_id']}")
    assert_refused(response, 403)
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="curfew", error="insufficient_scope"')
    suite.application.client_grants.update(scope=["ssf.read"])
    assert_refused(suite.call("POST", "/ssf/verify", {"stream_id": stream["stream_id"]}), 403)
    suite.application.client_grants.all().delete()
    assert_refused(suite.get("/ssf/streams"), 403)
    assert manage.of(suite.application)
