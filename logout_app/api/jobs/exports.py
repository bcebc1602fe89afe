"""Exports of people as jobs: a worker writes the file, and who may read people gets a link to it for a minute."""

from __future__ import annotations

from typing import Any

from idp.models import Connection
from logout_app.api.frame import body
from logout_app.api.frame.body import BodyReader
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call, Operation
from sessions_app.models import ExportJob, JobStatus
from sessions_app.transfer import exports
from sessions_app.transfer.exporting import Column
from sessions_app.transfer.exports import WantedExport

NEEDED = "read:users"
MOST_WAITING = 2  # that are not complete, as at Auth0
MOST_KEPT = 100  # of a day
MOST_COLUMNS = 30
LONGEST_TITLE = 100
MOST = 2**31 - 1  # people


def create(call: Call) -> Any:
    with body.reading(call.body) as reader:
        wanted = _wanted(reader)
    kept = ExportJob.objects.all()
    if kept.filter(finished_at=None).count() >= MOST_WAITING:
        raise ApiError(429, "Too many exports wait already", "too_many_requests", {"Retry-After": "60"})
    if kept.filter(created_at__gt=call.at - exports.KEPT_FOR).count() >= MOST_KEPT:
        raise ApiError(429, "There were too many exports within a day", "too_many_requests", {"Retry-After": "3600"})
    return exports.document(exports.create(wanted, actor=call.actor, at=call.at))


def shown(call: Call, job: ExportJob) -> dict[str, Any]:
    """The link is as good as the people: a scope that only imports them gets none."""
    found = exports.document(job)
    if job.status == JobStatus.COMPLETED and NEEDED in call.caller.scopes:
        found["location"] = exports.link(job, call.at)
    return found


def _wanted(reader: BodyReader) -> WantedExport:
    connection_id = reader.text("connection_id")
    connection = Connection.objects.filter(public_id=connection_id).first() if connection_id else None
    if connection_id is not None and connection is None:
        raise ApiError(400, "The connection does not exist.", "invalid_connection")
    written = reader.choice("format", exports.FORMATS) or exports.FORMATS[0]
    limit = reader.integer("limit", least=1, most=MOST)
    return WantedExport(connection, written, _columns(reader), limit)


def _columns(reader: BodyReader) -> list[Column]:
    found = []
    for one in reader.each("fields"):
        name, title = one.text("name", required=True), one.text("export_as", longest=LONGEST_TITLE)
        one.done()
        column = Column(name or "", title or "")
        if name and not column.is_known:
            one.problem("name", "there is no such field of a person")
        found.append(column)
    if len(found) > MOST_COLUMNS:
        reader.problem("fields", f"has at most {MOST_COLUMNS} entries")
    headings = [column.heading for column in found]
    if len(set(headings)) < len(headings):
        reader.problem("fields", "two of them would have the same name in the file")
    return found


OPERATIONS = (
    Operation("POST", "jobs/users-exports", [NEEDED], create,
              "Write people into a file, all or those of `connection_id`; `location` of the job is where it is."),
)  # fmt: skip
