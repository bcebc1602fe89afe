"""`manage.py up`: everything on one machine; what `make run` ends in."""

from __future__ import annotations

import hashlib
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from idp import keys, processes


class Command(BaseCommand):
    help = "Prepare the database, then run web server, delivery worker and scheduler in the foreground."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prepare-only",
            action="store_true",
            help="End when database, keys and static files are ready: before web, worker and beat start elsewhere.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["prepare_only"]:
            self._prepare()
            return
        lock = processes.hold_alone(settings.DATA / "up.lock")
        if lock is None:
            raise CommandError(f"Another Curfew runs on {settings.DATA}. Stop it, or set CURFEW_DATA.")
        with lock:
            self._require_free_port(settings.PORT)
            self._prepare()
            children, lines = self._plan()
            connections.close_all()  # the children must not inherit an open one
            supervisor = processes.Supervisor(children, self._say)
            supervisor.run(is_ready, lambda: self._announce(lines))

    def _prepare(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("Preparing the database.")
            call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        keys.ensure()
        collect_static(self._say)

    def _plan(self) -> tuple[list[processes.Child], list[str]]:
        """What to run, and the lines to print when it runs."""
        children = [processes.web(), processes.worker(), processes.beat()]
        if not settings.DEMO or settings.HTTPS:
            return children, []
        demo = import_module("idp.demo")
        allow = ",".join(filter(None, [*settings.OUTBOUND_ALLOW, *demo.LOOPBACK]))
        os.environ["CURFEW_OUTBOUND_ALLOW"] = allow  # for every child: the demo's applications are on loopback
        lines: list[str] = demo.prepare(settings.PORT)
        return [*children, *demo.children(settings.PORT)], lines

    def _announce(self, lines: list[str]) -> None:
        self.stdout.write("\n".join(["", f"Curfew is ready: {settings.ISSUER}", *lines, "Ctrl-C stops it.", ""]))
        self.stdout.flush()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    @staticmethod
    def _require_free_port(port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.BIND, port))
            except OSError as error:
                raise CommandError(f"Cannot listen on {settings.BIND}:{port}: {error.strerror}. Set PORT.") from error


def is_ready() -> bool:
    host = "127.0.0.1" if settings.BIND in ("0.0.0.0", "::") else settings.BIND  # noqa: S104  compared, not bound
    request = urllib.request.Request(
        f"http://{host}:{settings.PORT}/readyz",
        headers={"Host": settings.ISSUER_PARTS.netloc},
    )
    try:
        with urllib.request.urlopen(request, timeout=1) as response:  # noqa: S310  our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def collect_static(say: Callable[[str], None]) -> None:
    """Collect and compress static files, unless they are those of last time."""
    stamp: Path = settings.DATA / "static.stamp"
    now = _static_fingerprint()
    if stamp.exists() and stamp.read_text() == now:
        return
    say("Preparing static files.")
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(now)


def _static_fingerprint() -> str:
    digest = hashlib.sha256(str(settings.STATIC_ROOT).encode())
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            facts = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
