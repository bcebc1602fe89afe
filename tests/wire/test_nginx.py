"""Behind a real nginx with its default buffers, as docs/operations.md tells to set it up."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings

from tests.rps.running import program
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import credentials, request_params
from tests.support.processes import Installation, free_port
from tests.support.wire import ask, chunked, get

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]
DOCUMENTATION = Path(__file__).parents[2] / "docs/operations.md"
FORM = b"Content-Type: application/x-www-form-urlencoded"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {more}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@contextmanager
def behind_nginx(folder: Path, more: str = "", **settings: str) -> Iterator[int]:
    """Curfew behind nginx with `more` in its `http` block, and its port."""
    port = free_port()
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", "CURFEW_TRUSTED_PROXIES": "127.0.0.0/8", **settings}
    with Installation(folder, **settings) as installation:
        installation.web()
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=port, upstream=installation.port, more=more))
        with program(["/usr/sbin/nginx", "-p", str(folder), "-c", str(file)], {}, folder, port):
            yield port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with behind_nginx(tmp_path) as port:
        yield port


@pytest.mark.parametrize(
    "state",
    [
        "x" * 1500,
        json.dumps({"returnTo": "/deep/link?tab=1", "a": ["b"] * 100}),
        b64encode(bytes(range(256)) * 3).decode(),
    ],
    ids=len,
)
def test_a_state_of_a_kilobyte_and_more_passes_default_buffers(port: int, state: str) -> None:
    app, _ = make_application("App"), make_user()
    query = urlencode(request_params(app, state=state), quote_via=quote)
    answer = ask(port, get(f"/authorize?{query}", b"Host: localhost"))
    assert answer.status == 303
    assert len(answer.head) < 4096
    assert ask(port, get(answer.headers["location"], b"Host: localhost")).status == 200


def test_a_form_in_chunks_and_a_cookie_in_any_bytes_pass(port: int) -> None:
    app = make_application("App", post_logout_redirect_uris="https://app.example/out")
    form = urlencode({"token": "x", **credentials(app)}).encode()
    assert ask(port, chunked("/oauth/introspect", [form[:9], form[9:]], FORM)).json() == {"active": False}
    session = make_session(make_user(), app)
    line = f"Cookie: x=é; {settings.SSO_COOKIE_NAME}={session.raw_cookie}".encode()  # type: ignore[attr-defined]
    query = urlencode({"client_id": app.client_id, "returnTo": "https://app.example/out"})
    assert ask(port, get(f"/v2/logout?{query}", b"Host: localhost", line)).status == 302
    session.refresh_from_db()
    assert session.ended_at is not None


def test_a_state_of_several_kilobytes_passes_the_buffers_that_the_documentation_names(tmp_path: Path) -> None:
    """Into the application's callback too, which has all of it in its address."""
    buffers = " ".join(re.findall(r"^(?:proxy|large)\w+ [\dk ]+;", DOCUMENTATION.read_text(), re.M))
    assert buffers.count(";") == 4
    app, user = make_application("App"), make_user()
    session = make_session(user, app)
    query = urlencode(request_params(app, state="x" * 6000), quote_via=quote)
    cookie = f"Cookie: {settings.SSO_COOKIE_NAME}={session.raw_cookie}".encode()  # type: ignore[attr-defined]
    with behind_nginx(tmp_path, buffers) as port:
        answer = ask(port, get(f"/authorize?{query}", b"Host: localhost", cookie))
        assert answer.status == 303
        assert "x" * 6000 in answer.headers["location"]


def test_a_header_with_an_underscore_that_a_proxy_lets_through_names_no_client(tmp_path: Path) -> None:
    """nginx drops such headers unless it is told not to."""
    with behind_nginx(tmp_path, "underscores_in_headers on;", CURFEW_ADMIN_NETWORKS="198.51.100.0/24") as port:
        for name, status in ((b"X_Forwarded_For", 404), (b"X-Forwarded-For", 302)):
            answer = ask(port, get("/admin/", b"Host: localhost", name + b": 198.51.100.7"))
            assert answer.status == status, name
