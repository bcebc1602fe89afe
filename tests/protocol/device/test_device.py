"""Device authorization (RFC 8628): the device's codes, the person's page, the polls."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
import time_machine
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from idp.limits import limiter
from idp.models import LimiterSlot
from sessions_app.models import DeviceGrant, SessionClient, SSOSession
from sessions_app.oauth import device
from sessions_app.session import lifecycle
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.oauth import credentials, decode, issuer, post_form, refresh, token, userinfo

pytestmark = pytest.mark.django_db
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(autouse=True)
def _nobody_is_blocked(monkeypatch):
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())


@pytest.fixture
def cli():
    return make_application(
        "CLI", app_type="native", token_endpoint_auth_method="none", grant_types=[GRANT, "refresh_token"]
    )


@pytest.fixture
def session():
    return make_session(make_user())


def start(cli, **changes):
    answer = post_form("/oauth/device/code", {**credentials(cli), "scope": "openid email"} | changes)
    assert answer.status_code == 200, answer.content
    return answer.json()


def poll(cli, started):
    return token(cli, grant_type=GRANT, device_code=started["device_code"])


def answer(session, started, choice):
    return browser(session).post("/activate", {"user_code": started["user_code"], "answer": choice})


@pytest.mark.spec("RFC 8628", "3.2", "The device gets its codes")
def test_the_device_is_told_where_to_send_the_person(cli):
    """A request with a scope works, and neither code is stored in clear."""
    started = start(cli)
    assert started["verification_uri"] == f"{issuer()}activate"
    assert started["verification_uri_complete"].endswith(f"?user_code={started['user_code']}")
    assert (started["expires_in"], started["interval"]) == (900, 5)
    row = DeviceGrant.objects.get()
    assert started["device_code"] not in (row.device_code, row.user_code)
    assert started["user_code"] not in (row.device_code, row.user_code)


@pytest.mark.spec("RFC 8628", "3.5", "Polls are answered by registered errors")
def test_an_approved_device_gets_tokens_once(cli, session):
    started = start(cli)
    assert poll(cli, started).json()["error"] == "authorization_pending"
    page = browser(session).get(started["verification_uri_complete"].removeprefix(issuer().rstrip("/")))
    assert b"Connect CLI?" in page.content
    assert b"is connected" in answer(session, started, "allow").content
    body = poll(cli, started).json()
    assert decode(body["id_token"])["sid"] == session.sid
    assert userinfo(body["access_token"]).json()["email"] == "mary@fabrikamcorp.com"
    assert refresh(cli, body["refresh_token"]).status_code == 200
    assert SessionClient.objects.filter(session=session, application=cli).exists()
    assert poll(cli, started).json()["error"] == "invalid_grant"


def test_a_device_is_approved_together_with_its_part_in_the_session_or_not_at_all(cli, session, monkeypatch):
    """A crash between the two would leave a device that nobody tells of the end."""
    started = start(cli)
    monkeypatch.setattr(lifecycle, "join", Mock(side_effect=OperationalError))
    client = browser(session, raise_request_exception=False)
    answer = client.post("/activate", {"user_code": started["user_code"], "answer": "allow"})
    assert answer.status_code == 503
    assert DeviceGrant.objects.get().status == DeviceGrant.AUTHORIZATION_PENDING


def test_the_device_dies_with_the_session(cli, session):
    first, second = start(cli), start(cli)
    answer(session, first, "allow")
    answer(session, second, "allow")
    body = poll(cli, first).json()
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert userinfo(body["access_token"]).status_code == 401
    assert refresh(cli, body["refresh_token"]).status_code == 400
    assert poll(cli, second).json()["error"] == "invalid_grant"


def test_no_is_access_denied(cli, session):
    started = start(cli)
    answer(session, started, "deny")
    response = poll(cli, started)
    assert (response.status_code, response.json()["error"]) == (400, "access_denied")


def test_too_many_polls_are_slowed_down_and_codes_expire(cli):
    started = start(cli)
    assert poll(cli, started).json()["error"] == "authorization_pending"
    assert poll(cli, started).json()["error"] == "slow_down"
    assert DeviceGrant.objects.get().interval == 10
    with time_machine.travel(timezone.now() + timedelta(seconds=11), tick=True):
        assert poll(cli, started).json()["error"] == "authorization_pending"
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
        assert poll(cli, started).json()["error"] == "expired_token"


def test_a_poll_that_was_sent_in_time_is_not_slowed_down_because_the_one_before_was_slow_to_arrive(cli):
    """H2CK/oidc pull request 716: intervals are kept where they are sent, and measured where they arrive."""
    started, at = start(cli), timezone.now()
    for seconds in (0, 4.2, 9.3, 13.4):
        with time_machine.travel(at + timedelta(seconds=seconds), tick=False):
            assert poll(cli, started).json()["error"] == "authorization_pending"
    assert DeviceGrant.objects.get().interval == 5


def test_somebody_who_allowed_it_is_signed_in_however_often_the_device_asked(cli, session):
    """Also a client that never slows down gets its tokens."""
    started = start(cli)
    for _ in range(5):
        poll(cli, started)
    answer(session, started, "allow")
    assert "access_token" in poll(cli, started).json()


def test_the_code_may_be_typed_in_any_case_without_hyphen(cli, session):
    started = start(cli)
    typed = started["user_code"].replace("-", " ").lower()
    page = browser(session).post("/activate", {"user_code": typed})
    assert b"Connect CLI?" in page.content
    assert DeviceGrant.objects.get().status == DeviceGrant.AUTHORIZATION_PENDING


def test_guessing_user_codes_is_limited(cli, session):
    statuses = [browser(session).post("/activate", {"user_code": "BBBB-BBBB"}).status_code for _ in range(12)]
    assert statuses == [400] * 10 + [429] * 2


@pytest.fixture
def one_start_is_left(monkeypatch):
    monkeypatch.setattr(device, "STARTS", limiter.Limit("device-starts", 1, limiter.QUARTER))


def begin(application, ip="203.0.113.9"):
    return post_form("/oauth/device/code", {**credentials(application), "scope": "openid"}, REMOTE_ADDR=ip)


@pytest.mark.spec("RFC 6585", "4", "429 says with Retry-After how long to wait, also for devices")
def test_one_network_cannot_fill_the_table_in_the_name_of_a_public_client(cli, one_start_is_left):
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with time_machine.travel(noon, tick=False) as clock:
        assert begin(cli).status_code == 200
        refused = begin(cli)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "900"
        assert refused.json()["error"] == "access_denied"
        assert begin(cli, ip="::ffff:203.0.113.9").status_code == 429  # the same network, however it is written
        assert DeviceGrant.objects.count() == 1
        clock.shift(900)
        assert begin(cli).status_code == 200


def test_the_limit_on_starts_stops_neither_other_networks_nor_other_applications(cli, one_start_is_left):
    assert [begin(cli).status_code for _ in range(2)] == [200, 429]
    assert begin(cli, ip="203.0.113.10").status_code == 200
    assert begin(make_application("TV", token_endpoint_auth_method="none", grant_types=[GRANT])).status_code == 200


def test_a_client_that_proves_who_it_is_starts_as_many_as_it_likes(one_start_is_left):
    kiosk = make_application("Kiosk", grant_types=[GRANT])
    assert [begin(kiosk).status_code for _ in range(3)] == [200] * 3
    assert not LimiterSlot.objects.exists()


def test_a_request_that_is_refused_takes_no_slot(cli, one_start_is_left):
    assert post_form("/oauth/device/code", {**credentials(cli), "audience": "urn:nobody"}).status_code == 400
    assert begin(cli, ip="127.0.0.1").status_code == 200


def test_the_page_needs_a_session_and_the_answer_a_csrf_token(cli, session):
    started = start(cli)
    away = Client().get("/activate?user_code=BCDF-GHJK")
    assert away.status_code == 302
    assert away.headers["Location"] == "/login?next=/activate%3Fuser_code%3DBCDF-GHJK"
    strict = browser(session, enforce_csrf_checks=True)
    assert strict.post("/activate", {"user_code": started["user_code"], "answer": "allow"}).status_code == 403
    assert poll(cli, started).json()["error"] == "authorization_pending"


def test_only_its_own_client_may_poll_and_only_with_the_grant(cli, session):
    started = start(cli)
    other = make_application("Other CLI", token_endpoint_auth_method="none", grant_types=[GRANT])
    answer(session, started, "allow")
    assert poll(other, started).json()["error"] == "invalid_grant"
    web = make_application()
    assert post_form("/oauth/device/code", credentials(web)).json()["error"] == "unauthorized_client"
    assert post_form("/oauth/device/code", {"client_id": "nobody"}).status_code == 401
    assert post_form("/oauth/device/code", {"scope": "openid"}).status_code == 401
    assert poll(cli, started).status_code == 200


def test_a_content_type_with_charset_and_unknown_scopes_are_fine(cli):
    answer = Client().post(
        "/oauth/device/code",
        "client_id=cli&scope=openid+nonsense",
        content_type="application/x-www-form-urlencoded; charset=UTF-8",
    )
    assert answer.status_code == 200
    assert DeviceGrant.objects.get().scope == "openid"
