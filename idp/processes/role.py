"""What this process is. A web server has clients who wait, a worker has none, and a migration must not be ended half way."""

from __future__ import annotations

from enum import StrEnum


class ProcessRole(StrEnum):
    WEB = "web"
    WORKER = "worker"
    COMMAND = "command"  # manage.py, and whatever else imports us


_now = ProcessRole.COMMAND


def become(role: ProcessRole) -> None:
    """Said once, at the start of the process and before its first connection."""
    global _now  # one reference
    _now = role


def current() -> ProcessRole:
    return _now
