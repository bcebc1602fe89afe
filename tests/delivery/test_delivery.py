"""Deliveries from the door to a real receiver in another process."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys, rotation
from idp.models import SigningKey
from logout_app.delivery import outbox, redeliver
from logout_app.models import DeliveryAttempt, LogoutDelivery
from tests.delivery.conftest import attempted, make_due, running, sign_in, sign_out, states, wait_for
from tests.support.receiver import claims_of, header_of, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


# --- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("backchannel", "2.5", "B3 every application of the session is told, once")
def test_every_application_of_the_session_is_told_once(receiver, application):
    session = sign_in(application("one"), application("two"))
    application("stranger")
    with running():
        sign_out(session)
        wait_for("delivered", "delivered")
    assert sorted(post["path"] for post in receiver.posts()) == ["one", "two"]
    assert {token["sid"] for token in receiver.tokens()} == {session.sid}
    assert DeliveryAttempt.objects.filter(outcome="delivered", status=200, number=1).count() == 2


@pytest.mark.spec("backchannel", "2.5", "B10 POST, form-encoded, logout_token and nothing else")
def test_the_request_is_a_form_with_one_field(receiver, application):
    with running():
        sign_out(sign_in(application()))
        wait_for("delivered")
    (post,) = receiver.posts()
    assert post["method"] == "POST"
    assert post["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert list(post["form"]) == ["logout_token"]
    assert "cookie" not in post["headers"]


@pytest.mark.spec("backchannel", "2.4", "B4 claims of the logout token; nonce prohibited")
@pytest.mark.spec("backchannel", "2.6", "B6 it is signed with the key and algorithm of the application's ID tokens")
@pytest.mark.spec("backchannel", "2.4", "B7 typ is logout+jwt, or JWT for an application that asks for it")
def test_each_application_gets_its_own_token_by_its_own_algorithm_and_type(receiver, application, settings):
    session = sign_in(
        application("rs"),
        application("es", id_token_signed_response_alg="ES256", backchannel_logout_token_typ="JWT"),
        application("anonymous", backchannel_logout_include_sub=False),
    )
    with running():
        sign_out(session)
        wait_for("delivered", "delivered", "delivered")
    jwks = KeySet.import_key_set(keys.published())
    for client_id, algorithm, typ in (
        ("rs", "RS256", "logout+jwt"),
        ("es", "ES256", "JWT"),
        ("anonymous", "RS256", "logout+jwt"),
    ):
        (post,) = receiver.posts(client_id)
        raw = post["form"]["logout_token"][0]
        assert (header_of(raw)["alg"], header_of(raw)["typ"]) == (algorithm, typ)
        claims = jwt.decode(raw, jwks, algorithms=[algorithm]).claims
        assert (claims["iss"], claims["aud"], claims["sid"]) == (settings.ISSUER, client_id, session.sid)
        assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert claims["exp"] <= claims["iat"] + 120
        assert abs(claims["iat"] - post["at"]) < 5
        assert "nonce" not in claims
        assert claims.get("sub") == (None if client_id == "anonymous" else session.user.user_id)
    assert len({token["jti"] for token in receiver.tokens()}) == 3


def test_each_attempt_has_a_fresh_token(receiver, application):
    receiver.behave(app="503")
    with running():
        sign_out(sign_in(application()))
        attempted()
        receiver.behave(app="200")
        make_due()
        wait_for("delivered")
    first, second = receiver.tokens()
    assert first["jti"] != second["jti"]
    assert first["sid"] == second["sid"]
    assert list(DeliveryAttempt.objects.order_by("number").values_list("number", "outcome", "jti")) == [
        (1, "retry", first["jti"]),
        (2, "delivered", second["jti"]),
    ]


def test_a_backlog_of_hours_is_told_oldest_first_with_fresh_tokens(receiver, application, settings):
    """F-W09."""
    settings.PER_APP_IN_FLIGHT = 1
    app, now = application(), timezone.now()
    sessions = [sign_in(app) for _ in range(5)]
    for hours, session in enumerate(sessions):
        sign_out(session, at=now - timedelta(hours=hours))
    with running():
        wait_for(*["delivered"] * 5)
    assert [token["sid"] for token in receiver.tokens()] == [session.sid for session in reversed(sessions)]
    assert all(
        abs(token["iat"] - post["at"]) < 5 for token, post in zip(receiver.tokens(), receiver.posts(), strict=True)
    )


def test_signing_keys_may_rotate_while_deliveries_wait(receiver, application):
    """F-K01."""
    app, now = application(), timezone.now()
    keys.ensure()
    sign_out(*[sign_in(app) for _ in range(3)])
    rotation.rotate(now, force=True)
    SigningKey.objects.filter(status="next").update(created_at=now - timedelta(days=1))
    rotation.rotate(now, force=True)
    with running():
        wait_for(*["delivered"] * 3)
    active = SigningKey.objects.get(status="active", algorithm="RS256").kid
    assert {header_of(post["form"]["logout_token"][0])["kid"] for post in receiver.posts()} == {active}


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("backchannel", "2.8", "B12 200 and 204 are success")
@pytest.mark.parametrize("status", ["200", "204"])
def test_200_and_204_are_success(receiver, application, status):
    receiver.behave(app=status)
    with running():
        sign_out(sign_in(application()))
        wait_for("delivered")


def test_400_is_final_and_the_applications_words_are_kept_as_text(receiver, application):
    """F-N02."""
    receiver.behave(app="rude")
    with running():
        sign_out(sign_in(application()))
        wait_for("dead")
    row = LogoutDelivery.objects.get()
    assert (row.attempts, row.last_status) == (1, 400)
    assert len(row.last_reason) <= 500
    assert row.last_reason.startswith("400: \\x1b[31m<script>alert(1)</script>\\x00xxx")


@pytest.mark.parametrize("behaviour", ["401", "403", "404", "410", "302:http://127.0.0.1:6379/"])
def test_configuration_errors_die_after_three_tries(receiver, application, behaviour):
    """F-N03."""
    receiver.behave(app=behaviour)
    with running():
        sign_out(sign_in(application()))
        for number in (1, 2, 3):
            attempted(number)
            make_due()
        wait_for("dead")
    assert len(receiver.posts()) == 3
    assert LogoutDelivery.objects.get().last_status == int(behaviour[:3])


@pytest.mark.parametrize("behaviour", ["500", "503", "408", "429:1", "reset", "hang:30"])
def test_what_may_heal_waits_for_another_try(receiver, application, behaviour, settings):
    """F-N09."""
    settings.DELIVERY_TIMEOUT = 1
    receiver.behave(app=behaviour)
    with running():
        sign_out(sign_in(application()))
        attempted()
        wait_for("pending")
    row = LogoutDelivery.objects.get()
    assert (row.attempts, row.lease_until) == (1, None)
    assert row.due_at > row.attempt_log.get().started_at
    assert row.attempt_log.get().outcome == "retry"


def test_retry_after_pauses_this_application_only(receiver, application):
    """F-N05."""
    receiver.behave(busy="429:120")
    busy, other = application("busy"), application("other")
    with running():
        sign_out(sign_in(busy))
        attempted()
        sign_out(sign_in(busy, other))
        wait_until(lambda: LogoutDelivery.objects.filter(client_id="other", state="delivered").exists())
        time.sleep(1.2)
    assert len(receiver.posts("busy")) == 1
    row = LogoutDelivery.objects.filter(client_id="busy", attempts=1).get()
    attempt = DeliveryAttempt.objects.get(delivery=row)
    waits = row.due_at - attempt.started_at - timedelta(milliseconds=attempt.duration_ms)
    assert 119.9 < waits.total_seconds() < 120.1


def test_a_row_that_is_too_old_becomes_a_dead_letter_and_can_be_redelivered(receiver, application):
    receiver.behave(app="503")
    with running():
        sign_out(sign_in(application()), at=timezone.now() - timedelta(days=2))
        wait_for("dead")
        receiver.behave(app="200")
        assert redeliver.deliveries([LogoutDelivery.objects.get().pk], at=timezone.now()) == 1
        wait_for("delivered")
    assert LogoutDelivery.objects.get().attempts == 2


def test_a_row_behind_an_open_breaker_is_given_up_in_the_end_and_an_untried_one_is_not(application):
    app, now = application(), timezone.now()
    sign_out(sign_in(app), sign_in(app), at=now - timedelta(days=2))
    tried = LogoutDelivery.objects.order_by("id").first()
    LogoutDelivery.objects.filter(pk=tried.pk).update(attempts=7)
    assert outbox.give_up(now, timedelta(days=1)) == 1
    assert states() == ["dead", "pending"]


# --- configuration is read when a row is sent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"backchannel_logout_uri": ""},
        {"enabled": False},
        {"backchannel_logout_initiators_mode": "custom", "backchannel_logout_initiators": ["idp-logout"]},
    ],
)
def test_what_an_administrator_takes_away_is_dropped_not_sent(receiver, application, change):
    app = application()
    sign_out(sign_in(app))
    for name, value in change.items():
        setattr(app, name, value)
    app.save()
    with running():
        wait_for("dropped")
    assert receiver.posts() == []
    assert LogoutDelivery.objects.get().last_reason


def test_rows_of_a_deleted_application_are_dropped(receiver, application):
    app = application()
    sign_out(sign_in(app))
    app.delete()
    with running():
        wait_for("dropped")
    assert receiver.posts() == []


def test_a_changed_url_is_read_again_and_vetted_again(receiver, application):
    app = application(url="https://gone.invalid/")
    sign_out(sign_in(app))
    app.backchannel_logout_uri = receiver.url("moved")
    app.save()
    with running():
        wait_for("delivered")
        app.backchannel_logout_uri = "http://10.0.0.1/"
        app.save()
        sign_out(sign_in(app))
        attempted(2)
    assert [post["path"] for post in receiver.posts()] == ["moved"]
    assert "not a public address" in LogoutDelivery.objects.get(state="pending").last_reason


def test_an_applications_outbound_hosts_are_obeyed(receiver, application):
    app = application(outbound_hosts=["rp.example"])
    with running():
        sign_out(sign_in(app))
        attempted()
    assert receiver.posts() == []
    assert "outbound hosts" in LogoutDelivery.objects.get().last_reason


def test_channels_that_this_worker_cannot_send_are_left_alone(receiver, application):
    sign_out(sign_in(application()))
    LogoutDelivery.objects.update(channel="later")
    with running():
        time.sleep(0.5)
    assert (states(), LogoutDelivery.objects.get().attempts) == (["pending"], 0)


def test_a_delivery_that_a_kept_connection_swallowed_goes_out_once_more_with_a_new_token(application):
    """The application closed its connection while the request was under way: whoever read it refuses to see its token twice."""
    tokens: list[str] = []

    def answer_once(connection: socket.socket, last: bool) -> None:
        with connection:
            tokens.append(read_token(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            if not last:
                tokens.append(read_token(connection))

    with socket.create_server(("127.0.0.1", 0)) as server:
        app = application(url=f"http://127.0.0.1:{server.getsockname()[1]}/")
        serving = threading.Thread(target=lambda: [answer_once(server.accept()[0], last) for last in (False, True)])
        serving.start()
        first, second = sign_in(app), sign_in(app)
        with running():
            sign_out(first)
            wait_for("delivered")
            sign_out(second)
            wait_for("delivered", "delivered")
        serving.join(10)
    assert len({claims_of(token)["jti"] for token in tokens}) == len(tokens) == 3
    assert len({claims_of(token)["sid"] for token in tokens[1:]}) == 1
    assert [attempt.jti for attempt in DeliveryAttempt.objects.order_by("id")] == [
        claims_of(token)["jti"] for token in (tokens[0], tokens[2])
    ]


def read_token(connection: socket.socket) -> str:
    head, _, body = connection.recv(100_000).decode().partition("\r\n\r\n")
    length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
    while len(body) < length:
        body += connection.recv(100_000).decode()
    return body.removeprefix("logout_token=")
