"""What is released installs and runs, in an environment of its own and a folder where nothing is: the source, of which pip makes
a wheel, and that is the same wheel as the one that is released."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import requests

from idp.operations.version import version
from tests.support.processes import free_port
from tests.support.receiver import is_ready, wait_until

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
ADMINISTRATOR = """
connections: [{name: People, strategy: auth0}]
users: [{connection: People, email: admin@example.com, password: correct horse battery, administrator: true}]
"""


def build(target: str, folder: Path) -> Path:
    argv = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(argv, cwd=ROOT, check=True, timeout=120, capture_output=True)
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("source"))


@pytest.fixture
def curfew(source: Path, tmp_path: Path) -> str:
    """The command of a source archive that is installed beside the packages that we were tested with."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--no-build-isolation", str(source)], check=True, timeout=180)
    with zipfile.ZipFile(build("wheel", tmp_path / "wheel")) as wheel:
        [record] = [name for name in wheel.namelist() if name.endswith(".dist-info/RECORD")]
        released = set(wheel.read(record).decode().splitlines()) - {f"{record},,"}
    assert released - set((packages / record).read_text().splitlines()) == set()
    return str(environment / "bin" / "curfew")


def test_what_is_installed_says_its_version_prepares_itself_runs_and_stops(curfew: str, tmp_path: Path) -> None:
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = kept | {"PORT": str(port), "CURFEW_DATA": "data", "CURFEW_WEB_WORKERS": "1", "SECRET_KEY_FILE": "key"}
    (home / "key").write_text("of a test, and as long as a secret key has to be: 0123456789 abcdefghij")  # found by all
    (home / "tenant.yaml").write_text(ADMINISTRATOR)
    said = subprocess.run([curfew, "--version"], cwd=home, env=environment, capture_output=True, text=True, timeout=60)
    assert said.stdout == f"Curfew {version()}\n"
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([curfew, "up"], cwd=home, env=environment, stdout=log, stderr=log) as running,
    ):
        try:
            issuer = f"http://localhost:{port}/"
            wait_until(lambda: is_ready(f"{issuer}readyz"), 180, "it is not ready")
            done = subprocess.run(
                [curfew, "apply", "tenant.yaml"], cwd=home, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, done.stderr
            page = requests.get(f"{issuer}login", headers={"Accept-Language": "de"}, timeout=30)
            assert "Anmelden" in page.text
            for style in re.findall(r'href="(/static/[^"]+\.css)"', page.text):
                assert requests.get(f"{issuer}{style[1:]}", timeout=30).ok
            assert (home / "data" / "curfew.sqlite3").exists()
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0, (tmp_path / "log").read_text()
    assert [path.name for path in home.iterdir() if path.name not in ("data", "tenant.yaml", "key")] == []


def test_the_source_has_what_tests_and_builds_need(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "manage.py",
        "Makefile",
        "requirements/test.txt",
        "tests/conftest.py",
        "docs/operations.md",
        "tests/support/release/audit.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv", "node_modules", "var"))]
