"""`make release`: the files of a release in one folder, with their sums and a note of how they were made.

The same commit makes the same files, whoever builds it and when: archives carry the commit's time, the SBOM none. So anybody
can build a release again and compare `SHA256SUMS`, which is what is signed (SECURITY.md).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SUMS = "SHA256SUMS"
NAMESPACE = "curfew-release"  # of the signature, so that one of something else of this key is none


def build(root: Path, folder: Path, epoch: str) -> None:
    """Wheel and sdist, of what is committed: a file that lies there besides must not get into them."""
    with tempfile.TemporaryDirectory() as name:
        archive, sources = Path(name) / "sources.tar", Path(name) / "sources"
        git(root, "archive", "--output", str(archive), "HEAD")
        with tarfile.open(archive) as committed:
            committed.extractall(sources, filter="data")
        build_in(sources, folder, epoch)


def build_in(root: Path, folder: Path, epoch: str) -> None:
    for target in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
            cwd=root,
            env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
            check=True,
            capture_output=True,
            timeout=300,
        )


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def provenance(root: Path, commit: str, files: list[Path]) -> dict[str, Any]:
    """An in-toto statement with SLSA's predicate (https://slsa.dev/spec/v1.0/provenance): which sources made which files."""
    locks = [*sorted((root / "requirements").glob("*.txt")), root / "package-lock.json"]
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file.name, "digest": {"sha256": sha256(file)}} for file in files],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://github.com/pypa/hatch",
                "externalParameters": {"command": "make release", "version": version},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *({"name": str(lock.relative_to(root)), "digest": {"sha256": sha256(lock)}} for lock in locks),
                ],
            },
            "runDetails": {"builder": {"id": "tests/support/release/bundle.py"}},
        },
    }


def write_sums(folder: Path) -> Path:
    """In the form that `sha256sum --check` reads."""
    files = sorted(file for file in folder.iterdir() if not file.name.startswith(SUMS))
    sums = folder / SUMS
    sums.write_text("".join(f"{sha256(file)}  {file.name}\n" for file in files))
    return sums


def sign(sums: Path, key: Path) -> None:
    """By an SSH key, beside the file."""
    subprocess.run(["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(sums)], check=True, timeout=60)


def git(root: Path, *command: str) -> str:
    return subprocess.run(
        ["git", *command], cwd=root, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def make(root: Path, folder: Path, sbom: Path) -> Path:
    """All of it in an empty `folder`. Returns the file of sums."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty.")
    build(root, folder, git(root, "log", "-1", "--format=%ct"))
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    (folder / f"curfew-{version}.cdx.json").write_bytes(sbom.read_bytes())
    note = json.dumps(provenance(root, git(root, "rev-parse", "HEAD"), sorted(folder.iterdir())), indent=2)
    (folder / f"curfew-{version}.provenance.json").write_text(note + "\n")
    return write_sums(folder)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--sbom", type=Path, required=True)
    options.add_argument("--key", type=Path, help="a private SSH key that signs the sums")
    given = options.parse_args()
    if changed := git(ROOT, "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"A release is made of a commit, and these files differ from it:\n{changed}")
    sums = make(ROOT, given.folder, given.sbom)
    if given.key:
        sign(sums, given.key)
    print(sums.read_text(), end="")


if __name__ == "__main__":
    main()
