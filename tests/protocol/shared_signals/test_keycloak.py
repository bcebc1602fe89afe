"""What Keycloak's transmitter really sends (recorded), and a transmitter that gives access tokens for minutes."""

from __future__ import annotations

import base64

import pytest
from django.urls import reverse
from django.utils import timezone

from idp.connections import shared_signals
from idp.connections.oidc import discovery
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from logout_app.models import ReceivedSignal, SignalStream
from logout_app.shared_signals import access, connect
from sessions_app.models import SSOSession
from tests.protocol.gtr.support import lives
from tests.protocol.shared_signals.support import SSF, assert_err
from tests.support.factories import browser, make_session, make_user
from tests.support.upstreams import keycloak_recorded as keycloak

pytestmark = [pytest.mark.once, pytest.mark.django_db]
CREDENTIALS = "Basic " + base64.b64encode(b"curfew-signals:s%26cret").decode()  # RFC 6749 section 2.3.1


@pytest.fixture(autouse=True)
def _fresh_discovery() -> None:
    discovery.forget()


@pytest.fixture
def connection(connection, transmitter):
    """Discovered, with a client of our own there: metadata, token and stream answer as Keycloak's do."""
    transmitter.metadata |= keycloak.METADATA_OF_REALM
    endpoint = f"{transmitter.issuer}/token"
    transmitter.answers["GET /.well-known/openid-configuration"] = (
        200,
        {"issuer": transmitter.issuer, "token_endpoint": endpoint},
    )
    transmitter.answers["POST /token"] = (200, {"access_token": "first", **keycloak.TOKEN_ANSWER})
    connection.options["shared_signals"] = {"issuer": transmitter.issuer, "client_id": "curfew-signals"}
    context = secret_context("acme", "shared_signals_secret")
    connection.sealed_options["shared_signals_secret"] = seal("s&cret", context)
    connection.save()
    return connection


@pytest.fixture
def admin():
    return browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))


@pytest.fixture
def push(connection, transmitter, pusher):
    """As to the stream that *Connect* made."""
    connect.connect(connection, shared_signals.of(connection), actor="admin:boss", at=timezone.now())
    headers = {"Authorization": transmitter.streams["stream-1"]["delivery"]["authorization_header"]}
    return lambda token: pusher.push(token, headers=headers)


def act(admin, connection, name):
    url = reverse("admin:idp_connection_act", args=(connection.pk, name))
    return admin.post(url, follow=True).content.decode()


def asked(transmitter, method, path):
    return [seen for seen in transmitter.seen if (seen[0], seen[1].partition("?")[0]) == (method, path)]


class TestTokensForMinutes:
    def test_one_token_is_asked_for_with_our_credentials_and_serves_until_its_end(
        self, admin, connection, transmitter, monkeypatch
    ):
        assert "Connected" in act(admin, connection, "connect-signals")
        [(*_, form, credentials)] = asked(transmitter, "POST", "/token")
        assert form == {"grant_type": ["client_credentials"], "scope": ["ssf.read ssf.manage"]}
        assert credentials == CREDENTIALS
        assert {seen[3] for seen in asked(transmitter, "POST", "/streams")} == {"Bearer first"}
        act(admin, connection, "test-signals")
        assert len(asked(transmitter, "POST", "/token")) == 1
        began = access.time.monotonic()
        monkeypatch.setattr(access.time, "monotonic", lambda: began + 300)
        act(admin, connection, "test-signals")
        assert len(asked(transmitter, "POST", "/token")) == 2

    def test_one_that_is_not_taken_any_more_is_replaced_once(self, admin, connection, transmitter):
        act(admin, connection, "connect-signals")
        transmitter.seen.clear()
        transmitter.answers["POST /verify"] = (401, {})
        assert "did not take our access token (401)" in act(admin, connection, "test-signals")
        assert len(asked(transmitter, "POST", "/verify")) == 2
        assert len(asked(transmitter, "POST", "/token")) == 1

    def test_whoever_does_not_take_the_header_gets_the_form(self, connection, transmitter):
        transmitter.answers["POST /token"] = (401, {"error": "invalid_client"})
        with pytest.raises(Exception, match=r"refused us \(invalid_client\)"):
            connect.connect(connection, shared_signals.of(connection), actor="admin:boss", at=timezone.now())
        first, second = asked(transmitter, "POST", "/token")
        assert first[3] == CREDENTIALS
        assert second[3] == ""
        assert (second[2]["client_id"], second[2]["client_secret"]) == (["curfew-signals"], ["s&cret"])

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ((200, {}), "gave no access token"),
            ((200, {"access_token": "two\nlines"}), "gave no access token"),
            ((500, ["x"]), "answered HTTP 500"),
        ],
    )
    def test_an_answer_without_a_token_is_a_sentence(self, admin, connection, transmitter, answer, said):
        transmitter.answers["POST /token"] = answer
        assert said in act(admin, connection, "connect-signals")
        assert not SignalStream.objects.exists()

    def test_another_issuers_discovery_document_gets_no_secret(self, admin, connection, transmitter):
        url = f"{transmitter.issuer}/token"
        other = {"issuer": "https://evil.example", "token_endpoint": url}
        transmitter.answers["GET /.well-known/openid-configuration"] = (200, other)
        assert "names another issuer" in act(admin, connection, "connect-signals")
        assert asked(transmitter, "POST", "/token") == []


