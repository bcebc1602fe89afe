"""Two databases side by side: what can show something about a database runs on each, the rest on whichever worker is free.

Three things keep a test with a database from running on each:

- It is a further case (`parametrize`) of a test: what differs between the cases is a value, not the SQL. Where it is the
  SQL (`SQL_BY_CASE`) all cases run on each.
- Its room (`ONE_IS_ENOUGH`) is about what people and programs are answered; its SQL is that of the models, which other rooms
  run on each. Yet a module there that speaks of SQL itself (`SPEAKS_OF_SQL`: statements that are counted, transactions,
  threads, errors of a database) runs on each.
- The marker `once` says so. The marker `both` says the opposite of all three.

`make test` has workers per database, and says `--dist each`. Each worker writes down which of its tests need a database.
Those are dealt module by module to the workers of that database, what neither needs to any worker.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import EachScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

DATABASE_FIXTURES = frozenset({"db", "transactional_db", "live_server"})
SQL_BY_CASE = ("tests/delivery", "tests/faults", "tests/protocol/door", "tests/protocol/refresh", "tests/protocol/told")
ONE_IS_ENOUGH = tuple(
    f"tests/protocol/{room}/"
    for room in (
        *("account_area", "accounts", "admin", "applications", "authorize", "bruteforce", "conformance", "connections"),
        *("connections_ldap", "connections_oidc", "connections_saml", "discovery", "dpop", "interop", "introspection"),
        *("languages", "newcomers", "pages", "pairwise", "passkeys", "profile", "pushed", "reauthentication"),
        *("registration", "revocation", "rp_initiated_logout", "saml_applications", "sdk", "session_management"),
        *("sign_out_page", "signin", "ssodata", "token", "toolkit", "upstream_logout", "userinfo", "v2_logout"),
        "wsfed_applications",
    )
)
SPEAKS_OF_SQL = re.compile(
    r"CaptureQueries|num_queries|\.cursor\(|\bvendor\b|transaction=True|transactional_db|Thread|on_commit|select_for_update"
    r"|(Integrity|Database|Operational)Error|postgres|sqlite"
)
# Minutes each: the last one dealt would leave the other worker without work.
LONG = (
    "tests/protocol/pages/test_every_page_in_chromium.py",
    "tests/e2e/test_fresh_clone.py",
    "tests/faults/test_topology.py",
    "tests/protocol/scim/test_judges.py",
)
# Rooms that take minutes, module by module, around the same programs: begun last, they would be what all others wait for.
SLOW = ("tests/e2e", "tests/rps")
NOTES = "tests_that_need_a_database"  # a file's name, in what a worker is told


def needs_a_database(item: pytest.Item) -> bool:
    """Whether a second database could show something that the first does not.

    A marker says so, the closest one; else it is who may ask a database at all, which pytest-django keeps an eye on. What
    is for one of them only must not be dealt to the other's worker.
    """
    for marker in item.iter_markers():
        if marker.name in ("once", "both", "sqlite", "postgresql"):
            return marker.name != "once"
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or not DATABASE_FIXTURES.isdisjoint(fixtures)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What only the other database can show is left to it."""
    database = os.environ.get("TEST_DATABASE", "sqlite")
    other = "sqlite" if database == "postgres" else "postgresql"
    foreign = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=foreign)
    items[:] = [item for item in items if item not in foreign]
    if notes := getattr(config, "workerinput", {}).get(NOTES):
        Path(notes).write_text(json.dumps({"database": database, "tests": for_each_database(items)}))


def for_each_database(items: Sequence[pytest.Item]) -> list[str]:
    """The tests that each database has to see."""
    found, seen = [], set()
    for item in filter(needs_a_database, items):
        test = item.nodeid.partition("[")[0]
        marked = any(map(item.get_closest_marker, ("both", "sqlite", "postgresql")))
        if marked or (not one_is_enough(item) and (test not in seen or sql_by_case(item))):
            found.append(item.nodeid)
        seen.add(test)
    return found


def one_is_enough(item: pytest.Item) -> bool:
    return item.nodeid.startswith(ONE_IS_ENOUGH) and not speaks_of_sql(item.path)


