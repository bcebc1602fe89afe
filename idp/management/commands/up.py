"""`manage.py up`: everything on one machine; what `make run` ends in."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from idp.operations import preparation
from idp.processes import children
from idp.redis import health as redis_health
from idp.redis import trial as redis_trial
from idp.redis import url as redis_url


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
            preparation.prepare(self._say)
            return
        lock = children.hold_alone(settings.DATA / "up.lock")
        if lock is None:
            raise CommandError(f"Another Curfew runs on {settings.DATA}. Stop it, or set CURFEW_DATA.")
        with lock:
            self._require_free_port(settings.PORT)
            self._require_redis(settings.REDIS_URL)
            redis_health.warn_of_eviction()
            preparation.prepare(self._say)
            programs, lines = self._plan()
            connections.close_all()  # the children must not inherit an open one
            supervisor = children.Supervisor(programs, self._say)
            supervisor.run(is_ready, lambda: self._announce(lines))

    def _plan(self) -> tuple[list[children.Child], list[str]]:
        """What to run, and the lines to print when it runs."""
        programs = [children.web(), children.worker(), children.beat()]
        if not settings.DEMO or settings.HTTPS:
            return programs, []
        demo = import_module("idp.operations.demo")
        allow = ",".join(filter(None, [*settings.OUTBOUND_ALLOW, *demo.LOOPBACK]))
        os.environ["CURFEW_OUTBOUND_ALLOW"] = allow  # for every child: the demo's applications are on loopback
        lines: list[str] = demo.prepare(settings.PORT)
        return [*programs, *demo.children(settings.PORT)], lines

    def _announce(self, lines: list[str]) -> None:
        self.stdout.write("\n".join(["", f"Curfew is ready: {settings.ISSUER}", *lines, "Ctrl-C stops it.", ""]))
        self.stdout.flush()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _require_redis(self, url: str) -> None:
        """One that is away for the moment stops nothing: Curfew works on without it."""
        if not url:
            return
        try:
            redis_trial.try_once(url)
        except redis_trial.NeverWorks as error:
            raise CommandError(f"REDIS_URL cannot work: {error}.") from error
        except redis_trial.Away as error:
            self._say(f"Redis at {redis_url.parse(url).name} does not answer yet ({error}). Starting without it.")

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
