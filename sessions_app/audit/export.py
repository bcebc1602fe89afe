"""The audit trail as a file: CSV for a spreadsheet, JSON for a program. Made piece by piece, and never longer than `MOST` lines.

Lines are read in steps of `STEP` by their key, so that neither a long result nor a long statement is held.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sessions_app.audit import named, selection
from sessions_app.audit.named import ReadLine
from sessions_app.audit.selection import AskedLines

MOST = 20_000  # lines of a file; the web server keeps the whole of an answer until it is sent
STEP = 500
COLUMNS = (
    *("at", "type", "what", "person", "sub", "application", "client_id", "connection", "initiator"),
    *("actor", "actor_name", "reason", "changes", "ip", "user_agent", "sid", "data"),
)
# What a spreadsheet would run instead of showing it (OWASP, CSV injection).
WIDE = (
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *WIDE)


@dataclass(frozen=True, slots=True)
class Part:
    """`last`: the key of the line that the next file begins after; None if this one is complete."""

    asked: AskedLines
    before: int | None
    last: int | None


def part(asked: AskedLines, before: int | None = None) -> Part:
    keys = selection.select(asked, before=before).values_list("pk", flat=True)[MOST - 1 : MOST + 1]
    found = list(keys)
    return Part(asked, before, found[0] if len(found) > 1 else None)


def _lines(wanted: Part) -> Iterator[ReadLine]:
    """What is written meanwhile is newer than the first, and not in it."""
    before, left = wanted.before, MOST
    while left > 0:
        found = named.read(selection.select(wanted.asked, before=before)[: min(STEP, left)])
        yield from found
        if len(found) < STEP:
            return
        before, left = found[-1].row.pk, left - len(found)


def as_csv(wanted: Part) -> Iterator[str]:
    kept = io.StringIO()
    writer = csv.writer(kept, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for count, line in enumerate(_lines(wanted), 1):
        values = document(line)
        values["changes"] = "; ".join(f"{what} from {old} to {new}" for what, old, new in line.changes)
        values["data"] = json.dumps(line.row.data, ensure_ascii=False, sort_keys=True)
        writer.writerow([harmless(values[name]) for name in COLUMNS])
        if count % STEP == 0:
            yield _taken(kept)
    yield _taken(kept)


def _taken(kept: io.StringIO) -> str:
    text = kept.getvalue()
    kept.seek(0)
    kept.truncate()
    return text


def harmless(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def as_json(wanted: Part, now: datetime, following: str) -> Iterator[str]:
    """`following` is the address of the next file, empty if there is none."""
    head = {"made_at": moment(now), "complete": wanted.last is None, "next": following or None}
    yield json.dumps(head)[:-1] + ', "lines": ['
    for count, line in enumerate(_lines(wanted)):
        yield ("," if count else "") + "\n" + json.dumps(document(line), ensure_ascii=False)
    yield "\n]}\n"


def document(line: ReadLine) -> dict[str, Any]:
    row = line.row
    return {
        "at": moment(row.at),
        "type": row.type,
        "what": line.words,
        "person": line.person.name if line.person else "",
        "sub": row.sub,
        "application": line.application.name if line.application else "",
        "client_id": row.client_id,
        "connection": row.connection,
        "initiator": row.initiator,
        "actor": row.actor,
        "actor_name": str(line.by_person or line.by),
        "reason": line.reason,
        "changes": [{"what": what, "from": old, "to": new} for what, old, new in line.changes],
        "ip": row.ip or "",
        "user_agent": row.user_agent,
        "sid": row.sid,
        "data": row.data,
    }


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
