"""Auth0's own management SDKs, unmodified, against a real Curfew through TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from tests.rps.running import HERE, MARY, STARTUP, curfew, tenant_of
from tests.support.nursery import run_in_bare
from tests.support.receiver import wait_until
from tests.support.stack import ROOT, clean_environment

pytestmark = pytest.mark.once
PATIENCE = 180.0  # seconds for a whole script; other tests may keep every core busy


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What an SDK's script needs to know: domain, the first client, and whose certificates to trust."""
    folder = tmp_path_factory.mktemp("management")
    authority, said = trustme.CA(), dict[str, str]()
    own = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = folder / "certificate.pem", folder / "key.pem", folder / "ca.pem"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))

    def first_client(env: dict[str, str]) -> None:
        done = run_in_bare(["manage.py", "create_management_client"], {**clean_environment(), **env})
        assert done.returncode == 0, done.stderr
        said.update(line.split("=", 1) for line in done.stdout.splitlines())
        said["CURFEW_ENVIRONMENT"] = json.dumps({**clean_environment(), **env})

    with curfew(folder, tenant_of(), tls=(certificate, key), host="127.0.0.1", then=first_client) as issuer:
        wait_until(lambda: _answers(issuer, trusted), STARTUP, "Curfew does not answer")  # an SDK waits for 5 s only
        yield said | {"SSL_CERT_FILE": str(trusted), "NODE_EXTRA_CA_CERTS": str(trusted)}


def _answers(issuer: str, trusted: Path) -> bool:
    try:
        return requests.get(f"{issuer}livez", verify=str(trusted), timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


def run(argv: list[str], environment: dict[str, str]) -> dict[str, Any]:
    env = {**clean_environment(), **environment, "PATH": os.environ["PATH"], "NODE_PATH": str(ROOT / "node_modules")}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_auth0_python_drives_every_resource(environment):
    found = run([sys.executable, str(HERE / "auth0_management.py")], environment)
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
        "import": [1, 1],
        "export": [
            "completed",
            ["email,user_metadata.number", f"{MARY},", "py0@fabrikamcorp.com,0", "py1@fabrikamcorp.com,1"],
        ],
        "blocks": [],
        "verification": "verification_email",
        "guesses": True,
        "methods": [],
        "trail": [True, []],
        "grants_of_person": [[], [], []],
        "mail": "A new password",
        "text": {"login": {"description": "Staff only"}},
        "mail_server": [[404, "inexistent_email_provider"], [400, "operation_not_supported"]],
        "credential": True,
        "method": "private_key_jwt",
        "scim": True,
        "log_stream": ["paused", 1],
        "event_streams": True,
        "event_stream": "disabled",
        "event_delivery": [True, "pending", ["failed"]],
        "organizations": [],
        "error": [404, "inexistent_client"],
    }


def test_the_npm_package_auth0_drives_what_operators_use(environment):
    found = run(["node", str(HERE / "auth0_management.cjs")], environment)
    assert found == {
        "people": sorted([MARY, *(f"js{number}@fabrikamcorp.com" for number in range(3))]),
        "metadata": {"a": 1},
        "sessions": [],
        "tokens": [],
        "secret": True,
        "clients": ["Management", "Node shop"],
        "connections": ["FabrikamAD"],
        "roles": ["Node"],
        "export": ["users_export", "pending"],
        "logStream": "paused",
        "eventStreams": ["Watcher"],
        "deliveries": ["pending"],
        "tenant": "Fabrikam",
        "logs": True,
        "error": [404, "inexistent_user"],
    }
