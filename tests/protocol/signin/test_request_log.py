"""What the log says about a request."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote

import pytest
from django.test import Client, RequestFactory
from structlog.stdlib import ProcessorFormatter
from structlog.testing import capture_logs

from idp.http.middleware import RequestLogMiddleware
from sessions_app.middleware import SSOSessionMiddleware
from tests.support.factories import browser, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db


def test_queries_and_keys_are_not_logged(caplog):
    make_connection()
    with caplog.at_level(logging.INFO, "django_structlog"), capture_logs() as lines:
        Client().get(
            "/login?next=/authorize&code=secret-value&id_token_hint=eyJ", headers={"X-Forwarded-For": "6.6.6.6"}
        )
        Client().get("/account/password/reset/key/1-secret-key/")
    text = json.dumps(lines, default=str)
    assert '"GET /login"' in text
    assert "GET /account/password/reset/key/***/" in text
    for secret in ("secret-value", "eyJ", "secret-key", "6.6.6.6"):
        assert secret not in text


def lines_of(caplog) -> list[str]:
    """What the product's own formatter makes of the records."""
    formatter = next(
        handler.formatter for handler in logging.root.handlers if isinstance(handler.formatter, ProcessorFormatter)
    )
    return [formatter.format(record) for record in caplog.records]


@pytest.mark.parametrize(
    "path", ["/account/password/reset/key/1-secret-key/", f"/logout/{'secret-key' * 5}", "/userinfo"]
)
def test_a_failure_of_ours_tells_nobody_what_the_request_held(path, caplog, monkeypatch, settings):
    """A 500 page without a trace; a log without local variables, bodies, headers and secret paths."""

    def fail(*args, **kwargs):
        password = "secret-key of a local variable"  # noqa: F841  what a debugging page would show
        raise RuntimeError("broken")

    assert settings.DEBUG is False
    monkeypatch.setattr("sessions_app.middleware.SSOSessionMiddleware.process_request", fail)  # for pages
    monkeypatch.setattr("sessions_app.oauth.access.load_access_token", fail)  # for /userinfo
    client = Client(raise_request_exception=False)
    with caplog.at_level(logging.INFO):
        for accept in ("text/html", "application/json"):
            answer = client.post(
                path,
                {"password": "secret-key", "token": "secret-key"},
                headers={"Accept": accept, "Authorization": "Bearer secret-key"},
            )
            assert answer.status_code == 500
            for told in ("secret-key", "Traceback", "RuntimeError", "broken", str(settings.BASE_DIR)):
                assert told not in answer.content.decode()
    text = "\n".join(lines_of(caplog))
    assert "Internal Server Error" in text
    assert "RuntimeError: broken" in text
    assert "secret-key" not in text


def test_odd_characters_stay_in_one_line(caplog):
    make_connection()
    odd = "a\r\nb\x1b[2J\u2028"
    with caplog.at_level(logging.INFO):
        Client().post("/login", {"username": odd, "password": "x", "next": odd}, headers={"User-Agent": "x\x1b[2J"})
        Client().get(f"/nothing/{quote(odd)}")
    lines = lines_of(caplog)
    assert {json.loads(line)["event"] for line in lines} >= {"request_finished"}
    assert not [line for line in lines if {"\n", "\r", "\x1b", "\u2028"} & set(line)]


def test_logging_a_request_looks_up_no_session(caplog):
    request = RequestFactory().get("/")
    request.COOKIES = browser(make_session(make_user())).cookies
    SSOSessionMiddleware(lambda _: None).process_request(request)
    for level in (logging.INFO, logging.WARNING):
        with caplog.at_level(level, "django_structlog"):
            RequestLogMiddleware(lambda _: None).prepare(request)
    assert not request.browser.was_looked_up


def test_lines_of_a_request_carry_its_id_and_address_though_its_own_lines_are_switched_off(caplog):
    make_connection()
    with caplog.at_level(logging.WARNING, "django_structlog"), caplog.at_level(logging.INFO):
        Client().post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "nothing"})
        Client().get("/oauth/nothing")
    lines = [json.loads(line) for line in lines_of(caplog)]
    refused = next(line for line in lines if line["event"] == "request.refused")
    ours, unknown = (line for line in lines if line["event"] == "request_finished")  # those of failures
    assert refused["ip"] == "127.0.0.1"
    assert (ours["code"], unknown["code"]) == (415, 404)
    assert ours["request_id"] == refused["request_id"] != unknown["request_id"]
    assert "request_started" not in {line["event"] for line in lines}
