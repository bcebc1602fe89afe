"""F-U03: a directory that hangs takes nothing with it but the sign-ins through it, and those for five seconds at most."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.faults.conftest import leave
from tests.protocol.connections_ldap.conftest import connect
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation
from tests.support.sign_in import TOKEN
from tests.support.upstreams.slapd import ADMIN, ADMIN_PASSWORD, PASSWORD, SUFFIX, Slapd

OUT = "https://app.example/out"


@pytest.fixture
def openldap(tmp_path: Path) -> Iterator[Slapd]:
    server = Slapd(tmp_path / "slapd")
    yield server
    server.stop()


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_while_a_directory_hangs_sign_ins_fail_in_time_and_signing_out_is_as_fast(
    installation: Installation, openldap: Slapd
) -> None:
    connect("Corporate", ADMIN_PASSWORD, servers=[openldap.ldaps], ca_certificate=openldap.ca, base_dn=SUFFIX,
            bind_dn=ADMIN)  # fmt: skip
    application = make_application("App", post_logout_redirect_uris=OUT)
    sessions = [make_session(make_user(f"person{number}@fabrikamcorp.com"), application) for number in range(4)]
    installation.put_static_files()
    installation.web()
    address = f"http://localhost:{installation.port}"
    assert sign_in(address, "Corporate")[0].status_code == 302

    with openldap.paused(), ThreadPoolExecutor(8) as pool:
        attempts = [pool.submit(sign_in, address, "Corporate") for _ in range(8)]
        time.sleep(1)
        outs = [sign_out(address, application.client_id, session.raw_cookie) for session in sessions]
        ins = [attempt.result() for attempt in attempts]

    assert [answer.status_code for answer, _ in outs] == [302] * 4
    assert max(seconds for _, seconds in outs) < 1
    assert all(answer.status_code != 302 for answer, _ in ins)
    assert all(re.search("not work at the moment|Too many people", answer.text) for answer, _ in ins)
    assert max(seconds for _, seconds in ins) < 6
    for session in sessions:
        session.refresh_from_db()
        assert session.ended_at is not None


def sign_in(address: str, connection: str) -> tuple[requests.Response, float]:
    browser = requests.Session()
    page = browser.get(f"{address}/login", timeout=20).text
    token = TOKEN.search(page)
    assert token, page
    data = {"username": "mary", "password": PASSWORD, "connection": connection, "csrfmiddlewaretoken": token[1]}
    began = time.monotonic()
    answer = browser.post(f"{address}/login", data=data, allow_redirects=False, timeout=20)
    return answer, time.monotonic() - began


def sign_out(address: str, client_id: str, cookie: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = leave(address, cookie, client_id, OUT)
    return answer, time.monotonic() - began
