"""Auth0's own management SDKs, unmodified, against a real Curfew through TLS."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.rps.managed import Managed, managed
from tests.rps.running import HERE, MARY, tenant_of


@pytest.fixture(scope="module")
def curfew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    with managed(tmp_path_factory.mktemp("management"), tenant_of()) as found:
        yield found


def run(curfew: Managed, *argv: str) -> dict[str, Any]:
    done = curfew.run(*argv)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.both
def test_auth0_python_drives_every_resource(curfew):
    found = run(curfew, sys.executable, str(HERE / "auth0_management.py"))
    assert found == {
        "people": sorted([MARY, *(f"py{number}@fabrikamcorp.com" for number in range(5))]),
        "metadata": {"number": 0, "more": True},
        "by_email": True,
        "sessions": [],
        "tokens": [],
        "scopes": ["read:things", "write:things"],
        "roles": ["Reader"],
        "permissions": ["read:things"],
        "secret": True,
        "rotated": True,
        "clients": ["Management", "Python shop"],
        "grants": [["read:things"]],
        "connection_clients": True,
        "connections": ["FabrikamAD", "python-okta"],
        "tenant": "Fabrikam",
        "branding": "#112233",
        "keys": True,
        "logs": True,
        "active": 0.0,
        "days": 31,
        "ticket": True,
        "job": [True, []],
        "blocks": [],
        "mail": True,
        "text": {"login": {"description": "Staff only"}},
        "credential": True,
        "log_streams": [],
        "guesses": 20,
        "organizations": [],
        "error": [404, "inexistent_client"],
    }


@pytest.mark.both
def test_the_npm_package_auth0_drives_what_operators_use(curfew):
    found = run(curfew, "node", str(HERE / "auth0_management.cjs"))
    assert found == {
        "people": sorted([MARY, *(f"js{number}@fabrikamcorp.com" for number in range(3))]),
        "metadata": {"a": 1},
        "sessions": [],
        "tokens": [],
        "secret": True,
        "clients": ["Management", "Node shop"],
        "connections": ["FabrikamAD"],
        "roles": ["Node"],
        "tenant": "Fabrikam",
        "logs": True,
        "error": [404, "inexistent_user"],
    }
