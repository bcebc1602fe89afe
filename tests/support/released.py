"""Migrations that were released, by their sums: `tests/upgrade/migrations.sha256`, each line with the version that brought it.

`python -m tests.support.released pin` writes those of this tree's version, until that has its tag; `unpublished` only asks.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from idp.operations.version import version

ROOT = Path(__file__).parents[2]
PINS = ROOT / "tests" / "upgrade" / "migrations.sha256"
APPS = ("idp", "sessions_app", "logout_app")
Pins = dict[str, tuple[str, str]]  # path to sum and version


def present() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for app in APPS
        for path in sorted((ROOT / app / "migrations").glob("0*.py"))
    }


def pinned() -> Pins:
    lines = [line.split() for line in PINS.read_text().splitlines()] if PINS.exists() else []
    return {name: (found, since) for found, since, name in lines}


def changed(pins: Pins) -> list[str]:
    """Those that are not what they were."""
    here = present()
    return [name for name, (found, _) in pins.items() if here.get(name) != found]


def pin(pins: Pins, of: str) -> Pins:
    """Those of earlier versions as they are, and all others as of this one. Raises ValueError if an earlier one was edited."""
    earlier = {name: pinned for name, pinned in pins.items() if pinned[1] != of}
    if edited := changed(earlier):
        raise ValueError(
            f"Released, and changed since: {', '.join(edited)}. Take that back, and write a new migration."
        )
    return {**{name: (found, of) for name, found in present().items()}, **earlier}


def is_published(number: str) -> bool:
    tags = subprocess.run(["git", "tag", "--list", f"v{number}"], cwd=ROOT, capture_output=True, text=True, check=True)
    return bool(tags.stdout.strip())


def main(command: str) -> None:
    if is_published(version()):
        sys.exit(f"{version()} is out: set the next version in pyproject.toml first.")
    if command == "pin":
        lines = [f"{found}  {since}  {name}\n" for name, (found, since) in sorted(pin(pinned(), version()).items())]
        PINS.write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
