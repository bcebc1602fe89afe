"""How many SQL statements each step costs (goal T15), counted in one process: BEGIN and COMMIT are not among them.

    python bench/statements.py

DATABASE_URL names an empty database that may be overwritten. What a Global Token Revocation costs, `bench/gtr.py` prints.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import profiling  # noqa: E402

ACTS = ("login", "sso", "refresh")


class CountingBrowser(profiling.Browser):
    """Notes what every request cost."""

    steps: list[tuple[str, int]] = []

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        from django.db import connection

        count = 0

        def note(execute: Callable[..., Any], *arguments: Any) -> Any:
            nonlocal count
            count += 1
            return execute(*arguments)

        with connection.execute_wrapper(note):
            answer = super().send(method, path, form)
        self.steps.append((f"{method} {path.partition('?')[0]}", count))
        return answer


def steps_of(act: Callable[[], None], *, warm: int) -> list[tuple[str, int]]:
    for _ in range(warm):
        act()  # keys, and every application's row, which is read once per configuration
    CountingBrowser.steps.clear()
    act()
    return list(CountingBrowser.steps)


def logouts_of(application: Callable[..., Any], applications: int) -> list[tuple[str, int]]:
    profiling.APPLICATIONS = applications
    act = profiling.Logout(application)
    act.prepare(4)
    return steps_of(act, warm=3)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="curfew-statements-") as folder:
        application = profiling.prepare(Path(folder))
        profiling.Browser = CountingBrowser  # type: ignore[misc]
        results = {name: steps_of(profiling.ACTS[name](application), warm=len(profiling.CLIENTS) + 1) for name in ACTS}
        results |= {f"sign-out of {n} applications": logouts_of(application, n) for n in (1, 10)}
    for name, steps in results.items():
        print(f"{name}: {sum(count for _, count in steps)}")
        for step, count in steps:
            print(f"  {count:3}  {step}")


if __name__ == "__main__":
    main()
