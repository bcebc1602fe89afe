"""Run the side-by-side harness with Curfew as one more target.

    python bench/run.py --targets curfew,panva-redis,ref --scenarios limits,login,sso,refresh --rounds 5 --pin 0:1

BENCH_HARNESS names the harness's folder (default: ../shared/bench beside this project), BENCH_CURFEW_DB the database.
Everything else is the harness's own: see its README. Results go to bench/results/ with `--json`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HARNESS = Path(os.environ.get("BENCH_HARNESS", PROJECT.parent / "shared" / "bench"))


def config(data: str) -> str:
    """The harness's targets, then ours; {CURFEW...} variables join its [vars]."""
    database = os.environ.get("BENCH_CURFEW_DB", "postgres://bench@127.0.0.1:54329/curfew")
    ours = f'CURFEW = "{PROJECT}"\nCURFEW_DATA = "{data}"\nCURFEW_DB = "{database}"\n'
    head, tail = readable((HARNESS / "targets.toml").read_text()).split("[vars]", 1)
    first_line, rest = tail.split("\n", 1)
    return f"{head}[vars]{first_line}\n{ours}{rest}\n{(PROJECT / 'bench' / 'curfew.toml').read_text()}"


def readable(targets: str) -> str:
    """The file without targets that are no TOML: one that cannot be read must not keep all others from running."""
    first, *others = targets.split("\n[target.")
    blocks = [first, *(f"[target.{block}" for block in others)]
    return "\n".join(filter(_is_toml, blocks))


def _is_toml(block: str) -> bool:
    try:
        tomllib.loads(block)
    except tomllib.TOMLDecodeError as error:
        print(f"Left out of this run, as it cannot be read: {block.splitlines()[0]} ({error})", file=sys.stderr)
        return False
    return True


def main() -> int:
    if not (HARNESS / "bench.py").is_file():
        sys.exit(f"No harness at {HARNESS}: set BENCH_HARNESS to its folder.")
    with tempfile.TemporaryDirectory(prefix="curfew-bench-") as folder:
        file = Path(folder) / "targets.toml"
        file.write_text(config(folder))
        environment = {"BENCH_PY": str(PROJECT / ".venv" / "bin"), **os.environ}
        argv = [sys.executable, str(HARNESS / "bench.py"), "--config", str(file), *sys.argv[1:]]
        return subprocess.run(argv, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
