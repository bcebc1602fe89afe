"""Whether the hot statements are as fast in a large installation as in a small one, in pairs of one run.

    python bench/population.py && DATABASE_URL=.../curfew_small python bench/population.py --scale 0.01
    python bench/scale.py                                10 rounds: each act in the small database and in the large one, in turns
    python bench/scale.py --rounds 4 --only refresh      some of the acts
    python bench/scale.py --statements                   also each statement that is slower

Both are rows of `bench/population.py`, at --large and --small. Each has a process of its own, and a request is the whole of Django in it: people,
sessions and tokens are other ones each time, picked from the whole. Of each step are compared: the CPU of the process, the time
that its statements took it (what is read from disk is in it), and the CPU of its backend in PostgreSQL, which is the figure to trust
beside other load. The goal is a factor of 1.2.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import filling  # noqa: E402

GOAL = 1.2
ROOT = "postgres://bench@127.0.0.1:54329"
Figures = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", default=f"{ROOT}/curfew_population")
    parser.add_argument("--small", default=f"{ROOT}/curfew_small")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--count", type=int, default=40, help="acts of each kind in a round")
    parser.add_argument("--only", default="", help="acts whose name has this in it")
    parser.add_argument("--statements", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    sides = [Side(options.small), Side(options.large)]
    try:
        report(measured(sides, options), options)
    finally:
        for side in sides:
            side.close()


class Side:
    """A process that acts in one of the two databases when it is told to."""

    def __init__(self, url: str) -> None:
        environment = {**os.environ, "DATABASE_URL": url}
        self.program = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.acts: list[str] = self._heard()

    def act(self, name: str, count: int) -> Figures:
        assert self.program.stdin is not None
        self.program.stdin.write(json.dumps([name, count]) + "\n")
        self.program.stdin.flush()
        figures: Figures = self._heard()
        return figures

    def _heard(self) -> Any:
        assert self.program.stdout is not None
        line = self.program.stdout.readline()
        if not line:
            sys.exit("one of the two has ended")
        return json.loads(line)

    def close(self) -> None:
        self.program.kill()
        self.program.wait()


def measured(sides: list[Side], options: argparse.Namespace) -> dict[str, list[tuple[dict[str, float], ...]]]:
    """Of each step a pair for each round, small first. Every other round begins with the other side; the first is not counted."""
    pairs: dict[str, list[tuple[dict[str, float], ...]]] = defaultdict(list)
    for number in range(options.rounds + 1):
        for name in (name for name in sides[0].acts if options.only in name):
            order = sides if number % 2 else sides[::-1]
            found = {id(side): side.act(name, options.count) for side in order}
            small, large = (found[id(side)] for side in sides)
            for step in small if number else ():
                if step in large:
                    pairs[step].append((small[step], large[step]))
    return pairs


def report(pairs: dict[str, list[tuple[dict[str, float], ...]]], options: argparse.Namespace) -> None:
    print(f"{'':44}{'process':>26}{'statements':>26}{'PostgreSQL':>26}")
    print(
        f"{'ms: small, large, factor of pairs':44}" + f"{'small':>10}{'large':>8}{'factor':>8}" * 3 + f"{'WAL kB':>8}"
    )
    for step, found in pairs.items():
        if step.startswith("  ") and not options.statements:
            continue
        columns = "".join(_compared(found, name) for name in ("cpu", "sql", "backend"))
        print(f"{step[:44]:44}{columns}{min(large.get('wal', 0) for _, large in found) / 1000:8.1f}", flush=True)


def _compared(pairs: list[tuple[dict[str, float], ...]], name: str) -> str:
    sides = [[side.get(name, 0.0) for side in column] for column in zip(*pairs, strict=True)]
    small, large = (statistics.median(side) for side in sides)
    factors = [big / little for little, big in zip(*sides, strict=True) if little]
    factor = statistics.median(factors) if factors else 0.0
    return f"{small:10.3f}{large:8.3f}{factor:7.2f}{'!' if factor > GOAL else ' '}"


def serve() -> None:
    sys.excepthook = end_with
    filling.prepare("")
    from django.core.management import call_command

    from bench.acts import Acts
    from idp.processes import role

    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    role.become(role.ProcessRole.WEB)
    from idp.wsgi import application

    acts = Acts(application)
    print(json.dumps(list(acts.names)), flush=True)
    for line in sys.stdin:
        print(json.dumps(acts.run(*json.loads(line))), flush=True)


def end_with(*error: Any) -> None:
    """Threads that wait for requests would keep the process."""
    sys.__excepthook__(*error)
    os._exit(1)


if __name__ == "__main__":
    main()
