"""Import and export of people: how long, and in how much memory.

    DATABASE_URL=postgres://... CURFEW_DATA=/tmp/bench python bench/people.py 100000

Needs a database that is migrated, and makes a connection of its own in it at each run. The file is made first, so that it is not measured.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE, Popen
from time import monotonic, time

import django

ROOT = Path(__file__).resolve().parent.parent
HASH = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"


def write(path: Path, people: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(people):
            person = {
                "email": f"person{number}@fabrikamcorp.example",
                "email_verified": True,
                "given_name": "Person",
                "family_name": str(number),
                "name": f"Person {number}",
                "app_metadata": {"plan": "gold", "number": number},
                "password_hash": HASH,
            }
            file.write(json.dumps(person) + "\n")


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds, and the most memory of the process in MiB."""
    began, most, spent = monotonic(), 0, _spent()
    process = Popen([sys.executable, "manage.py", *arguments], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True)
    assert process.stderr is not None
    for _ in process.stderr:  # a line for each batch
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
        most = max(most, int(found[1]) if found else 0)
    if process.wait():
        sys.exit(f"{arguments[0]} ended with code {process.returncode}")
    print(f"{arguments[0]}: {_spent() - spent:.0f} s of CPU")
    return monotonic() - began, most / 1024


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    sys.path.insert(0, str(ROOT))
    django.setup()
    from idp.models import Connection

    name = f"Bench-{int(time())}"
    Connection.objects.create(name=name, strategy="auth0")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "people.json"
        write(file, people)
        for what, more in (("import", ()), ("update", ("--upsert",))):
            seconds, memory = measured("import_users", str(file), "--connection", name, *more)
            print(f"{what}: {people / seconds:,.0f} rows/s, {seconds:.0f} s, {memory:.0f} MiB")
        seconds, _ = measured("export_users", str(Path(folder) / "out.json"), "--connection", name)
        print(f"export: {people / seconds:,.0f} people/s, {seconds:.0f} s")


if __name__ == "__main__":
    main()
