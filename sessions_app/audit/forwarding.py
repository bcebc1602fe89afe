"""The audit trail for collectors of logs, the oldest line first: JSON lines, or syslog (RFC 5424) with the same JSON as message."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

from django.conf import settings

from sessions_app.audit import export, history, named
from sessions_app.audit.named import ReadLine
from sessions_app.audit.settled import SettledTrail

BATCH = 500  # lines
BETWEEN = 1.0  # seconds between two looks for new lines
WITHIN = 10.0  # seconds that a collector has to take what it is sent
AUDIT, WARNING, NOTICE = 13, 4, 5  # RFC 5424 section 6.2.1: "log audit", and the severities
TROUBLE = ("failed", "throttled", "reused", "refused", "not_me")
PORTS = {"tcp": 601, "tls": 6514}  # RFC 6587, RFC 5425

Write = Callable[[bytes], None]


def batches(after: int, *, until: datetime | None, follow: bool) -> Iterator[tuple[int, list[ReadLine]]]:
    """Lines after this key up to what may be read now, and with `follow` for ever; each batch with the key up to which nothing was
    left out. Lines are in the order of their keys, and almost in that of their moments: behind one that `until` leaves out may
    be others that it does not, which are told twice if somebody goes on from that key."""
    trail, whole_to, is_whole = SettledTrail(), after, True
    while True:
        newest = trail.look()
        while rows := history.between(after, newest, (), BATCH):
            after, kept = rows[-1].pk, []
            for row in rows:
                is_kept = until is None or row.at < until
                kept += [row] * is_kept
                is_whole = is_whole and is_kept
                whole_to = row.pk if is_whole else whole_to
            yield whole_to, named.read(kept)
        if not follow and not trail.waits:
            return
        sleep(BETWEEN)


def as_json(line: ReadLine) -> bytes:
    return json.dumps({"id": line.row.pk, **export.document(line)}, ensure_ascii=True).encode()


def as_syslog(line: ReadLine) -> bytes:
    """Section 6: no structured data; the message is ASCII, so that it needs no byte order mark."""
    severity = WARNING if any(word in line.row.type for word in TROUBLE) else NOTICE
    head = f"<{AUDIT * 8 + severity}>1 {export.moment(line.row.at)} {settings.ISSUER_PARTS.hostname} curfew - {line.row.type[:32]} - "
    return head.encode() + as_json(line)


FORMATS: dict[str, Callable[[ReadLine], bytes]] = {"json": as_json, "syslog": as_syslog}


def counted(message: bytes) -> bytes:
    """Octet counting (RFC 6587 section 3.4.1)."""
    return b"%d %b" % (len(message), message)


def connect(target: str) -> socket.socket:
    """`tcp://host[:port]` or `tls://host[:port]`. Raises ValueError for another address, OSError if nobody answers."""
    parts = urlsplit(target)
    if parts.scheme not in PORTS or not parts.hostname or parts.path or parts.query:
        raise ValueError(f"{target} is not tcp://host:port or tls://host:port")
    plain = socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), timeout=WITHIN)
    if parts.scheme == "tcp":
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def send(collector: socket.socket, messages: list[bytes]) -> None:
    """Raises OSError, also for a collector that has hung up: the system takes what nobody will ever read."""
    collector.settimeout(0)
    try:
        if not collector.recv(1):
            raise ConnectionError("the collector has hung up")
    except (BlockingIOError, ssl.SSLWantReadError):
        pass  # it says nothing, as it should
    finally:
        collector.settimeout(WITHIN)
    collector.sendall(b"".join(map(counted, messages)))


class Position:
    """The last line that was taken, in a file; so a collector that comes again goes on where it was."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def read(self) -> int:
        """0 without a file. Raises ValueError if it holds something else."""
        if self._file is None or not self._file.exists():
            return 0
        return int(self._file.read_text())

    def keep(self, key: int) -> None:
        """Whole or not at all, also if the machine stops meanwhile."""
        if self._file is None:
            return
        new = self._file.with_name(f"{self._file.name}.new")
        new.write_text(f"{key}\n")
        new.replace(self._file)
