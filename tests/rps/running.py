"""A Curfew and relying parties as real processes, each on its own free port."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Page

from idp.processes import children
from tests.support import stack, template
from tests.support.nursery import run_in_bare
from tests.support.processes import Program, free_port
from tests.support.receiver import wait_until
from tests.support.stack import clean_environment, kill_with_children

HERE = Path(__file__).parent
MARY, PASSWORD = "mary@fabrikamcorp.com", "correct horse battery staple"
CLIENT_SECRET = "a-secret-of-a-test-with-enough-characters"
STARTUP = 180.0  # seconds; other tests may keep every core busy
SEVERAL = """
import json, sys
from django.core.management import call_command
import django

django.setup()
for command in json.loads(sys.argv[1]):
    call_command(*command)
"""
PATIENCE = 30.0  # seconds until an application must have heard


@contextlib.contextmanager
def program(
    argv: Sequence[str], env: Mapping[str, str], folder: Path, port: int, *, ask_to_end: bool = True
) -> Iterator[None]:
    """A program that runs until the block ends; entered when its port answers. Its output is in `folder`."""
    log = folder / f"{Path(argv[0]).name}-{port}.log"
    running = Program(list(argv), {**clean_environment(), **env}, log)
    try:
        wait_until(lambda: answers(port) or _must_live(running), STARTUP, f"{argv[0]} does not answer: {log}")
        yield
    finally:
        if ask_to_end:
            with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed
                running.terminate(15)
        kill_with_children(running.process)


def _must_live(running: Program) -> bool:
    if running.process.poll() is not None:
        raise AssertionError(f"ended with {running.process.returncode}: {running.text[-3000:]}")
    return False


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def curfew(
    folder: Path,
    tenant: dict[str, Any],
    *,
    tls: tuple[Path, Path] | None = None,
    host: str = "localhost",
    then: Callable[[dict[str, str]], None] | None = None,
    **more: str,
) -> Iterator[str]:
    """The issuer of a running Curfew with this tenant file, and `more` of an environment. With `tls` (certificate, key) it is https, without a worker.

    `then` is done with its environment once the tenant file is applied.
    """
    port = free_port()
    host = "id.localhost" if tls and host == "localhost" else host
    env = {
        "PORT": str(port),
        "ISSUER": f"{'https' if tls else 'http'}://{host}:{port}/",
        "SECRET_KEY": "of a test, and as long as a secret key has to be: 0123456789 abcdefghij",
        "CURFEW_ENCRYPTION_KEYS": "of-a-test-and-as-long-as-a-key-has-to-be-0123456789",
        "CURFEW_DATA": str(folder / "data"),
        "CURFEW_DEMO": "0",
        "CURFEW_WEB_WORKERS": "1",
        "CURFEW_OUTBOUND_ALLOW": "127.0.0.0/8,::1/128",
        **more,
    }
    file = folder / "tenant.yaml"
    file.write_text(yaml.safe_dump(tenant))
    template.begin_sqlite(folder / "data" / "curfew.sqlite3")
    template.begin_files(folder / "data")
    run_commands(env, ["up", "--prepare-only"], ["apply", str(file)])
    template.keep_files(folder / "data")
    if then is not None:
        then(env)
    argv = _tls_server(port, *tls) if tls else [sys.executable, "manage.py", "up"]
    with program(argv, env, folder, port, ask_to_end=False):
        # The port answers before there is anything behind it; the issuer's name may be one that browsers alone know.
        address = f"{'https' if tls else 'http'}://127.0.0.1:{port}/livez"
        wait_until(lambda: stack.answers(address), STARTUP, f"{address} does not answer: {folder}")
        yield env["ISSUER"]


def run_commands(env: Mapping[str, str], *commands: Sequence[str]) -> str:
    """What these management commands say, one after the other in one process: each costs seconds to begin."""
    environment = {**clean_environment(), "DJANGO_SETTINGS_MODULE": "idp.settings", **env}
    done = run_in_bare(["-c", SEVERAL, json.dumps(commands)], environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tls_server(port: int, certificate: Path, key: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", *children.SERVED),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--ssl-certificate", str(certificate), "--ssl-keyfile", str(key)),
    ]


def tenant_of(*clients: dict[str, Any]) -> dict[str, Any]:
    """A tenant with Mary and these applications."""
    return {
        "tenant": {"friendly_name": "Fabrikam", "session_management": True},
        "connections": [{"name": "FabrikamAD", "strategy": "auth0"}],
        "clients": list(clients),
        "users": [{"connection": "FabrikamAD", "email": MARY, "password": PASSWORD, "email_verified": True}],
    }


def web_application(name: str, base_url: str, callback: str, **fields: Any) -> dict[str, Any]:
    """A confidential application at this address, `fields` as in the tenant file."""
    return {
        "client_id": name,
        "client_secret": CLIENT_SECRET,
        "name": name,
        "app_type": "regular_web",
        "callbacks": [f"{base_url}{callback}"],
        "allowed_logout_urls": [base_url, f"{base_url}/"],
        **fields,
    }


def page_application(name: str, base_url: str, callback: str) -> dict[str, Any]:
    """A public application that lives in the browser."""
    return {
        "client_id": name,
        "name": name,
        "app_type": "spa",
        "callbacks": [f"{base_url}{callback}"],
        "allowed_logout_urls": [f"{base_url}/"],
        "web_origins": [base_url],
    }


def sign_in(page: Page, who: str = MARY) -> None:
    """Fill in the login page that the browser is on."""
    page.fill("input[name=username]", who)
    page.fill("input[name=password]", PASSWORD)
    page.click("form button[type=submit]")
