"""Two judges of others, unmodified and over HTTP: scim2-tester and scim-sanity."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from scim2_client.client import BaseSyncSCIMClient
from scim2_tester import Status, check_server
from scim_sanity.probe.runner import run_probe_api

from tests.protocol.scim.support import Scim

# Once: they know of SCIM and of no database. What a filter or a lock does in either, the rest of the room shows.
pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


class OverHttp(BaseSyncSCIMClient):
    """The judge's client with the HTTP library that we have."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__()
        self.base_url, self.session = base_url, requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("http") or endpoint.startswith(self.base_url)

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        whole = url if url.startswith("http") else f"{self.base_url}/{url.lstrip('/')}"
        return self.session.request(method, whole, timeout=30, **kwargs)


@pytest.fixture
def address(live_server: Any, settings: Any, scim: Scim) -> str:
    settings.ISSUER = f"{live_server.url}/"
    return f"{live_server.url}/scim/v2/connections/{scim.connection.public_id}"


def test_scim2_tester_finds_nothing(address: str, scim: Scim) -> None:
    results = check_server(OverHttp(address, scim.token), raise_exceptions=False)
    wrong = [f"{one.title}: {one.reason}" for one in results if one.status in (Status.ERROR, Status.CRITICAL)]
    assert not wrong, "\n".join(wrong)
    assert len(results) > 30


@pytest.mark.parametrize("profile", [None, "entra"])
def test_scim_sanity_finds_nothing(address: str, scim: Scim, profile: str | None) -> None:
    found = run_probe_api(address, token=scim.token, profile=profile)
    summary = found["summary"]
    assert (summary["failed"], summary["errors"]) == (0, 0), found["issues"]
    assert summary["passed"] > 20