class TestConnecting:
    def test_a_stream_that_tells_of_nobody_yet_is_said(self, admin, connection, transmitter):
        assert "It tells of nobody yet" in act(admin, connection, "connect-signals")

    def test_one_whose_receiver_says_all_is_not(self, admin, connection, transmitter):
        made = transmitter._stream

        def says_all(stream_id, body):
            return made(stream_id, body) | keycloak.OF_STREAM | {"default_subjects": "ALL"}

        transmitter._stream = says_all
        page = act(admin, connection, "connect-signals")
        assert "Connected, and asked" in page
        assert "It tells of nobody" not in page

    @pytest.mark.spec(SSF, "8.1.4.2", "A second request within min_verification_interval is refused with 429")
    def test_asking_too_soon_leaves_the_test_event_that_is_on_its_way(self, admin, connection, transmitter, push):
        connect.verify(connection, shared_signals.of(connection), at=timezone.now())
        state = transmitter.verifications[-1]["state"]
        transmitter.answers["POST /verify"] = keycloak.TOO_MANY
        assert "wants more time between two test events" in act(admin, connection, "test-signals")
        assert push(keycloak.verification(transmitter, "stream-1", state)).status_code == 202
        assert SignalStream.objects.get().verified_at is not None


class TestEvents:
    def test_the_sign_out_of_one_session_ends_that_one(self, transmitter, push, ann):
        this, other = make_session(ann, upstream_sid="K7a-7WZ"), make_session(ann, upstream_sid="tUwwawR")
        assert push(keycloak.session_revoked(transmitter, "ann", "K7a-7WZ")).status_code == 202
        assert not lives(this)
        assert lives(other)

    def test_all_is_no_session_but_every_one_of_the_person(self, transmitter, push, ann, connection):
        sessions = [make_session(ann, upstream_sid=sid) for sid in ("K7a-7WZ", "tUwwawR", "")]
        assert push(keycloak.session_revoked(transmitter, "ann", "ALL")).status_code == 202
        assert not any(map(lives, sessions))
        assert ReceivedSignal.objects.get().sessions == 3

    def test_all_of_nobody_ends_nothing(self, transmitter, push, session):
        uri = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
        subject = {"format": "complex", "session": {"format": "opaque", "id": "ALL"}}
        assert push(transmitter.token(uri, sub_id=subject)).status_code == 202
        assert push(keycloak.session_revoked(transmitter, "somebody", "ALL")).status_code == 202
        assert lives(session)

    def test_a_password_that_was_reset_asks_for_a_new_sign_in(self, transmitter, push, session):
        assert push(keycloak.password_reset(transmitter, "ann")).status_code == 202
        assert SSOSession.objects.get(pk=session.pk).is_stale

    @pytest.mark.spec(SSF, "8.1.5", "stream-updated tells the status; Keycloak has it one level down")
    def test_the_status_of_the_stream_is_read_where_keycloak_has_it(self, transmitter, push):
        for status in ("paused", "enabled", "disabled"):
            assert push(keycloak.stream_updated(transmitter, "stream-1", status)).status_code == 202
            assert SignalStream.objects.get().status == status
        assert_err(push(keycloak.stream_updated(transmitter, "stream-1", "sleeping")), "invalid_request")

    def test_its_profile_for_apple_is_understood(self, transmitter, push, ann):
        this, other = make_session(ann, upstream_sid="one"), make_session(ann, upstream_sid="two")
        assert push(keycloak.session_revoked_for_apple(transmitter, "ann@acme.example", "one")).status_code == 202
        assert (lives(this), lives(other)) == (False, True)
        assert_err(push(keycloak.verification_for_apple(transmitter, "stream-2")), "invalid_request")
        assert push(keycloak.verification_for_apple(transmitter, "stream-1")).status_code == 202
        assert SignalStream.objects.get().verified_at is not None
