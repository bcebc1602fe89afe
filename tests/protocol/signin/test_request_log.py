"""What the log says about a request."""

from __future__ import annotations

import json
import logging

import pytest
from django.test import Client, RequestFactory
from structlog.testing import capture_logs

from idp.middleware import RequestLogMiddleware
from sessions_app import binding
from tests.support.factories import browser, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db


def test_queries_and_keys_are_not_logged():
    """LGI-003."""
    make_connection()
    with capture_logs() as lines:
        Client().get(
            "/login?next=/authorize&code=secret-value&id_token_hint=eyJ", headers={"X-Forwarded-For": "6.6.6.6"}
        )
        Client().get("/account/password/reset/key/1-secret-key/")
    text = json.dumps(lines, default=str)
    assert '"GET /login"' in text
    assert "GET /account/password/reset/key/***/" in text
    for secret in ("secret-value", "eyJ", "secret-key", "6.6.6.6"):
        assert secret not in text


def test_odd_characters_stay_in_one_line(caplog):
    """LGI-001."""
    make_connection()
    with caplog.at_level(logging.INFO):
        Client().post(
            "/login", {"username": "a\r\nb\x1b[2J\u2028", "password": "x"}, headers={"User-Agent": "x\x1b[2J"}
        )
    formatter = logging.getLogger().handlers[0].formatter
    for record in caplog.records:
        line = formatter.format(record) if formatter else record.getMessage()
        assert "\n" not in line
        assert "\x1b" not in line


def test_logging_a_request_looks_up_no_session():
    request = RequestFactory().get("/")
    request.COOKIES = browser(make_session(make_user())).cookies
    RequestLogMiddleware(lambda request: None).prepare(request)
    assert not binding.was_looked_up(request)
