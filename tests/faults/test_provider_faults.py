"""F-U03 for identity providers on pages of their own: one that hangs keeps nobody from signing out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from idp.models import Connection
from tests.faults.test_directory_faults import OUT, sign_out
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation
from tests.support.upstreams.scripted_oidc import CLIENT, ScriptedProvider


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_while_a_provider_hangs_sign_ins_fail_in_time_and_signing_out_is_as_fast(installation: Installation) -> None:
    with ScriptedProvider() as provider, ThreadPoolExecutor(6) as pool:
        options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
        Connection.objects.create(name="Acme", strategy="oidc", options=options)
        application = make_application("App", post_logout_redirect_uris=OUT)
        sessions = [make_session(make_user(f"person{number}@fabrikamcorp.com"), application) for number in range(4)]
        installation.put_static_files()
        installation.web()
        address = f"http://localhost:{installation.port}"
        travelling = [depart(address) for _ in range(6)]

        provider.delays["/token"] = 20
        attempts = [pool.submit(come_back, address, *trip) for trip in travelling]
        time.sleep(1.5)
        outs = [sign_out(address, application.client_id, session.raw_cookie) for session in sessions]
        ins = [attempt.result() for attempt in attempts]

    assert [answer.status_code for answer, _ in outs] == [302] * 4
    assert max(seconds for _, seconds in outs) < 1
    assert {answer.status_code for answer, _ in ins} <= {503, 504}
    assert all("Retry-After" in answer.headers for answer, _ in ins if answer.status_code == 503)
    assert all("You are not signed in" in answer.text for answer, _ in ins)
    assert max(seconds for _, seconds in ins) < 6


def depart(address: str, name: str = "Acme") -> tuple[requests.Session, str]:
    """A browser that is away at the provider, and the state that it will bring back."""
    browser = requests.Session()
    answer = browser.get(f"{address}/login/upstream/{name}", allow_redirects=False, timeout=20)
    assert answer.status_code == 303, answer.text
    return browser, dict(parse_qsl(urlsplit(answer.headers["Location"]).query))["state"]


def come_back(address: str, browser: requests.Session, state: str) -> tuple[requests.Response, float]:
    began = time.monotonic()
    query = {"code": "c-1", "state": state}
    answer = browser.get(f"{address}/login/callback", params=query, allow_redirects=False, timeout=20)
    return answer, time.monotonic() - began
