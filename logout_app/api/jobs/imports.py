"""Imports of people as jobs: the file comes with the request, a worker reads it, and how far it is can be asked."""

from __future__ import annotations

from typing import Any

from idp.models import Connection
from logout_app.api.frame import paging
from logout_app.api.frame.errors import ApiError, invalid_body, not_found
from logout_app.api.frame.operations import PAGES, Call, Operation
from logout_app.api.frame.times import iso
from logout_app.api.jobs import exports
from sessions_app.models import ImportJob, MailKind, MailRequest
from sessions_app.transfer import jobs
from sessions_app.transfer.exports import find as find_export
from sessions_app.transfer.jobs import CannotImport

MOST_WAITING = 10  # uploads that are not finished, of all callers; at Auth0 there are two
FIELDS = frozenset({"users", "connection_id", "upsert", "external_id", "send_completion_email"})
LONGEST_ID = 255
MOST_ERRORS = 1000  # where no page is asked for
MAIL = "job_mail_"


def import_users(call: Call) -> Any:
    """Multipart, as Auth0's SDKs send it: the file `users` and fields beside it."""
    said, file = call.body.fields, call.body.files.get("users")
    if unknown := sorted((said.keys() | call.body.files.keys()) - FIELDS):
        raise invalid_body(f"'Additional properties not allowed: {unknown[0]}'.")
    if file is None:
        raise invalid_body("'Users file is missing'.")
    if _switch(said, "send_completion_email"):
        raise ApiError(400, "No mail is sent when an import is done: ask for the job", "operation_not_supported")
    external_id = said.get("external_id", "")
    if len(external_id) > LONGEST_ID or not external_id.isprintable():
        raise invalid_body(f"external_id: is text of at most {LONGEST_ID} characters")
    connection = Connection.objects.filter(public_id=said.get("connection_id", "")).first()
    if connection is None:
        raise ApiError(400, "The connection does not exist.", "invalid_connection")
    if ImportJob.objects.exclude(upload=None).filter(finished_at=None).count() >= MOST_WAITING:
        raise ApiError(429, "Too many imports wait already", "too_many_requests", {"Retry-After": "60"})
    try:
        job = jobs.create(
            connection,
            file,
            upsert=_switch(said, "upsert"),
            actor=call.actor,
            at=call.at,
            external_id=external_id,
            is_upload=True,
        )
    except CannotImport as refused:
        raise ApiError(400, str(refused), "invalid_body") from None
    return jobs.document(job)


def _switch(said: dict[str, str], name: str) -> bool:
    value = said.get(name, "false")
    if value not in ("true", "false"):
        raise invalid_body(f"'Expected type boolean' on property {name}.")
    return value == "true"


def get(call: Call, job_id: str) -> Any:
    if job_id.startswith(MAIL):
        return _waiting_mail(job_id)
    export = find_export(job_id, call.at)
    return exports.shown(call, export) if export else jobs.document(_find(job_id))


def errors(call: Call, job_id: str) -> Any:
    """Rows that became nobody; a file that could not be read on is said in the job. Auth0's SDKs ask for no pages here, and
    would take one for all of them."""
    if find_export(job_id, call.at):
        return []
    rows = _find(job_id).errors.order_by("row", "pk")
    if not any(call.query.has(name) for name in PAGES):
        return [jobs.error(row) for row in rows[:MOST_ERRORS]]
    return paging.pages(call, rows, "errors", jobs.error)


def _find(job_id: str) -> ImportJob:
    job = ImportJob.objects.select_related("connection").defer("upload").filter(public_id=job_id).first()
    if job is None:
        raise not_found("job")
    return job


def mail_job(row: MailRequest) -> dict[str, Any]:
    return {
        "id": f"{MAIL}{row.pk}",
        "type": "verification_email",
        "status": "pending",
        "created_at": iso(row.requested_at),
    }


def _waiting_mail(job_id: str) -> dict[str, Any]:
    """Until it is sent, or given up; nothing is kept of it then."""
    digits = job_id.removeprefix(MAIL)
    good = digits.isascii() and digits.isdigit() and len(digits) < 18
    row = MailRequest.objects.filter(pk=int(digits), kind=MailKind.VERIFICATION).first() if good else None
    if row is None:
        raise not_found("job")
    return mail_job(row)


OPERATIONS = (
    Operation("POST", "jobs/users-imports", ["create:users"], import_users,
              "Import people in Auth0's format: multipart with `users` (a file of at most 500 KB), `connection_id`, `upsert`, "
              "`external_id`.", 202, takes_form=True),
    Operation("GET", "jobs/<str:job_id>", ["read:users", "create:users"], get,
              "How far a job is. A mail is a job until it is sent."),
    Operation("GET", "jobs/<str:job_id>/errors", ["read:users", "create:users"], errors,
              f"Rows that became nobody, and why: the first {MOST_ERRORS:,}, or a page.", query=PAGES, listed="errors"),
)  # fmt: skip
