"""A Curfew behind TLS with a first client of its Management API, for tools that speak to nothing else."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
import yaml

from tests.rps.running import curfew
from tests.support.stack import ROOT, clean_environment

PATIENCE = 180.0  # seconds for a whole script; other tests may keep every core busy


@dataclass
class Managed:
    """`said`: what its client has to know. `own`: the environment of its own commands."""

    said: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def manage(self, *argv: str) -> str:
        env = {**clean_environment(), **self.own}
        done = subprocess.run(
            [sys.executable, "manage.py", *argv], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def run(self, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A tool that knows its client."""
        env = {**clean_environment(), **self.said, **more, "PATH": os.environ["PATH"]}
        env["NODE_PATH"] = str(ROOT / "node_modules")
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def exported(self) -> dict[str, Any]:
        """Its tenant file."""
        found: dict[str, Any] = yaml.safe_load(self.manage("export"))
        return found


@contextlib.contextmanager
def managed(folder: Path, tenant: dict[str, Any]) -> Iterator[Managed]:
    authority, found = trustme.CA(), Managed()
    own = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = folder / "certificate.pem", folder / "key.pem", folder / "ca.pem"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))

    def first_client(env: dict[str, str]) -> None:
        found.own = env
        lines = found.manage("create_management_client").splitlines()
        found.said = dict(line.split("=", 1) for line in lines)
        found.said |= {"SSL_CERT_FILE": str(trusted), "NODE_EXTRA_CA_CERTS": str(trusted)}

    with curfew(folder, tenant, tls=(certificate, key), host="127.0.0.1", then=first_client):
        yield found
