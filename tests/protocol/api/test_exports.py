"""People as a file, by a job: what is in it, who gets it, and for how long."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from idp.models import User
from idp.operations import masking
from sessions_app.models import ExportJob, ExportPart, SessionEvent
from sessions_app.session import purge
from sessions_app.tasks import run_transfer_jobs
from sessions_app.transfer import exports
from tests.support.factories import PASSWORD, make_connection, make_user
from tests.support.management import Api, make_program

pytestmark = pytest.mark.django_db


def export(api: Api, **asked):
    """The finished job, as it is told."""
    begun = api.post("jobs/users-exports", asked)
    assert begun.status_code == 200, begun.content
    run_transfer_jobs()
    return api.get(f"jobs/{begun.json()['id']}").json()


def download(location: str, client: Client | None = None):
    return (client or Client()).get(urlsplit(location).path)


def file_of(job) -> str:
    return gzip.decompress(download(job["location"]).content).decode()


def test_everybody_is_in_the_file_whatever_the_parts_and_no_hash(monkeypatch):
    monkeypatch.setattr(exports, "PART", 2)
    api = Api()
    for number in range(4):  # whole parts: the last one is empty
        make_user(f"person{number}@fabrikamcorp.com", user_metadata={"size": number})
    job = export(api)
    assert (job["type"], job["status"], job["percentage_done"], job["format"]) == (
        "users_export",
        "completed",
        100,
        "json",
    )
    text = file_of(job)
    found = [json.loads(line) for line in text.splitlines()]
    assert [row["email"] for row in found] == [f"person{number}@fabrikamcorp.com" for number in range(4)]
    assert found[3]["user_metadata"] == {"size": 3}
    assert "hash" not in text
    assert User.objects.first().password not in text
    assert PASSWORD not in text
    assert api.get(f"jobs/{job['id']}/errors").json() == []
    line = SessionEvent.objects.get(type="people_exported")
    assert (line.data["job"], line.actor) == (job["id"], f"app:{api.program.client_id}")


def test_csv_has_the_columns_that_were_asked_for_of_one_connection_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(exports, "PART", 1)
    api, acme = Api(), make_connection("acme", "auth0")
    make_user("else@fabrikamcorp.com")
    for name in ("one", "two", "three"):
        make_user(f"{name}@acme.example", acme, name="=SUM(1)", user_metadata={"country": {"code": "NO"}})
    names = ("email", "name", "user_metadata.country.code", "identities[0].connection", "identities[7].connection")
    fields = [{"name": name} for name in names[:4]] + [{"name": names[4], "export_as": "none"}]
    job = export(api, format="csv", fields=fields, connection_id=acme.public_id, limit=2)
    heading, *rows = csv.reader(io.StringIO(file_of(job)))
    assert heading == [*names[:4], "none"]
    assert rows == [[f"{name}@acme.example", "'=SUM(1)", "NO", "acme", ""] for name in ("one", "two")]
    assert (job["limit"], job["fields"][4]) == (2, {"name": names[4], "export_as": "none"})
    nobody = export(api, format="csv", connection_id=make_connection("empty", "auth0").public_id)
    assert file_of(nobody).startswith("user_id,email,")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"format": "xml"}, "invalid_body"),
        ({"limit": 0}, "invalid_body"),
        ({"limit": "2"}, "invalid_body"),
        ({"connection_id": "con_nothing"}, "invalid_connection"),
        ({"connection_id": ""}, "invalid_connection"),
        ({"fields": [{"name": "password"}]}, "invalid_body"),
        ({"fields": [{"name": "email.__class__[0]"}]}, "invalid_body"),
        ({"fields": [{}]}, "invalid_body"),
        ({"fields": [{"name": "email"}, {"name": "name", "export_as": "email"}]}, "invalid_body"),
        ({"fields": [{"name": f"user_metadata.a{number}"} for number in range(31)]}, "invalid_body"),
        ({"actor": "system"}, "invalid_body"),
    ],
)
def test_an_export_that_cannot_be_says_why(asked, code):
    answer = Api().post("jobs/users-exports", asked)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code), answer.content
    assert not ExportJob.objects.exists()


def test_two_wait_and_a_third_is_told_to_come_later():
    api = Api()
    assert [api.post("jobs/users-exports").status_code for _ in range(3)] == [200, 200, 429]


def test_the_link_is_for_a_minute_and_for_whoever_may_read_people():
    api = Api()
    make_user()
    job = export(api)
    key = job["location"].rpartition("/")[2]
    importer = Api(["create:users"], program=make_program("Importer", ["create:users"]))
    shown = importer.get(f"jobs/{job['id']}").json()
    assert shown["status"] == "completed"
    assert "location" not in shown
    for wrong in (key[:-3] + "xyz", key.partition(":")[2], "x"):
        assert download(f"https://op.test/exports/{wrong}").status_code == 404
    assert key not in masking.mask(f"GET /exports/{key}")
    assert download(job["location"]).headers["Content-Type"] == "application/gzip"
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False):
        assert download(job["location"]).status_code == 404
        assert download(api.get(f"jobs/{job['id']}").json()["location"]).status_code == 200


def test_the_file_is_gone_after_a_day():
    api = Api()
    make_user()
    job = export(api)
    later = timezone.now() + timedelta(days=1, minutes=1)
    ExportJob.objects.update(finished_at=timezone.now() - timedelta(days=1, minutes=1))
    assert download(job["location"]).status_code == 404
    assert api.get(f"jobs/{job['id']}").json()["errorCode"] == "inexistent_job"
    for _, act in purge.batches(later, 30):
        act()
    assert not ExportPart.objects.exists()
    assert not ExportJob.objects.exists()


def test_one_that_was_killed_goes_on_and_two_write_no_person_twice(monkeypatch):
    monkeypatch.setattr(exports, "PART", 1)
    api, people = Api(), [make_user(f"person{number}@fabrikamcorp.com") for number in range(3)]
    job_id = api.post("jobs/users-exports").json()["id"]
    one, other = ExportJob.objects.get(), ExportJob.objects.get()
    assert exports._write(one, timezone.now())  # and its process is killed
    assert not exports._write(other, timezone.now())  # who began from the same place has lost
    run_transfer_jobs()
    told = api.get(f"jobs/{job_id}").json()
    assert (told["status"], told["percentage_done"]) == ("processing", 33)
    ExportJob.objects.update(heard_at=timezone.now() - timedelta(minutes=3))
    run_transfer_jobs()
    lines = file_of(api.get(f"jobs/{job_id}").json()).splitlines()
    assert [json.loads(line)["user_id"] for line in lines] == [user.user_id for user in people]


def test_who_is_exported_by_a_connection_that_is_deleted_is_not_everybody():
    api, acme = Api(), make_connection("acme", "auth0")
    make_user()
    job_id = api.post("jobs/users-exports", {"connection_id": acme.public_id}).json()["id"]
    acme.delete()
    run_transfer_jobs()
    assert api.get(f"jobs/{job_id}").status_code == 404
    assert not ExportPart.objects.exists()


def test_a_file_that_no_web_process_should_hold_is_given_up(monkeypatch):
    monkeypatch.setattr(exports, "LARGEST", 300)
    monkeypatch.setattr(exports, "PART", 1)
    for number in range(3):
        make_user(f"person{number}@fabrikamcorp.com")
    job = export(Api())
    assert job["status"] == "failed"
    assert "larger than 16 MB" in job["status_details"]
    assert "location" not in job
    assert not ExportPart.objects.exists()
