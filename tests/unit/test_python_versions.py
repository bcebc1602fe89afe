"""Curfew runs on every Python that pyproject.toml names: the pinned packages, and which Python `make` takes."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SUPPORTED = SpecifierSet(PROJECT["project"]["requires-python"])
VERSIONS = [version for minor in range(8, 30) if (version := f"3.{minor}") in SUPPORTED]
TRACING = PROJECT["project"]["optional-dependencies"]["tracing"]
GROUPS = PROJECT["dependency-groups"]


def of_group(group: str) -> Iterator[str]:
    for entry in GROUPS[group]:
        yield from of_group(entry["include-group"]) if isinstance(entry, dict) else [entry]


FILES = {"base.txt": [], "tracing.txt": TRACING, "test.txt": [*TRACING, *of_group("test")]}


def pins(file: str) -> list[tuple[Requirement, int]]:
    """Each pin with the number of its hashes."""
    text = (ROOT / "requirements" / file).read_text().replace("\\\n", " ")
    return [(Requirement(line.split(" --hash")[0]), line.count("--hash=sha256:")) for line in text.splitlines()]


def environment(version: str) -> dict[str, str]:
    known = {name: str(value) for name, value in default_environment().items()}
    return known | {"python_version": version, "python_full_version": f"{version}.9"}


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def wanted(requirements: list[str], version: str, extras: tuple[str, ...] = ("",)) -> Iterator[Requirement]:
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or any(
            requirement.marker.evaluate(environment(version) | {"extra": extra}) for extra in extras
        ):
            yield requirement


def test_the_versions_are_those_that_the_papers_name() -> None:
    assert VERSIONS == ["3.11", "3.12", "3.13", "3.14"]
    for paper in ("README.md", "Makefile"):
        assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in (ROOT / paper).read_text()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES)
def test_what_a_version_needs_is_pinned_for_it_with_hashes(file: str, version: str) -> None:
    """From the project's own requirements to those of all that they bring, as far as it is installed here."""
    pinned = {
        name(pin.name): pin
        for pin, hashes in pins(file)
        if hashes and (not pin.marker or pin.marker.evaluate(environment(version)))
    }
    open_ends = list(wanted(PROJECT["project"]["dependencies"] + FILES[file], version))
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while open_ends:
        requirement = open_ends.pop()
        key = (name(requirement.name), tuple(sorted(requirement.extras)))
        if key in seen:
            continue
        seen.add(key)
        assert key[0] in pinned, f"Python {version} needs {requirement}"
        pin = next(iter(pinned[key[0]].specifier)).version
        assert requirement.specifier.contains(pin, prereleases=True), f"{requirement} is pinned to {pin}"
        open_ends += wanted(requires(requirement.name, pin), version, ("", *requirement.extras))


def requires(package: str, pin: str) -> list[str]:
    """Of what is installed here; another version, pinned for another Python, may need something else."""
    try:
        found = distribution(package)
    except ModuleNotFoundError:
        return []
    return found.requires or [] if found.version == pin else []


@pytest.mark.parametrize("file", FILES)
def test_a_package_that_is_compiled_has_a_hash_for_every_version_and_machine(file: str) -> None:
    """One that is compiled for each version has at least two files for each: Linux on two kinds of processor, and macOS.

    `make compile` asks the index itself whether each version has its wheels.
    """
    for pin, hashes in pins(file):
        assert hashes >= 1, pin
        tags = {tag for tag in wheel_tags(pin.name) if re.fullmatch(r"cp3\d+-cp3\d+", tag)}
        if tags and not pin.marker:
            assert hashes >= 2 * len(VERSIONS), pin


def wheel_tags(package: str) -> list[str]:
    """Interpreter and ABI of the wheel that is installed here: `cp311-cp311`, `cp39-abi3`, `py3-none`."""
    try:
        text = distribution(package).read_text("WHEEL") or ""
    except ModuleNotFoundError:
        return []
    return re.findall(r"^Tag: (\w+-\w+)-", text, re.MULTILINE)


def test_the_files_name_no_index() -> None:
    assert not [
        file for file in FILES if "index" in (text := (ROOT / "requirements" / file).read_text()) or "://" in text
    ]


# --- which Python `make` takes ---------------------------------------------------------------------------------------
def choose(folder: Path, *given: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """`programs` are shell scripts that stand for Pythons: nothing else is on the path."""
    folder.mkdir()
    for program, script in programs.items():
        path = folder / program.replace("_", ".")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    argv = ["/bin/sh", str(ROOT / "requirements" / "choose-python.sh"), *given]
    return subprocess.run(argv, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def python(version: str, *, supported: bool = True, venv: bool = True) -> str:
    """Answers the two questions that the script asks."""
    return f'case "$2" in *venv*) exit {0 if venv else 1};; *) echo "{version} {0 if supported else 1}";; esac'


def test_the_system_s_python_is_taken_if_it_is_supported(tmp_path: Path) -> None:
    assert choose(tmp_path / "a", python3=python("3.13"), python3_11=python("3.11")).stdout == "python3\n"


def test_another_is_taken_when_the_system_s_is_too_old_or_has_no_venv(tmp_path: Path) -> None:
    old, bare = python("3.9", supported=False), python("3.13", venv=False)
    assert choose(tmp_path / "a", python3=old, python3_12=python("3.12")).stdout == "python3.12\n"
    assert choose(tmp_path / "b", python3=bare, python3_12=python("3.12")).stdout == "python3.12\n"


def test_a_python_that_is_named_is_taken_or_refused_but_never_replaced(tmp_path: Path) -> None:
    both = {"python3": python("3.13"), "mine": python("3.9", supported=False)}
    refused = choose(tmp_path / "a", "mine", **both)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Found only mine (Python 3.9)" in refused.stderr
    assert "no-such is missing" in choose(tmp_path / "b", "no-such", **both).stderr


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({}, "Curfew needs Python 3.11, 3.12, 3.13 or 3.14. Install one"),
        ({"python3": python("3.10", supported=False)}, "Found only python3 (Python 3.10)"),
        ({"python3": python("3.12", venv=False)}, "sudo apt install python3.12-venv"),
        ({"python3": "echo not chosen >&2; exit 127"}, "Curfew needs Python 3.11, 3.12, 3.13 or 3.14."),
    ],
    ids=["none", "too old", "without venv", "a name without a version behind it"],
)
def test_what_is_missing_is_said(tmp_path: Path, programs: dict[str, str], said: str) -> None:
    missing = choose(tmp_path / "a", **programs)
    assert missing.returncode == 1
    assert said in missing.stderr
