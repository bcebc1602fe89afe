"""Two databases side by side: what needs a database runs on each, the rest on whichever worker is free.

Of a test with cases (`parametrize`) the first runs on each database, the others on one: what differs between them is a value,
not the SQL. Where it is the SQL (`SQL_BY_CASE`), and where the marker `both` says so, all cases run on each.

`make test` has one worker per database, and says `--dist each`. Each worker writes down which of its tests need a database
and runs them; what neither needs is dealt to one of the two, by modules.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import EachScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

DATABASE_FIXTURES = frozenset({"db", "transactional_db", "live_server"})
SQL_BY_CASE = ("tests/delivery", "tests/faults", "tests/protocol/door", "tests/protocol/refresh", "tests/protocol/told")
SQL_BY_CASE += ("tests/unit", "tests/wire", "tests/e2e")
# Minutes each: the last one dealt would leave the other worker without work.
LONG = (
    "tests/protocol/pages/test_every_page_in_chromium.py",
    "tests/e2e/test_fresh_clone.py",
    "tests/protocol/scim/test_judges.py",
)
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
        Path(notes).write_text(json.dumps(for_each_database(items)))


def for_each_database(items: Sequence[pytest.Item]) -> list[str]:
    """The tests that every worker runs."""
    found, seen = [], set()
    for item in filter(needs_a_database, items):
        test = item.nodeid.partition("[")[0]
        every_case = any(map(item.get_closest_marker, ("both", "sqlite", "postgresql")))
        if test not in seen or every_case or item.nodeid.startswith(SQL_BY_CASE):
            found.append(item.nodeid)
        seen.add(test)
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    file, node.workerinput[NOTES] = tempfile.mkstemp(prefix="curfew-")
    os.close(file)
    node.config.add_cleanup(Path(node.workerinput[NOTES]).unlink)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> EachScheduling | None:
    return Dealing(config, log) if config.getvalue("dist") == "each" else None


class Dealing(EachScheduling):
    """Every worker runs all that needs its database, then module after module of the rest."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self.undealt: list[list[str]] = []
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

    def schedule(self) -> None:
        """Called when all have collected, and again for a worker that replaces a crashed one."""
        if not self._started:
            self._split()
        for node, pending in self.node2pending.items():
            if node not in self._started:
                self._started.append(node)
                node.send_runtest_some(pending)
                self._deal(node)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        self._deal(node)

    def _split(self) -> None:
        modules: dict[str, dict[str, None]] = {}
        everywhere = set.intersection(
            *map(set, self.node2collection.values())
        )  # a case may be one database's own number
        for node, pending in self.node2pending.items():
            own = set(json.loads(Path(node.workerinput[NOTES]).read_text()))
            own |= set(self.node2collection[node]) - everywhere
            pending[:] = [index for index, test in enumerate(self.node2collection[node]) if test in own]
            for test in self.node2collection[node]:
                if test not in own:
                    modules.setdefault(test.partition("::")[0], {})[test] = None
        self.undealt = [list(module) for module in modules.values()]

    def _deal(self, node: WorkerController) -> None:
        """Work for a worker that has only one test left: it begins that one when it knows which comes next."""
        pending = self.node2pending[node]
        while self.undealt and len(pending) < 2:
            dealt = [self.node2collection[node].index(test) for test in self._next_module(node)]
            pending.extend(dealt)
            node.send_runtest_some(dealt)
        if not self.undealt:
            node.shutdown()  # after what it has

    def _next_module(self, node: WorkerController) -> list[str]:
        """A long one, else one of the folder whose fixtures the worker has already, else one where nobody is."""
        if pending := self.node2pending[node]:
            self.at[node] = folder(self.node2collection[node][pending[-1]])
        elsewhere = {where for worker, where in self.at.items() if worker is not node}
        chosen = min(
            self.undealt,
            key=lambda module: (
                not module[0].startswith(LONG),
                folder(module[0]) != self.at.get(node),
                folder(module[0]) in elsewhere,
            ),
        )
        self.undealt.remove(chosen)
        self.at[node] = folder(chosen[0])
        return chosen


def folder(test: str) -> str:
    return test.partition("::")[0].rpartition("/")[0]