def sql_by_case(item: pytest.Item) -> bool:
    return item.nodeid.startswith(SQL_BY_CASE) or (item.nodeid.startswith("tests/unit") and speaks_of_sql(item.path))


@cache
def speaks_of_sql(module: Path) -> bool:
    return SPEAKS_OF_SQL.search(module.read_text()) is not None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    file, node.workerinput[NOTES] = tempfile.mkstemp(prefix="curfew-")
    os.close(file)
    node.config.add_cleanup(Path(node.workerinput[NOTES]).unlink)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> EachScheduling | None:
    return Dealing(config, log) if config.getvalue("dist") == "each" else None


@dataclass(frozen=True)
class Share:
    """Tests of one module that one worker runs."""

    module: str
    database: str  # "": any
    tests: list[str]

    @property
    def folder(self) -> str:
        return self.module.rpartition("/")[0]


class Dealing(EachScheduling):
    """Every worker runs what needs its database, which it shares with others of that database, and then of the rest."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self.undealt: list[Share] = []
        self.database: dict[WorkerController, str] = {}
        self.at: dict[WorkerController, str] = {}

    @property
    def tests_finished(self) -> bool:
        return not self.undealt and super().tests_finished

    @property
    def has_pending(self) -> bool:
        return bool(self.undealt) or super().has_pending

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        super().add_node_collection(node, collection)
        self.node2collection[node] = list(collection)  # of a worker that replaces a crashed one too
        self.database[node] = json.loads(Path(node.workerinput[NOTES]).read_text())["database"]

    def schedule(self) -> None:
        """Called when all have collected, and again for a worker that replaces a crashed one."""
        if not self._started:
            self.undealt = list(self._shares())
        for node, pending in self.node2pending.items():
            if node not in self._started:
                self._started.append(node)
                node.send_runtest_some(pending)
                self._deal(node)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        self._deal(node)

    def _shares(self) -> Iterator[Share]:
        """What is left of a module goes with what one of the databases has of it, by turns: its fixtures are there."""
        collected = {self.database[node]: tests for node, tests in self.node2collection.items()}
        everywhere = set.intersection(*map(set, collected.values()))  # a case may be one database's own number
        own = {database: set(tests) - everywhere for database, tests in collected.items()}
        for node in self.node2collection:
            own[self.database[node]].update(json.loads(Path(node.workerinput[NOTES]).read_text())["tests"])
        modules: dict[str, dict[str, dict[str, None]]] = {}
        for database, tests in collected.items():
            for test in tests:
                of = database if test in own[database] else ""
                modules.setdefault(module_of(test), {}).setdefault(of, {})[test] = None
        turn = 0
        for module, found in modules.items():
            if rest := found.pop("", None):
                turn += bool(found)
                found.setdefault(sorted(found)[turn % len(found)] if found else "", {}).update(rest)
            yield from (Share(module, database, list(tests)) for database, tests in found.items())

    def _deal(self, node: WorkerController) -> None:
        """Work for a worker that has only one test left: it begins that one when it knows which comes next."""
        pending, collection = self.node2pending[node], self.node2collection[node]
        while len(pending) < 2:
            share = self._choose(node)
            if share is None:
                node.shutdown()  # after what it has
                return
            self.undealt.remove(share)
            self.at[node] = share.folder
            wanted = set(share.tests)
            dealt = [index for index, test in enumerate(collection) if test in wanted]
            pending.extend(dealt)
            node.send_runtest_some(dealt)

    def _choose(self, node: WorkerController) -> Share | None:
        """A long one, else of its database, which no other can take, else of the folder whose fixtures it has already, else
        where nobody is, slow ones first.
        """
        elsewhere = {where for worker, where in self.at.items() if worker is not node}
        return min(
            (share for share in self.undealt if share.database in ("", self.database[node])),
            key=lambda share: (
                not share.module.startswith(LONG),
                share.database == "",
                share.folder != self.at.get(node),
                share.folder in elsewhere,
                not share.module.startswith(SLOW),
            ),
            default=None,
        )


def module_of(test: str) -> str:
    return test.partition("::")[0]
