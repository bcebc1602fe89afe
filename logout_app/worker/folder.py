"""Celery's queue in a folder, for installations without Redis: a message is a file, seen whole or not at all.

kombu opens a file under its final name and then writes, and takes what is there, written or not.
"""

from __future__ import annotations

import fcntl
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from time import monotonic, time
from typing import Any

import structlog
from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from logout_app.worker.aside_messages import UNREADABLE, set_aside, taken_by

log = structlog.get_logger(__name__)

UNFINISHED = 10.0  # seconds since its last byte for which a file that cannot be read may still be being written


class FolderChannel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu names it so
        """Sorted by name the oldest comes first."""
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}"
        folder = Path(self.data_folder_out)
        draft = folder / f"{name}.draft"  # which `_get` does not look at
        try:
            draft.write_bytes(dumps(payload).encode())
            draft.replace(folder / f"{name}.msg")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise ChannelError(f"Cannot add {name} to the queue's folder: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for path in self._waiting(queue):
            try:
                message = loads(read(path))
            except FileNotFoundError:
                continue  # another worker was faster
            except PermissionError as error:
                put_away(path, error)
            except OSError as error:
                log.warning("queue.message.waits", message=path.name, error=str(error))  # descriptors, a disk
            except UNREADABLE as error:
                if is_finished(path) and claim(path):
                    set_aside(error, taken_by(error))
            else:
                if claim(path):
                    return message
        raise Empty

    def _queue_bind(self, exchange: str, routing_key: Any, pattern: Any, queue: Any) -> None:
        begin_table(self._exchange_file(exchange))  # type: ignore[attr-defined]  # the stubs do not know it
        super()._queue_bind(exchange, routing_key, pattern, queue)

    def _waiting(self, queue: str) -> Iterator[Path]:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] == f"{queue}.msg":
                yield folder / name


def read(path: Path) -> bytes:
    """What is no file, as a directory or a pipe, which would block, is not permitted."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise PermissionError(f"{path.name} is no file")
    return path.read_bytes()


def begin_table(table: Path) -> None:
    """kombu makes an exchange's table and then fills it; who reads it between, or after a kill between, would fail."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with (table.parent / "begin.lock").open("ab") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not table.exists() or not table.stat().st_size:
            draft = table.with_name(f"{uuid.uuid4()}.draft")
            draft.write_text("[]")
            draft.replace(table)


def is_finished(path: Path) -> bool:
    """A time of the future says nothing, unless it is a clock's little difference."""
    try:
        return abs(time() - path.stat().st_mtime) > UNFINISHED
    except FileNotFoundError:
        return False


def claim(path: Path) -> bool:
    """Whether it is ours now: of several workers one can remove it."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def put_away(path: Path, error: PermissionError) -> None:
    """What may not even be read, a directory or another user's file, is kept under a name that nobody looks at."""
    try:
        path.rename(path.with_name(f"{path.name}.aside"))
    except FileNotFoundError:
        return  # another worker was faster
    set_aside(error, path.name)
