"""One version number, the files of a release with sums and signature, and the audit of what is pinned."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from idp.operations.version import version
from tests.support.release import audit, bundle

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"


def test_everything_names_the_version_of_the_project() -> None:
    number = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "examples/helm/curfew/Chart.yaml").read_text())
    manifests = yaml.safe_load((ROOT / "examples/kubernetes/kustomization.yaml").read_text())
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    sections = re.findall(r"^## (\S+)(?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == ("Unreleased", "")
    assert (sections[1][0], bool(sections[1][1])) == (number, True)
    assert [chart["version"], chart["appVersion"], manifests["images"][0]["newTag"]] == [number] * 3
    assert compose["x-curfew"]["image"] == f"curfew:{number}"
    assert f"\n### {number}\n" in (ROOT / "docs/upgrading.md").read_text()
    assert f"| {number.rpartition('.')[0]} |" in (ROOT / "SECURITY.md").read_text()
    assert version() == number


@pytest.mark.parametrize("word", ["version", "--version"])
def test_the_command_says_ours(word: str) -> None:
    said = subprocess.run([sys.executable, "manage.py", word], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.stdout == f"Curfew {version()}\n"


def test_the_image_has_what_says_its_version() -> None:
    assert "!pyproject.toml" in (ROOT / ".dockerignore").read_text().splitlines()
    assert re.search(r"^COPY .*\bpyproject\.toml\b", (ROOT / "Dockerfile").read_text(), re.M)


# --- the files of a release --------------------------------------------------------------------------------------------
@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small project of our layout, committed."""
    root = tmp_path / "project"
    (root / "requirements").mkdir(parents=True)
    (root / "small").mkdir()
    (root / "small/__init__.py").write_text('"""Small."""\n')
    (root / "requirements/base.txt").write_text("django==5.2.19\n")
    (root / "package-lock.json").write_text("{}")
    (root / "sbom.json").write_text('{"bomFormat": "CycloneDX"}')
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
    )
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All of it"]):
        identity = ["-c", "user.name=Mary", "-c", "user.email=mary@fabrikamcorp.com"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True, timeout=60)
    return root


