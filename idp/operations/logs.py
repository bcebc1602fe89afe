"""Log lines that nobody waits for: a full disk or a blocked pipe behind stderr stops neither a request nor a delivery."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time

STDERR = 2
WAITING = 10_000  # lines
FLUSH = 1.0  # seconds that the end of a process waits for its last lines


class StderrHandler(logging.Handler):
    """Formats in the caller's thread, writes in its own. What does not fit, or cannot be written, is counted and lost."""

    def __init__(self, descriptor: int = STDERR, waiting: int = WAITING) -> None:
        super().__init__()
        self._descriptor, self._waiting = descriptor, waiting
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """In a child of fork, too: the thread stayed with the parent, which writes what was waiting."""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._queued = self._refused = 0  # changed under the handler's lock
        self._written = self._failed = 0  # changed by the writer
        self._taken = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= self._waiting:
            self._refused += 1
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  as every handler of the standard library: logging never breaks its caller
            self.handleError(record)
            return
        self._queued += 1
        self._lines.put(line)
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="curfew-log", daemon=True)
            self._writer.start()

    def _write(self) -> None:
        lines, told = self._lines, 0
        while True:
            batch = [lines.get()]
            batch += [lines.get() for _ in range(lines.qsize())]
            count, lost = len(batch), self.lost
            if lost > told:
                batch.append(f'{{"event": "log.lines_lost", "lines": {lost - told}}}')
            try:
                _write_all(self._descriptor, ("\n".join(batch) + "\n").encode("utf-8", "backslashreplace"))
                told = lost
            except OSError:  # the disk is full, the reader gone: there is nowhere to say so but in the count
                self._failed += count
            self._written += count

    def flush(self) -> None:
        """Called at the end of the process. A pipe that is still blocked keeps it for a second only."""
        deadline = time.monotonic() + FLUSH
        while self._written < self._queued and time.monotonic() < deadline:
            time.sleep(0.002)

    @property
    def lost(self) -> int:
        return self._refused + self._failed

    def take_lost(self) -> int:
        """Lines lost since the last call."""
        lost = self.lost - self._taken
        self._taken += lost
        return lost


def _write_all(descriptor: int, data: bytes) -> None:
    """To the descriptor, not `sys.stderr`: a thread that hangs in a buffered stream keeps the interpreter from ending."""
    while data:
        data = data[os.write(descriptor, data) :]


def take_lost() -> int:
    """Lines that this process could not log since the last call."""
    handlers = (handler for handler in logging.getLogger().handlers if isinstance(handler, StderrHandler))
    return sum(handler.take_lost() for handler in handlers)
