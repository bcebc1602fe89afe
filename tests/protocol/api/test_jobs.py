"""People by file, as jobs: what Auth0's SDKs send, how far it is, and who is not changed by it."""

from __future__ import annotations

import json

import pytest
from django.db import DataError, IntegrityError
from django.test import Client
from django.utils import timezone

from idp.applications import management_api
from idp.models import Connection, Identity, Role, User
from sessions_app.models import ImportJob
from sessions_app.tasks import run_transfer_jobs, send_mails
from sessions_app.transfer import jobs, writing
from tests.support.factories import PASSWORD, make_connection, make_user
from tests.support.management import Api

pytestmark = pytest.mark.django_db
BOUNDARY = "----of-a-test"
HASH = {"algorithm": "sha256", "hash": {"value": "0" * 64, "encoding": "hex"}}


def upload(api: Api, people, **fields):
    return send(
        api, [("users", "people.json", json.dumps(people)), *((name, "", value) for name, value in fields.items())]
    )


def send(api: Api, parts, content_type=f"multipart/form-data; boundary={BOUNDARY}"):
    lines = []
    for name, filename, text in parts:
        named = f'; filename="{filename}"' if filename else ""
        lines += [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"{named}', "", text]
    body = "\r\n".join([*lines, f"--{BOUNDARY}--", ""])
    headers = {"Authorization": f"Bearer {api.token}"}
    return Client(raise_request_exception=False).generic(
        "POST", "/api/v2/jobs/users-imports", body.encode(), content_type=content_type, headers=headers
    )


def test_people_of_a_file_are_imported_by_the_worker_and_wrong_rows_are_told():
    api, connection = Api(), make_connection()
    people = [{"email": "one@fabrikamcorp.com"}, {"email": "no address"}, {"email": "two@fabrikamcorp.com"}]
    begun = upload(api, people, connection_id=connection.public_id, external_id="spring")
    job = begun.json()
    assert begun.status_code == 202
    assert (job["type"], job["status"], job["external_id"]) == ("users_import", "pending", "spring")
    assert api.get(f"jobs/{job['id']}/errors").json() == []
    run_transfer_jobs()
    done = api.get(f"jobs/{job['id']}").json()
    assert (done["status"], done["summary"]) == ("completed", {"failed": 1, "updated": 0, "inserted": 2, "total": 3})
    [wrong] = api.get(f"jobs/{job['id']}/errors").json()
    assert (wrong["row"], wrong["errors"][0]["path"]) == (2, "email")
    assert api.get(f"jobs/{job['id']}/errors", page=1, include_totals="true").json()["errors"] == []
    assert User.objects.filter(email__endswith="@fabrikamcorp.com").count() == 2
    assert api.get("jobs/job_nothing").json()["errorCode"] == "inexistent_job"


def test_an_import_changes_nobody_who_may_administer():
    """Not even their passwords where they never signed in, by whichever way they may."""
    api = Api()
    boss, helper, mary = (make_user(f"{name}@fabrikamcorp.com") for name in ("boss", "helper", "mary"))
    User.objects.filter(pk=boss.pk).update(is_staff=True)
    permission = {"resource_server_identifier": management_api.audience(), "permission_name": "read:users"}
    Role.objects.create(name="Helpers", permissions=[permission]).people.add(helper)
    people = [{"email": user.email, "name": "Mallory", "custom_password_hash": HASH} for user in (boss, helper, mary)]
    upload(api, people, connection_id=make_connection().public_id, upsert="true")
    run_transfer_jobs()
    for user, keeps in ((boss, True), (helper, True), (mary, False)):
        user.refresh_from_db()
        assert (user.name == "Mallory", user.check_password(PASSWORD)) == (not keeps, keeps), user.email
    assert ImportJob.objects.get().failed == 2


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("connection_id", "", "{connection}")], 400, "invalid_body"),
        ([("users", "x.json", "[]"), ("connection_id", "", "con_nothing")], 400, "invalid_connection"),
        ([("users", "x.json", "[]")], 400, "invalid_connection"),
        ([("users", "x.json", "[]"), ("connection_id", "", "con_\0")], 400, "invalid_body"),
        (
            [("users", "x.json", "[]"), ("connection_id", "", "{connection}"), ("upsert", "", "yes")],
            400,
            "invalid_body",
        ),
        ([("users", "x.json", "[]"), ("connection_id", "", "{connection}"), ("more", "", "x")], 400, "invalid_body"),
        ([("users", "x.json", "[]"), ("users", "y.json", "[]")], 400, "invalid_body"),
        (
            [("users", "x.json", "[]"), ("connection_id", "", "{connection}"), ("send_completion_email", "", "true")],
            400,
            "operation_not_supported",
        ),
        ([("users", "x.json", " " * 600_000), ("connection_id", "", "{connection}")], 400, "invalid_body"),
    ],
)
def test_an_upload_that_cannot_be_says_why(parts, status, code):
    connection = make_connection()
    filled = [(name, file, value.replace("{connection}", connection.public_id)) for name, file, value in parts]
    answer = send(Api(), filled)
    assert (answer.status_code, answer.json().get("errorCode")) == (status, code), answer.content
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary=other"]
)
def test_a_body_that_is_no_form_is_no_fault_of_ours(content_type):
    assert send(Api(), [("users", "x.json", "[]")], content_type).status_code in (400, 415)


