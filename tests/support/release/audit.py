"""`make audit`: does any advisory name a package that is pinned here? What could not be looked up is a failure, never a silence.

Python packages of every lock file are asked for at OSV (https://google.github.io/osv.dev/post-v1-querybatch/), by name and
version, whatever Python they are pinned for; npm's by `npm audit`. Both need the network. Ends with 1 and sentences.

A mirror that knows no advisories answers like one that has none to tell, and npm counts packages that nobody looked up. So each
is asked for a package as well whose advisories are old and known; who finds none there is believed nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[3]
OSV = "https://api.osv.dev/v1/querybatch"
BATCH = 500  # queries; OSV takes 1000
TIMEOUT = 60  # seconds
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
Pin = tuple[str, str]
KNOWN_BAD: Pin = ("django", "2.2.0")
KNOWN_BAD_OF_NPM: Pin = ("minimist", "0.0.8")


class CannotTellError(Exception):
    """Something was not looked up: why, as a sentence."""


def pins(lock: Path) -> set[Pin]:
    """Name and version of each line that is one, also of those for another Python."""
    found = set()
    for line in lock.read_text().splitlines():
        if not line.strip() or line.startswith((" ", "#")):  # a hash, a comment
            continue
        if not (pin := PIN.match(line)):
            raise CannotTellError(f"{lock.name}: {line!r} is no pinned package.")
        found.add((pin["name"].lower(), pin["version"]))
    if not found:
        raise CannotTellError(f"{lock.name} pins nothing.")
    return found


def python_problems(wanted: Iterable[Pin], ask: Callable[[list[Any]], Any]) -> Iterator[str]:
    """`ask` gets the queries of one batch and returns what OSV answers."""
    ordered = [KNOWN_BAD, *sorted(set(wanted) - {KNOWN_BAD})]
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in batch]
        for (name, version), result in zip(batch, _results(ask(queries), len(batch)), strict=True):
            found = result.get("vulns", [])
            if (name, version) == KNOWN_BAD:
                if not found:
                    raise CannotTellError(f"OSV knows no advisory of {name} {version}, so it knows none.")
                continue
            if result.get("next_page_token"):
                raise CannotTellError(f"{name} {version} has more advisories than OSV answers at once.")
            for advisory in found:
                yield f"{name} {version}: https://osv.dev/vulnerability/{advisory['id']}"


def _results(answer: Any, wanted: int) -> list[Any]:
    """One object for each query, in their order; that of a package without advisories is empty."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != wanted or not all(isinstance(each, dict) for each in results):
        raise CannotTellError(f"OSV did not answer each of {wanted} packages: {str(answer)[:200]}")
    return results


def npm_problems(report: str, locked: int) -> Iterator[str]:
    """Of what `npm audit --json` prints; `locked`: how many packages the lock file has."""
    try:
        said = json.loads(report)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise CannotTellError(f"npm audit printed no report: {report[:200]!r}")
    known = said.get("metadata", {}).get("dependencies", {}).get("total")
    if known is None or said.get("auditReportVersion") != 2:
        raise CannotTellError(f"npm audit looked nothing up: {said.get('message') or report[:200]}")
    if known < locked:
        raise CannotTellError(f"npm audit looked up {known} of {locked} packages.")
    for name, found in sorted(said["vulnerabilities"].items()):
        via = sorted({each["url"] if isinstance(each, dict) else f"through {each}" for each in found["via"]})
        yield f"{name} {found['range']} ({found['severity']}): {', '.join(via)}"


def check_npm(report: str) -> None:
    """`report` is of the package whose advisories are known."""
    if not list(npm_problems(report, 1)):
        raise CannotTellError(f"npm audit knows no advisory of {' '.join(KNOWN_BAD_OF_NPM)}, so it knows none.")


def locked_packages(lock: Path) -> int:
    """Without the project itself, and links to folders of it."""
    packages = json.loads(lock.read_text())["packages"]
    return sum(1 for path, package in packages.items() if path and not package.get("link"))


def ask_osv(url: str) -> Callable[[list[Any]], Any]:
    def ask(queries: list[Any]) -> Any:
        try:
            answer = requests.post(url, json={"queries": queries}, timeout=TIMEOUT)
            answer.raise_for_status()
            return answer.json()
        except (requests.RequestException, ValueError) as error:
            raise CannotTellError(f"OSV could not be asked: {error}") from None

    return ask


def npm(folder: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        package, version = KNOWN_BAD_OF_NPM
        wanted = {"name": "probe", "version": "1.0.0", "dependencies": {package: version}}
        (Path(name) / "package.json").write_text(json.dumps(wanted))
        locked = {"": wanted, f"node_modules/{package}": {"version": version}}
        lock = {"name": "probe", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": locked}
        (Path(name) / "package-lock.json").write_text(json.dumps(lock))
        check_npm(ask_npm(Path(name)))
    yield from npm_problems(ask_npm(folder), locked_packages(folder / "package-lock.json"))


def ask_npm(folder: Path) -> str:
    try:
        ran = subprocess.run(
            ["npm", "audit", "--json", "--package-lock-only"], cwd=folder, capture_output=True, text=True, timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTellError(f"npm audit could not be run: {error}") from None
    return ran.stdout


def said_of(look: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(look())
    except CannotTellError as error:
        return [f"Not looked up: {error}"]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--osv", default=OSV, help="where OSV's batches are answered")
    osv = options.parse_args().osv
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    problems = [
        *said_of(lambda: python_problems(set().union(*map(pins, locks)), ask_osv(osv))),
        *said_of(lambda: npm(ROOT)),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"No advisory names a package of {', '.join(lock.name for lock in locks)} or package-lock.json.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
