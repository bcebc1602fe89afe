"""Whose security events a connection believes, by the API: the console's rulebook, and secrets that never come out."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from idp.models import Connection
from logout_app.models import SignalStream
from logout_app.shared_signals import transmitter as kept
from sessions_app.models import SessionEvent
from tests.protocol.gtr.support import make_federated_user
from tests.support.factories import make_connection
from tests.support.management import Api, make_program
from tests.support.upstreams.scripted_transmitter import TOKEN, ScriptedTransmitter

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ISSUER = "https://transmitter.example"


@pytest.fixture
def okta() -> Connection:
    options = {"domain": "acme.okta.com", "client_id": "x", "icon_url": ""}
    return make_connection("acme", "okta", options={k: v for k, v in options.items() if v})


def test_it_is_written_read_and_taken_back_and_the_rest_of_the_connection_stays(okta):
    api, path = Api(), f"connections/{okta.public_id}/signals"
    assert api.get(path).json()["errorCode"] == "inexistent_signals"
    said = {"issuer": ISSUER, "method": "poll", "audience": ["urn:a"], "events": {"session-revoked": "end_everything"}}
    made = api.ask("PUT", path, {**said, "token": "s3cret-token"})
    assert made.status_code == 200
    assert {**made.json(), **said} == made.json() == api.get(path).json()
    assert (made.json()["has_token"], made.json()["has_secret"], made.json()["stream"]) == (True, False, None)
    assert "s3cret" not in made.content.decode()
    okta.refresh_from_db()
    assert (okta.options["domain"], okta.options["shared_signals"]) == ("acme.okta.com", said)
    assert "s3cret" not in str(SessionEvent.objects.values_list("data", flat=True))
    elsewhere = api.ask("PUT", path, {"issuer": "https://mallory.example"})
    assert (elsewhere.status_code, "token: Give it again" in elsewhere.json()["message"]) == (400, True)
    assert api.delete(path).status_code == 204
    okta.refresh_from_db()
    assert ("shared_signals" in okta.options, okta.sealed_options) == (False, {})
    assert SessionEvent.objects.filter(type="connection_changed", actor=f"app:{api.program.client_id}").count() == 2


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({}, "issuer"),
        ({"issuer": "http://169.254.169.254/"}, "issuer"),
        ({"issuer": ISSUER, "method": "telegram"}, "method"),
        ({"issuer": ISSUER, "events": {"session-revoked": "delete"}}, "events"),
        ({"issuer": ISSUER, "events": []}, "events"),
        ({"issuer": ISSUER, "token_endpoint": ISSUER}, "client_id"),
        ({"issuer": ISSUER, "token": 7}, "token"),
        ({"issuer": ISSUER, "stream_id": "theirs"}, "stream_id"),
    ],
)
def test_what_the_rulebook_refuses_is_refused_by_the_name_of_the_key(okta, said, named):
    answer = Api().ask("PUT", f"connections/{okta.public_id}/signals", said)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    assert named in answer.json()["message"]
    okta.refresh_from_db()
    assert "shared_signals" not in okta.options


def test_who_could_sign_in_as_an_administrator_by_it_may_not(okta):
    """An event of a transmitter ends sessions of people with powers, too."""
    user = make_federated_user(okta, "boss", "boss@acme.example")
    get_user_model().objects.filter(pk=user.pk).update(is_staff=True)
    api, path = Api(), f"connections/{okta.public_id}/signals"
    for method, place in (("PUT", path), ("POST", f"{path}/connect"), ("POST", f"{path}/disconnect")):
        answer = api.ask(method, place, {"issuer": ISSUER} if method == "PUT" else None)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "operation_not_supported"), place


def test_strategies_without_events_say_so():
    database = make_connection()
    answer = Api().ask("PUT", f"connections/{database.public_id}/signals", {"issuer": ISSUER})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "operation_not_supported")


def test_options_are_read_by_who_may_read_options_only(okta):
    program = make_program("Reader", ["read:connections"])
    answer = Api(["read:connections"], program=program).get(f"connections/{okta.public_id}/signals")
    assert answer.json()["errorCode"] == "insufficient_scope"


def test_a_stream_is_made_tested_and_deleted_at_the_transmitter(okta, loopback_upstreams):
    kept.forget()
    api, path = Api(), f"connections/{okta.public_id}/signals"
    with ScriptedTransmitter() as transmitter:
        assert api.ask("PUT", path, {"issuer": transmitter.issuer}).status_code == 200
        assert "no token" in api.post(f"{path}/connect").json()["message"]
        assert api.post(f"{path}/verify").json()["errorCode"] == "inexistent_stream"
        api.ask("PUT", path, {"issuer": transmitter.issuer, "token": TOKEN})
        connected = api.post(f"{path}/connect")
        assert (connected.status_code, connected.json()["stream"]["status"]) == (200, "enabled")
        assert api.post(f"{path}/verify").status_code == 202
        assert len(transmitter.verifications) == 1
        assert api.delete(path).status_code == 409
        header = transmitter.streams["stream-1"]["delivery"]["authorization_header"]
        assert header not in api.get(path).content.decode()
        assert api.post(f"{path}/disconnect").json() == {"deleted_there": True}
        assert not transmitter.streams
        assert not SignalStream.objects.exists()
        assert api.delete(path).status_code == 204
        lines = SessionEvent.objects.filter(type="signal_stream_changed").order_by("pk")
        assert [(line.data["status"], line.actor) for line in lines] == [
            (status, f"app:{api.program.client_id}") for status in ("connected", "disconnected")
        ]


def test_a_transmitter_that_is_away_is_no_fault_of_ours(okta, loopback_upstreams):
    kept.forget()
    api, path = Api(), f"connections/{okta.public_id}/signals"
    with ScriptedTransmitter() as transmitter:
        api.ask("PUT", path, {"issuer": transmitter.issuer, "token": TOKEN})
    answer = api.post(f"{path}/connect")
    assert (answer.status_code, answer.json()["errorCode"]) == (502, "transmitter_failed")