def test_a_mail_is_a_job_until_it_is_sent(mailoutbox):
    api, user = Api(), make_user()
    User.objects.filter(pk=user.pk).update(email_verified=False)
    job = api.post("jobs/verification-email", {"user_id": user.user_id}).json()
    assert api.get(f"jobs/{job['id']}").json() == job
    send_mails()
    assert len(mailoutbox) == 1
    assert api.get(f"jobs/{job['id']}").status_code == 404


def test_rows_that_no_database_keeps_are_errors_of_theirs_and_no_job_is_taken_up_for_ever(monkeypatch):
    """Some letters are longer in lower case, and hashes come with salts and keys: PostgreSQL refuses what is too long."""
    long = "İ" * 200
    key = {"value": "k" * 1000}
    hmac = {"algorithm": "hmac", "hash": {**HASH["hash"], "digest": "sha256", "key": key}, "salt": key}
    people = [
        {"email": f"{long}@fabrikamcorp.com"},
        {"email": "two@fabrikamcorp.com", "username": long},
        {"email": "three@fabrikamcorp.com", "custom_password_hash": hmac},
        {"email": "unforeseen@fabrikamcorp.com"},
        {"email": "fine@fabrikamcorp.com"},
    ]
    insert = writing._Batch._insert

    def fails(batch, rows):
        if any(row.email.startswith("unforeseen") for row in rows):
            raise DataError("value too long for type character varying(1)")
        insert(batch, rows)

    monkeypatch.setattr(writing._Batch, "_insert", fails)
    api = Api()
    job = upload(api, people, connection_id=make_connection().public_id).json()["id"]
    run_transfer_jobs()
    assert api.get(f"jobs/{job}").json()["summary"] == {"failed": 4, "updated": 0, "inserted": 1, "total": 5}
    assert [wrong["row"] for wrong in api.get(f"jobs/{job}/errors").json()] == [1, 2, 3, 4]


def test_a_file_of_nothing_but_wrong_rows_is_given_up(monkeypatch):
    monkeypatch.setattr(jobs, "MOST_WRONG", 700)
    api = Api()
    job = upload(api, [1] * 1200, connection_id=make_connection().public_id).json()["id"]
    run_transfer_jobs()
    done = api.get(f"jobs/{job}").json()
    assert (done["status"], done["summary"]["failed"]) == ("failed", 1000)
    assert "700 rows are wrong" in done["status_details"]


def test_every_wrong_row_is_told_to_who_asks_for_no_page():
    api = Api()
    job = upload(api, [1] * 60, connection_id=make_connection().public_id).json()["id"]
    run_transfer_jobs()
    assert len(api.get(f"jobs/{job}/errors").json()) == 60
    assert len(api.get(f"jobs/{job}/errors", per_page=20, page=2).json()) == 20


def test_no_password_is_brought_to_somebody_who_comes_in_another_way():
    mary, row = make_user(), {"email": "mary@fabrikamcorp.com", "custom_password_hash": HASH}
    elsewhere = make_connection("google", "google-oauth2", options={"client_id": "x"})
    Identity.objects.create(user=mary, connection=elsewhere, sub="1", last_login_at=timezone.now())
    upload(Api(), [row], connection_id=Connection.objects.get(name="FabrikamAD").public_id, upsert="true")
    run_transfer_jobs()
    mary.refresh_from_db()
    assert ImportJob.objects.get().updated == 1
    assert mary.check_password(PASSWORD)


def test_who_somebody_is_stays_when_a_batch_is_written_again(monkeypatch):
    """What null takes away of the metadata is not there again after the second attempt."""
    mary = make_user(user_metadata={"size": "L", "colour": "red"})
    writes, write = [], writing._Batch.write

    def collides(batch):
        written = write(batch)
        writes.append(batch)
        if len(writes) == 1:
            raise IntegrityError
        return written

    monkeypatch.setattr(writing._Batch, "write", collides)
    row = {"email": mary.email, "user_metadata": {"colour": None}}
    upload(Api(), [row], connection_id=make_connection().public_id, upsert="true")
    run_transfer_jobs()
    mary.refresh_from_db()
    assert (len(writes), mary.user_metadata) == (2, {"size": "L"})
