"""The applications of docs/quickstarts: their code, taken from the pages, and what only their Curfew knows."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.rps.running import CLIENT_SECRET, HERE
from tests.support.nursery import run_in_bare
from tests.support.processes import free_port
from tests.support.stack import ROOT, clean_environment

SERVED = ("flask", "express", "spa")
NAMES = (*SERVED, "native")
FILE = re.compile(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TENANT = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Place:
    """An application of a quickstart: its page, and where it runs."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.port = name, folder / name, free_port()
        self.base = f"http://localhost:{self.port}"
        page = (ROOT / f"docs/quickstarts/{name}.md").read_text()
        self.folder.mkdir()
        for file, code in FILE.findall(page):
            (self.folder / file).write_text(code)
        (client,) = yaml.safe_load(TENANT.findall(page)[0].replace("https://app.example.com", self.base))["clients"]
        self.client: dict[str, Any] = client
        self.clock = self.folder / "ahead"
        self.ahead(0)

    def ahead(self, seconds: int) -> None:
        """Move the application's clock; it may read it at any moment."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.clock)

    def environment(self, issuer: str) -> dict[str, str]:
        return {
            "ISSUER": issuer,
            "BASE_URL": self.base,
            "CLIENT_ID": self.client["client_id"],
            "CLIENT_SECRET": CLIENT_SECRET,
            "COOKIE_SECRET": secrets.token_urlsafe(32),
            "DATABASE": str(self.folder / "sessions.sqlite3"),
            "PORT": str(self.port),
            "DESK_FILE": str(self.folder / "kept.json"),
            "BROWSER": "true",  # the program, which opens nothing: the test does
            "AHEAD_FILE": str(self.clock),
            "PYTHONPATH": f"{HERE / 'ahead'}{os.pathsep}{self.folder}",
        }

    @property
    def secret(self) -> dict[str, str]:
        """What its tenant file reads from the environment."""
        return {self.client["client_secret"]["env"]: CLIENT_SECRET} if "client_secret" in self.client else {}

    def argv(self) -> list[str]:
        if self.name == "native":
            return [sys.executable, str(self.folder / "desk.py")]
        if self.name == "flask":
            return [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(self.port)]
        if self.name == "express":
            return ["node", "--require", str(HERE / "ahead" / "ahead.cjs"), str(self.folder / "app.mjs")]
        return [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(self.folder), str(self.port)]


def inside(environment: Mapping[str, str], code: str) -> Any:
    """What this program prints as JSON in its last line, run by Curfew's shell."""
    done = run_in_bare(["manage.py", "shell", "-v", "0", "-c", code], {**clean_environment(), **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])
