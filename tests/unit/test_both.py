"""`make test` runs what needs a database on both, and deals the rest to whichever worker is free."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import both

ROOT = Path(__file__).parents[2]
BOTH = ("popen//env:TEST_DATABASE=sqlite", "popen//env:TEST_DATABASE=postgres")
CONFTEST = """
import os, pathlib, pytest

RAN = pathlib.Path(__file__).with_name("ran")

def on(): return os.environ["TEST_DATABASE"]

@pytest.fixture
def db(): pass

@pytest.fixture
def person(db): pass

@pytest.fixture(autouse=True)
def ran(request):
    with RAN.open("a") as log:
        log.write(f"{on()} {request.node.name}\\n")
"""
Run = Callable[..., Counter[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of these modules on both: database and name of each test that ran, by how often."""

    def on_both(expected: str, workers: int = 1, **modules: str) -> Counter[str]:
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n once\n both\n postgresql\n sqlite\n django_db\n")
        for name, source in modules.items():
            path = tmp_path / f"{name}.py" if "/" in name else tmp_path / f"test_{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        plugins = ("-p", "xdist", "-p", "tests.support.both")
        dealing = ("--dist", "each", *(part for on in BOTH for part in ("--tx", f"{workers}*{on}")))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--strict-markers", *plugins, *dealing, str(tmp_path)],
            env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert expected in done.stdout, done.stdout + done.stderr
        return Counter((tmp_path / "ran").read_text().splitlines())

    return on_both


def test_what_holds_a_database_runs_on_both_and_the_rest_once(run: Run) -> None:
    ran = run(
        "16 passed",
        all_of_it="""
import pytest

pytestmark = pytest.mark.once

@pytest.mark.parametrize("kind", [pytest.param("this", marks=pytest.mark.both), "that"])
def test_kinds(kind, db): pass
""",
        mixed="""
import pytest

def test_direct(db): pass
def test_through_a_fixture(person): pass
@pytest.mark.django_db
def test_by_marker(): pass
@pytest.mark.once
def test_marked(db): pass
def test_pure(): pass
@pytest.mark.parametrize("number", [1, 2])
def test_many(number): pass
@pytest.mark.postgresql
def test_only_postgres(db): pass
@pytest.mark.postgresql
def test_only_postgres_elsewhere(): pass
@pytest.mark.sqlite
def test_only_sqlite_elsewhere(): pass
""",
    )
    for name in ("test_direct", "test_through_a_fixture", "test_by_marker", "test_kinds[this]"):
        assert ran[f"sqlite {name}"] == ran[f"postgres {name}"] == 1
    for name in ("test_marked", "test_pure", "test_many[1]", "test_many[2]", "test_kinds[that]"):
        assert ran[f"sqlite {name}"] + ran[f"postgres {name}"] == 1
    for name in (
        "postgres test_only_postgres",
        "postgres test_only_postgres_elsewhere",
        "sqlite test_only_sqlite_elsewhere",
    ):
        assert ran[name] == 1


def test_a_worker_that_is_done_with_its_own_takes_the_rest(run: Run) -> None:
    ran = run(
        "8 passed",
        own="""
import os, time
from conftest import RAN

def test_own(db):
    deadline = time.monotonic() + 60
    while os.environ["TEST_DATABASE"] == "sqlite" and "test_fourth" not in RAN.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def test_own_too(db): pass
""",
        first="def test_first(): pass\ndef test_second(): pass",
        then="def test_third(): pass\ndef test_fourth(): pass",
    )
    assert {f"postgres test_{name}" for name in ("first", "second", "third", "fourth")} <= set(ran)


def test_several_workers_of_a_database_share_what_it_has_to_see(run: Run) -> None:
    """Each waits for the other's module: one after the other they would wait for ever."""
    waits = """
import time
from conftest import RAN, on

def test_{0}(db):
    deadline = time.monotonic() + 60
    while f"{{on()}} test_{1}" not in RAN.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)

def test_{0}_too(db): pass
"""
    ran = run("8 passed", workers=2, one=waits.format("one", "two"), two=waits.format("two", "one"))
    names = ("one", "one_too", "two", "two_too")
    assert ran == {f"{on} test_{name}": 1 for on in ("sqlite", "postgres") for name in names}


def test_what_is_left_of_a_module_is_where_its_fixtures_are(run: Run) -> None:
    mixed = """
import pytest

def test_{0}(db): pass
@pytest.mark.once
def test_rest_of_{0}(db): pass
"""
    ran = run("6 passed", first=mixed.format("first"), second=mixed.format("second"))
    rest = {line for line in ran if "rest" in line}
    assert rest in (
        {"sqlite test_rest_of_first", "postgres test_rest_of_second"},
        {"postgres test_rest_of_first", "sqlite test_rest_of_second"},
    )


def test_a_room_whose_sql_others_show_runs_once_but_for_modules_that_speak_of_sql(run: Run) -> None:
    modules = {
        "tests/protocol/token/test_answers": "def test_answer(db): pass",
        "tests/protocol/token/test_statements": "def test_count(db): 'num_queries'",
        "tests/protocol/token/test_marked": "import pytest\n\n@pytest.mark.both\ndef test_marked(db): pass",
        "tests/protocol/door/test_answers_too": "def test_door(db): pass",
    }
    ran = run("7 passed", **modules)
    names = Counter(line.split()[1] for line in ran.elements())
    assert names == {"test_answer": 1, "test_count": 2, "test_marked": 2, "test_door": 2}


def test_the_rooms_that_run_once_exist() -> None:
    assert [room for room in both.ONE_IS_ENOUGH if not (ROOT / room).is_dir()] == []


def test_a_worker_that_crashes_is_replaced_and_nothing_is_left_out(run: Run) -> None:
    ran = run(
        "1 failed, 8 passed",
        own="""
import os

def test_before(db): pass
def test_crash(db):
    if os.environ["TEST_DATABASE"] == "sqlite":
        os._exit(1)
def test_after(db): pass
""",
        rest="def test_first(): pass",
        more="def test_second(): pass\ndef test_third(): pass",
    )
    for name in ("test_before", "test_crash", "test_after"):
        assert ran[f"sqlite {name}"] == ran[f"postgres {name}"] == 1
    for name in ("test_first", "test_second", "test_third"):
        assert ran[f"sqlite {name}"] + ran[f"postgres {name}"] == 1


def test_of_a_test_with_cases_the_first_runs_on_both(run: Run) -> None:
    ran = run(
        "9 passed",
        cases="""
import pytest

@pytest.mark.parametrize("value", ["a", "b", "c"])
def test_values(value, db): pass

@pytest.mark.both
@pytest.mark.parametrize("way", ["a", "b"])
def test_ways(way, db): pass

@pytest.mark.postgresql
@pytest.mark.parametrize("way", ["a"])
def test_own(way, db): pass
""",
    )
    names = Counter(line.split()[1] for line in ran.elements())
    assert names == {
        "test_values[a]": 2,
        "test_values[b]": 1,
        "test_values[c]": 1,
        "test_ways[a]": 2,
        "test_ways[b]": 2,
        "test_own[a]": 1,
    }


def test_a_case_that_only_one_database_has_runs_there(run: Run) -> None:
    ran = run(
        "4 passed",
        cases="""
import os
import pytest

@pytest.mark.parametrize("number", [1, 2 if os.environ["TEST_DATABASE"] == "sqlite" else 3])
def test_numbers(number, db): pass
""",
    )
    assert ran == {
        f"{on} test_numbers[{n}]": 1 for on, n in [("sqlite", 1), ("postgres", 1), ("sqlite", 2), ("postgres", 3)]
    }
