"""docs/moving-from-auth0.md, its commands as they stand there: Auth0's Deploy CLI, unmodified, takes a tenant through TLS to an
empty Curfew. Both are equal then, by their tenant files."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import trustme
import yaml
from django.core.management import call_command

from idp.applications import management_api
from idp.models import Application, Connection, ResourceServer, Role, TenantSettings
from idp.tenants.file import export
from idp.tenants.file.references import SecretNames
from tests.support.management import Api
from tests.support.stack import ROOT, clean_environment
from tests.support.tls_front import TlsFront

PAGE = ROOT / "docs" / "moving-from-auth0.md"
QUICKER = Path(__file__).with_name("two_languages.cjs")
PATIENCE = 600.0  # seconds for a script; other tests may keep every core busy
SECRET = "a-secret-at-okta-with-enough-characters"
MAIL = {"subject": "New password", "body": "Hello {address}\n\n{url}"}
THINGS = "https://api.example/"
TENANT: dict[str, Any] = {
    "tenant": {
        "friendly_name": "Fabrikam",
        "session_lifetime": 100,
        "idle_session_lifetime": 24,
        "allowed_logout_urls": ["https://www.fabrikam.example/"],
        "accent_color": "#112233",
        "background_color": "#f4f5f7",
        "session_cookie": {"mode": "non-persistent"},
        "texts": {"login": {"en": "Use your staff account.", "de": "Mit dem Firmenkonto."}},
        "mail_templates": {"reset_email": {"en": MAIL, "de": MAIL}, "magic_link": {"en": MAIL}},
    },
    "connections": [
        {"name": "Staff", "strategy": "auth0", "options": {"passwordPolicy": "good"}},
        {
            "name": "okta",
            "strategy": "oidc",
            "display_name": "Partners",
            "enabled_clients": ["shop", "page"],
            "options": {"issuer": "https://login.example/", "client_id": "123", "client_secret": SECRET},
        },
    ],
    "clients": [
        {
            "client_id": "shop",
            "client_secret": "a-secret-of-a-test-with-enough-characters",
            "name": "Shop",
            "app_type": "regular_web",
            "callbacks": ["https://shop.example/cb"],
            "allowed_logout_urls": ["https://shop.example/"],
            "oidc_logout": {
                "backchannel_logout_urls": ["https://shop.example/out"],
                "backchannel_logout_initiators": {"mode": "all"},
            },
            "refresh_token": {
                "rotation_type": "non-rotating",
                "token_lifetime": 86400,
                "infinite_idle_token_lifetime": True,
            },
            "session_expiry": False,
        },
        {"client_id": "page", "name": "Page", "app_type": "spa", "callbacks": ["https://page.example/cb"]},
        {
            "client_id": "job",
            "client_secret": "another-secret-of-a-test-with-enough-characters",
            "name": "Job",
            "app_type": "non_interactive",
        },
    ],
    "resourceServers": [
        {
            "identifier": THINGS,
            "name": "Things",
            "scopes": [{"value": "read:things", "description": "Read"}, {"value": "write:things"}],
            "token_lifetime": 3600,
            "enforce_policies": True,
        },
        {"identifier": "https://opaque.example/", "name": "Opaque", "opaque": True},
    ],
    "clientGrants": [{"client_id": "job", "audience": THINGS, "scope": ["read:things"]}],
    "roles": [
        {
            "name": "Reader",
            "description": "Reads",
            "permissions": [{"resource_server_identifier": THINGS, "permission_name": "read:things"}],
        }
    ],
}


@pytest.fixture
def tool(live_server: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the tool has to know of this Curfew, which has answered once."""
    authority, trusted = trustme.CA(), str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    program = Api().program
    with TlsFront(tls, urlsplit(live_server.url).port or 0) as front:
        form = {
            "grant_type": "client_credentials",
            "client_id": program.client_id,
            "client_secret": program.raw_secret,
            "audience": management_api.audience(),
        }
        answer = requests.post(f"https://127.0.0.1:{front.port}/oauth/token", form, verify=trusted, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text  # the tool waits ten seconds for it
        yield {
            "AUTH0_DOMAIN": f"127.0.0.1:{front.port}",
            "AUTH0_CLIENT_ID": program.client_id,
            "AUTH0_CLIENT_SECRET": program.raw_secret,
            "AUTH0_AUDIENCE": management_api.audience(),
            "NODE_EXTRA_CA_CERTS": trusted,
            "OKTA_SECRET": SECRET,
        }


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_deploy_cli_takes_a_tenant_to_an_empty_curfew(tool, tmp_path):
    write, take = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)
    (tmp_path / "curfew.yaml").write_text(yaml.safe_dump(TENANT))
    call_command("apply", str(tmp_path / "curfew.yaml"))
    before = named()
    run(write, tmp_path, tool)
    file = tmp_path / "tenant" / "tenant.yaml"
    file.write_text(with_a_place_for_the_secret(file.read_text()))
    empty_this(tool["AUTH0_CLIENT_ID"])
    empty = named()
    lines = take.splitlines(keepends=True)
    dry = "".join(line for line in lines if line.startswith("export") or "--dry-run" in line)
    assert "okta" in run(dry, tmp_path, tool)
    assert named() == empty
    assert empty != before
    run("".join(line for line in lines if "--dry-run" not in line), tmp_path, tool)
    assert named() == before


def run(script: str, folder: Path, tool: dict[str, str]) -> str:
    """`QUICKER`: nearly all of the tool's time went to its checks of texts of prompts in 81 languages, of which it takes none here."""
    path = f"{ROOT / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**clean_environment(), **tool, "PATH": path, "NODE_OPTIONS": f"--require={QUICKER}"}
    done = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def empty_this(but: str) -> None:
    """As after a first start, with the tool's client."""
    Application.objects.exclude(client_id=but).delete()
    ResourceServer.objects.exclude(is_system=True).delete()
    for model in (Connection, Role, TenantSettings):
        model.objects.all().delete()


def with_a_place_for_the_secret(text: str) -> str:
    document = yaml.safe_load(text)
    [okta] = document["connections"]
    okta["options"]["client_secret"] = "##OKTA_SECRET##"
    return yaml.safe_dump(document)


def named() -> dict[str, Any]:
    """The tenant file, with applications by their names: ids are given anew, as at Auth0."""
    found = yaml.safe_load(export.text(SecretNames()))
    names = {client["client_id"]: client["name"] for client in found["clients"]}
    for client in found["clients"]:
        del client["client_id"]
    for connection in found["connections"]:
        if "enabled_clients" in connection:
            connection["enabled_clients"] = sorted(names[one] for one in connection["enabled_clients"])
    for grant in found["clientGrants"]:
        grant["client_id"] = names[grant["client_id"]]
    found["clientGrants"].sort(key=lambda grant: grant["client_id"])
    found["resourceServers"].sort(key=lambda api: api["name"])
    return found
