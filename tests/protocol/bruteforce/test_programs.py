"""The endpoints for programs count wrong client secrets, all of them in one place, and never refuse the right one."""

import pytest

from idp.limits import limiter
from sessions_app.views.oauth.endpoint import CLIENT_FAILURES
from tests.support.oauth import credentials, post_form, tokens_for

pytestmark = pytest.mark.django_db
PATHS = ("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/device/code")


@pytest.fixture(autouse=True)
def _nobody_is_blocked(monkeypatch):
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())


def guess(path, app, ip="203.0.113.9"):
    form = {"client_id": app.client_id, "client_secret": "wrong", "token": "x", "grant_type": "refresh_token"}
    return post_form(path, {**form, "refresh_token": "x"}, REMOTE_ADDR=ip).status_code


@pytest.mark.parametrize("path", PATHS)
def test_wrong_secrets_are_throttled_at_every_endpoint(app, path):
    answers = [guess(path, app) for _ in range(CLIENT_FAILURES.count + 3)]
    assert answers == [401] * CLIENT_FAILURES.count + [429] * 3
    assert guess(path, app, ip="198.51.100.7") == 401


def test_a_program_that_is_throttled_learns_for_how_long(app):
    form = {"client_id": app.client_id, "client_secret": "wrong", "grant_type": "refresh_token", "refresh_token": "x"}
    refused = [post_form("/oauth/token", form) for _ in range(CLIENT_FAILURES.count + 1)][-1]
    assert 0 < int(refused.headers["Retry-After"]) <= CLIENT_FAILURES.window


def test_one_counter_serves_all_endpoints(app):
    """Changing the endpoint gives no fresh budget."""
    answers = [guess(PATHS[number % len(PATHS)], app) for number in range(CLIENT_FAILURES.count + 4)]
    assert answers[-4:] == [429] * 4


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_the_right_secret_is_never_refused(app, session, path):
    raw = tokens_for(session, app)["access_token"]
    for _ in range(CLIENT_FAILURES.count + 1):
        guess(path, app)
    answer = post_form(path, {**credentials(app), "token": raw}, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 200