def test_the_same_commit_makes_the_same_files_and_the_sums_say_which(repository: Path, tmp_path: Path) -> None:
    first = bundle.make(repository, tmp_path / "one", repository / "sbom.json")
    (repository / "small/__init__.py").touch()  # another time of the file is no other file
    (repository / "small/notes.py").touch()  # nor is one that was not committed any
    second = bundle.make(repository, tmp_path / "two", repository / "sbom.json")
    assert first.read_text() == second.read_text()
    names = [line.split("  ")[1] for line in first.read_text().splitlines()]
    assert names == [
        "curfew-0.1.0.cdx.json", "curfew-0.1.0.provenance.json", "small-0.1.0-py3-none-any.whl", "small-0.1.0.tar.gz",
    ]  # fmt: skip
    note = json.loads((first.parent / "curfew-0.1.0.provenance.json").read_text())
    subjects = {each["name"]: each["digest"]["sha256"] for each in note["subject"]}
    assert subjects == {name: bundle.sha256(first.parent / name) for name in names if "provenance" not in name}
    sources = note["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert sources[0]["digest"]["gitCommit"] == bundle.git(repository, "rev-parse", "HEAD")
    assert [each["name"] for each in sources[1:]] == ["requirements/base.txt", "package-lock.json"]
    check = subprocess.run(["sha256sum", "--check", "--quiet", first.name], cwd=first.parent, timeout=60)
    assert check.returncode == 0


def test_the_signature_of_the_sums_is_checked_as_the_page_says(tmp_path: Path) -> None:
    key, sums = tmp_path / "key", tmp_path / bundle.SUMS
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
    public = key.with_suffix(".pub").read_text().split()
    (tmp_path / "allowed_signers").write_text(f'releases@curfew namespaces="curfew-release" {public[0]} {public[1]}\n')
    sums.write_text("0  nothing\n")
    bundle.sign(sums, key)
    [command] = re.findall(r"^(ssh-keygen -Y verify .*)$", (ROOT / "SECURITY.md").read_text(), re.M)
    verify: dict[str, Any] = {"shell": True, "cwd": tmp_path, "capture_output": True, "timeout": 60}
    assert subprocess.run(command, **verify).returncode == 0
    sums.write_text("1  nothing\n")
    assert subprocess.run(command, **verify).returncode != 0


# --- the audit ---------------------------------------------------------------------------------------------------------
LOCK = """\
django==5.2.0 \\
    --hash=sha256:00
uvicorn[standard]==0.30 ; python_version < '3.12' \\
    --hash=sha256:11
Uvicorn==0.40 ; python_version >= '3.12' \\
    --hash=sha256:22
"""
# As OSV's page on querybatch shows it: one object for each query, empty where there is nothing.
FOUND = {"vulns": [{"id": "PYSEC-2025-14", "modified": "2025-05-07T12:00:00Z"}]}


def test_every_pin_of_every_python_is_looked_up(tmp_path: Path) -> None:
    lock = tmp_path / "base.txt"
    lock.write_text(LOCK)
    asked: list[Any] = []

    def ask(queries: list[Any]) -> Any:
        asked.extend(queries)
        return {"results": [FOUND, FOUND, {}, {}]}

    found = list(audit.python_problems(audit.pins(lock), ask))
    assert found == ["django 5.2.0: https://osv.dev/vulnerability/PYSEC-2025-14"]
    assert [(each["package"]["name"], each["version"]) for each in asked] == [
        audit.KNOWN_BAD,
        ("django", "5.2.0"),
        ("uvicorn", "0.30"),
        ("uvicorn", "0.40"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"results": [{}, {}, {}, {}]},  # of a mirror that knows nothing
        {"results": [FOUND, {}, {}]},
        {"results": [FOUND, {}, None, {}]},
        {"code": 3, "message": "Invalid query."},
        [],
        {"results": [FOUND, {**FOUND, "next_page_token": "x"}, {}, {}]},
    ],
)
def test_an_answer_that_leaves_a_package_out_is_a_failure(tmp_path: Path, answer: Any) -> None:
    lock = tmp_path / "base.txt"
    lock.write_text(LOCK)
    said = audit.said_of(lambda: audit.python_problems(audit.pins(lock), lambda _: answer))
    assert said[-1].startswith("Not looked up: ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "django>=5\n", "git+ssh://example.com/django\n"])
def test_a_lock_file_that_cannot_be_read_is_a_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.txt").write_text(text)
    [said] = audit.said_of(lambda: audit.python_problems(audit.pins(tmp_path / "base.txt"), lambda _: {}))
    assert said.startswith("Not looked up: base.txt")


def test_nobody_to_ask_is_a_failure() -> None:
    ask = audit.ask_osv("http://127.0.0.1:1/")
    [said] = audit.said_of(lambda: audit.python_problems([("django", "5.2.0")], ask))
    assert said.startswith("Not looked up: OSV could not be asked: ")


# What `npm audit --json` of npm 11 printed where a registry told no advisory, two of them (those of GitHub), or had no such service.
@pytest.mark.parametrize(
    ("recorded", "locked", "said"),
    [
        ("npm-audit-clean.json", 2, []),
        ("npm-audit-found.json", 2, ["minimist 0.0.8 (critical): https://github.com/advisories/GHSA-vh95-rmgr-6w4m, https://github.com/advisories/GHSA-xvch-5gv4-984h", "mkdirp 0.5.1 (critical): through minimist"]),
        ("npm-audit-clean.json", 3, ["Not looked up: npm audit looked up 2 of 3 packages."]),
    ],
)  # fmt: skip
def test_what_npm_says_is_said(recorded: str, locked: int, said: list[str]) -> None:
    report = (RECORDED / recorded).read_text()
    assert audit.said_of(lambda: audit.npm_problems(report, locked)) == said


@pytest.mark.parametrize("report", [(RECORDED / "npm-audit-refused.json"), "", "npm ERR!", "{}", "[]"])
def test_what_npm_did_not_look_up_is_a_failure(report: Path | str) -> None:
    text = report.read_text() if isinstance(report, Path) else report
    [said] = audit.said_of(lambda: audit.npm_problems(text, 1))
    assert said.startswith("Not looked up: npm audit")


def test_who_does_not_know_what_is_known_is_believed_nothing() -> None:
    audit.check_npm((RECORDED / "npm-audit-found.json").read_text())
    clean = (RECORDED / "npm-audit-clean.json").read_text()
    [said] = audit.said_of(lambda: audit.check_npm(clean) or [])
    assert said.startswith("Not looked up: npm audit knows no advisory of minimist 0.0.8")


def test_the_project_s_own_lock_files_are_read() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert len(audit.pins(lock)) > 50
    assert audit.locked_packages(ROOT / "package-lock.json") > 50
