"""Curfew itself, really served, asked by raw sockets: cookies of others, bodies in chunks, half-sent bodies, probes.

What is read of a request is read before any database is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.urls import get_resolver

from idp.http.middleware import _views
from idp.http.serving.limits import LONGEST_BODY
from idp.models import Application
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import credentials
from tests.support.processes import Installation
from tests.support.wire import Answer, Client, ask, chunked, get, post, seconds

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]
FORM = b"Content-Type: application/x-www-form-urlencoded"
HOST = b"Host: localhost"
OUT = "https://app.example/out"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with Installation(tmp_path, DJANGO_SETTINGS_MODULE="tests.settings") as installation:
        installation.web()
        yield installation.port


@pytest.fixture
def app() -> Application:
    return make_application("App", post_logout_redirect_uris=OUT, grant_types="client_credentials refresh_token")


@pytest.fixture
def session(app: Application) -> SSOSession:
    return make_session(make_user(), app)


def cookie(session: SSOSession, before: bytes = b"", after: bytes = b"") -> bytes:
    ours = f"{settings.SSO_COOKIE_NAME}={session.raw_cookie}".encode()  # type: ignore[attr-defined]
    return b"Cookie: " + b"; ".join(part for part in (before, ours, after) if part)


def leave(port: int, app: Application, line: bytes, path: str = "/v2/logout") -> Answer:
    query = urlencode({"client_id": app.client_id, "returnTo": OUT})
    return ask(port, get(f"{path}?{query}", HOST, line))


def test_a_cookie_of_others_in_any_bytes_does_not_hide_the_session(
    port: int, app: Application, session: SSOSession
) -> None:
    """Set by a sibling domain, or by another port of localhost."""
    for others in ("x=é".encode(), b"x=\xe9", b"\xe9=x", b"\xff\xfe", "\u2003=1".encode(), b'x="\xe9', b"x=1,2;;=3;"):
        for line in (cookie(session, before=others), cookie(session, after=others)):
            assert ask(port, get("/account/sessions", HOST, line)).status == 200, others
    line = cookie(session, before="x=é".encode())
    page = ask(port, get("/oidc/logout", HOST, line))
    assert page.status == 200
    assert b"signed out" not in page.body.lower() or b"<form" in page.body
    assert leave(port, app, line).status == 302
    session.refresh_from_db()
    assert session.ended_at is not None


@pytest.mark.parametrize("space", ["\u2003", "\u00a0", "\u0085"])
def test_a_cookie_that_only_looks_like_ours_takes_the_place_of_none(
    port: int, app: Application, session: SSOSession, space: str
) -> None:
    theirs = make_session(make_user("bob@fabrikamcorp.com"), app)
    shadow = f"{space}{settings.SSO_COOKIE_NAME}={theirs.raw_cookie}".encode()  # type: ignore[attr-defined]
    assert leave(port, app, cookie(session, after=shadow)).status == 302
    theirs.refresh_from_db()
    session.refresh_from_db()
    assert theirs.ended_at is None
    assert session.ended_at is not None


def test_no_header_in_any_bytes_is_a_fault_of_ours(port: int, app: Application, session: SSOSession) -> None:
    names = (
        *("User-Agent", "Referer", "Origin", "Authorization", "Accept", "Accept-Language", "Content-Type", "Host"),
        *("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "If-None-Match", "Range", "X-CSRFToken", "Cookie"),
    )
    form = urlencode({"client_id": app.client_id}).encode()
    for name in names:
        for value in (b"\xe9", "Bearer é.é.é".encode(), b"Basic \xe9", b'for="\xe9', b"\xff"):
            line = name.encode() + b": " + value
            with Client(port) as client:
                for request in (
                    get("/login", HOST, line),
                    post("/oauth/token", form, FORM, line),
                    get("/userinfo", HOST, line),
                ):
                    client.send(request)
                    assert client.answer().status < 500, (name, value, request)


def test_a_form_in_chunks_is_a_form(port: int, app: Application, session: SSOSession) -> None:
    form = urlencode({"grant_type": "client_credentials", **credentials(app)}).encode()
    answer = ask(port, chunked("/oauth/token", [form[:7], form[7:]], FORM))
    assert "grant type is missing" not in answer.body.decode()
    assert answer.json() == ask(port, post("/oauth/token", form, FORM)).json() or answer.status == 200
    assert ask(port, chunked("/oauth/introspect", [form, b"&token=x"], FORM)).json() == {"active": False}
    form = urlencode({"client_id": app.client_id, "post_logout_redirect_uri": OUT}).encode()
    with_form = ask(port, post("/oidc/logout", form, FORM, cookie(session)))
    in_chunks = ask(port, chunked("/oidc/logout", [form[:3], form[3:]], FORM, cookie(session)))
    assert in_chunks.status == with_form.status


def posts() -> list[str]:
    """Every address of ours without parameters in it: whoever may, posts there."""
    paths = {path for path, _ in _views(get_resolver(), "") if not {"<", "(", "?", "\\"} & set(path)}
    return sorted(f"/{path.lstrip('/^').rstrip('$')}" for path in paths)


def test_no_address_answers_a_body_that_is_too_large_by_a_fault_or_by_waiting_for_it(port: int) -> None:
    told = b"Length: %d" % (LONGEST_BODY + 1)
    for path in posts():
        answer = ask(port, post(path, b"", FORM).replace(b"Length: 0", told))
        assert 300 <= answer.status < 500, (path, answer.status)
        assert answer.headers["connection"] == "close"
    csrf = f"Cookie: {settings.CSRF_COOKIE_NAME}={'a' * 32}".encode()
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/authorize", "/login", "/admin/login/"):
        assert ask(port, post(path, b"", FORM, csrf).replace(b"Length: 0", told)).status == 413, path
        large = [b"x" * 100_000] * (LONGEST_BODY // 100_000 + 1)
        assert ask(port, chunked(path, large, FORM, csrf)).status == 413, path


def test_half_sent_bodies_stop_nobody(port: int, app: Application, session: SSOSession) -> None:
    form = urlencode({"grant_type": "client_credentials", **credentials(app)}).encode()
    with ExitStack() as clients:
        for path in ("/oauth/token", "/login", "/oauth/global-token-revocation/connection/x", "/admin/login/"):
            for _ in range(10):
                clients.enter_context(Client(port, post(path, form, FORM)[:-5]))
        assert seconds(lambda: ask(port, get("/livez", HOST))) < 2
        assert seconds(lambda: ask(port, post("/oauth/introspect", form + b"&token=x", FORM))) < 5
        assert leave(port, app, cookie(session)).status == 302


@pytest.mark.parametrize("host", [b"Host: 10.1.2.3:8000", b"Host: evil.example", b"Host: \xe9", b"X-No-Host: 1"])
def test_probes_are_answered_whatever_host_says(port: int, host: bytes) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert ask(port, get(path, host)).status == 200, path
        assert ask(port, get(path, host, version=b"1.0")).status == 200, path
    if b"No" not in host:
        assert ask(port, get("/login", host)).status == 400


def test_metrics_without_a_token_are_not_for_a_page_that_made_its_name_resolve_to_loopback(port: int) -> None:
    language = b"Accept-Language: en"
    assert ask(port, get("/metrics", b"Host: evil.example", language)).status == 401
    assert ask(port, get("/metrics", b"Host: localhost:%d" % port, language)).status == 200
