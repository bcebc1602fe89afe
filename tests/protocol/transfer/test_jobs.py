"""Imports and exports of people: `manage.py import_users`, `import_jobs`, `export_users`, and what workers run."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.utils import timezone

from idp.connections.database import DatabaseProtocol
from idp.models import Connection, Identity, User
from sessions_app.models import ImportJob, JobStatus, SessionEvent
from sessions_app.transfer import jobs, source, turns
from tests.support.factories import make_connection, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
MARY: dict[str, Any] = {
    "email": "Mary@fabrikamcorp.com",
    "email_verified": True,
    "user_id": "abc123",
    "given_name": "Mary",
    "family_name": "Fabrikam",
    "name": "Mary Fabrikam",
    "nickname": "mary",
    "picture": "https://fabrikam.example/mary.png",
    "phone_number": "+12125550001",
    "phone_verified": True,
    "app_metadata": {"plan": "gold"},
    "user_metadata": {"colour": "red"},
    "password_hash": HASH,
    "mfa_factors": [{"totp": {"secret": "JBSWY3DPEHPK3PXP"}}],
}


@pytest.fixture
def connection() -> Connection:
    return make_connection()


def run(
    folder: Path, people: list[Any] | str | bytes, *more: str, code: int = 0, name: str = "people.json"
) -> ImportJob:
    path = folder / name
    text = people if isinstance(people, str | bytes) else json.dumps(people)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = ("import_users", str(path), "--connection", "FabrikamAD", *more)
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command(*arguments)
        assert ended.value.code == code
    else:
        call_command(*arguments)
    return ImportJob.objects.latest("pk")


def codes(job: ImportJob) -> dict[int, list[str]]:
    return {row["row"]: [error["code"] for error in row["errors"]] for row in jobs.errors(job)}


def test_a_person_comes_with_everything_and_signs_in_with_the_password_that_they_had(
    connection: Connection, tmp_path: Path
) -> None:
    job = run(tmp_path, [MARY], "--actor", "operator:grace")
    assert (job.status, job.inserted, job.failed) == (JobStatus.COMPLETED, 1, 0)
    identity = DatabaseProtocol().verify(connection, "mary@fabrikamcorp.com", PASSWORD, timezone.now())
    assert identity is not None
    user = identity.user
    assert (user.user_id, user.email, user.email_verified) == ("auth0|abc123", "Mary@fabrikamcorp.com", True)
    assert (user.app_metadata, user.user_metadata, user.phone_number_verified) == (
        {"plan": "gold"},
        {"colour": "red"},
        True,
    )
    assert User.objects.get().password.startswith("argon2$argon2id$"), "it is renewed"
    assert Authenticator.objects.get(user=user).wrap().instance.type == "totp"
    line = SessionEvent.objects.get(type="people_imported")
    assert (line.actor, line.connection, line.data["inserted"]) == ("operator:grace", "FabrikamAD", 1)


def test_a_wrong_password_and_a_block_keep_out(connection: Connection, tmp_path: Path) -> None:
    run(tmp_path, [{**MARY, "blocked": True}, {"email": "nobody@fabrikamcorp.com"}])
    at = timezone.now()
    assert DatabaseProtocol().verify(connection, "mary@fabrikamcorp.com", "wrong", at) is None
    assert DatabaseProtocol().verify(connection, "nobody@fabrikamcorp.com", "", at) is None
    assert not User.objects.get(user_id="auth0|abc123").is_active


def nested(depth: int) -> Any:
    found: Any = {}
    for _ in range(depth):
        found = {"in": found}
    return found


ROWS: list[tuple[Any, str, str]] = [
    ("text", "INVALID_TYPE", ""),
    ({}, "OBJECT_REQUIRED", "email"),
    ({"email": "a@b.example", "colour": "red"}, "OBJECT_ADDITIONAL_PROPERTIES", "colour"),
    ({"email": "mary"}, "FORMAT", "email"),
    ({"email": 7}, "INVALID_TYPE", "email"),
    ({"email": "a@b.example", "email_verified": "yes"}, "INVALID_TYPE", "email_verified"),
    ({"email": "a@b.example", "given_name": "x" * 151}, "MAX_LENGTH", "given_name"),
    ({"email": "a@b.example", "name": "\0"}, "FORMAT", "name"),
    ({"email": "a@b.example", "\0\ud800": 1}, "OBJECT_ADDITIONAL_PROPERTIES", "??"),
    ({"email": "a@b.example", "username": "a@b"}, "FORMAT", "username"),
    ({"email": "a@b.example", "user_id": "a|b c"}, "FORMAT", "user_id"),
    ({"email": "a@b.example", "picture": "javascript:alert(1)"}, "FORMAT", "picture"),
    ({"email": "a@b.example", "app_metadata": []}, "INVALID_TYPE", "app_metadata"),
    ({"email": "a@b.example", "app_metadata": nested(900)}, "FORMAT", ""),
    ({"email": "a@b.example", "password_hash": "5f4d"}, "FORMAT", "password_hash"),
    (
        {"email": "a@b.example", "custom_password_hash": {"algorithm": "md4"}},
        "ENUM_MISMATCH",
        "custom_password_hash.algorithm",
    ),
    ({"email": "a@b.example", "mfa_factors": [{"phone": {"value": "+1"}}]}, "MFA_FACTORS_FAILED", "mfa_factors[0]"),
    ({"email": "a@b.example", "mfa_factors": [{"totp": {"secret": "short"}}]}, "MFA_FACTORS_FAILED", "mfa_factors[0]"),
]


def test_each_row_says_what_is_wrong_with_it_and_the_others_are_imported(
    connection: Connection, tmp_path: Path
) -> None:
    job = run(tmp_path, [row for row, *_ in ROWS] + [MARY], code=2)
    found = {row["row"]: row["errors"][0] for row in jobs.errors(job)}
    assert [(found[index]["code"], found[index]["path"]) for index in range(1, len(ROWS) + 1)] == [
        (code, path) for _, code, path in ROWS
    ]
    assert (job.done, job.failed, job.inserted) == (len(ROWS) + 1, len(ROWS), 1)


def test_errors_hold_nothing_that_opens_an_account(connection: Connection, tmp_path: Path) -> None:
    make_user("mary@fabrikamcorp.com", connection)
    job = run(tmp_path, [MARY], code=2)
    (error,) = jobs.errors(job)
    assert HASH not in json.dumps(error)
    assert "JBSWY3DPEHPK3PXP" not in json.dumps(error)
    assert error["user"]["password_hash"] == "*****"


def test_a_password_in_clear_under_another_name_is_not_kept(connection: Connection, tmp_path: Path) -> None:
    job = run(tmp_path, [{**MARY, "password": PASSWORD, "pwd": {"clear": PASSWORD}}], code=2)
    (error,) = jobs.errors(job)
    assert PASSWORD not in json.dumps(error)
    assert error["user"]["email"] == MARY["email"]
    assert error["user"]["password"] == "*****"


def test_who_shares_a_mailbox_is_not_updated_in_the_place_of_another(connection: Connection, tmp_path: Path) -> None:
    Connection.objects.update(options={"requires_username": True})
    run(tmp_path, [{"email": "office@fabrikamcorp.com", "username": "alice", "name": "Alice"}])
    rows = [
        {"email": "office@fabrikamcorp.com", "username": "bob", "name": "Bob"},
        {"email": "carol@fabrikamcorp.com", "username": ""},
    ]
    job = run(tmp_path, rows, "--upsert", code=2, name="others.json")
    assert codes(job) == {1: ["CONFLICT_EMAIL"], 2: ["OBJECT_REQUIRED"]}
    assert User.objects.get().name == "Alice"


def test_who_is_there_already_is_an_error_of_its_kind(connection: Connection, tmp_path: Path) -> None:
    run(tmp_path, [{**MARY, "username": "mary"}])
    make_connection("other")
    elsewhere = User.objects.create(user_id="auth0|elsewhere")
    rows = [
        {"email": "new@fabrikamcorp.com", "user_id": "auth0|abc123"},
        {"email": "mary@FABRIKAMCORP.com"},
        {"email": "other@fabrikamcorp.com", "username": "MARY"},
        {"email": "another@fabrikamcorp.com", "user_id": "elsewhere"},
        {"email": "twice@fabrikamcorp.com"},
        {"email": "Twice@fabrikamcorp.com"},
    ]
    job = run(tmp_path, rows, code=2)
    assert codes(job) == {
        1: ["CONFLICT"],
        2: ["CONFLICT_EMAIL"],
        3: ["CONFLICT_USERNAME"],
        4: ["CONFLICT"],
        6: ["DUPLICATED_USER"],
    }
    upserted = run(tmp_path, rows[3:4], "--upsert", code=2, name="elsewhere.json")
    assert codes(upserted) == {1: ["CONFLICT"]}, "somebody of another connection is not changed"
    elsewhere.refresh_from_db()
    assert elsewhere.email == ""


def test_upsert_changes_what_auth0_changes_and_no_password_that_was_used(
    connection: Connection, tmp_path: Path
) -> None:
    run(tmp_path, [MARY])
    md5 = {"algorithm": "md5", "hash": {"value": "5f4dcc3b5aa765d61d8327deb882cf99", "encoding": "hex"}}
    change = {
        "email": "mary@fabrikamcorp.com",
        "name": "Mary F.",
        "blocked": True,
        "user_metadata": {"size": "L", "colour": None},
        "custom_password_hash": md5,
    }
    job = run(tmp_path, [change], "--upsert", name="change.json")
    user = User.objects.get()
    assert (job.updated, user.name, user.given_name, user.is_active) == (1, "Mary F.", "Mary", True)
    assert (user.user_metadata, user.app_metadata) == ({"size": "L"}, {"plan": "gold"})
    assert user.check_password("password"), "nobody had signed in with the other one"
    Identity.objects.update(last_login_at=timezone.now())
    run(tmp_path, [{**change, "name": "Again"}], "--upsert", name="again.json")
    user = User.objects.get()
    assert user.name == "Again"
    assert user.password.startswith("argon2$")


@pytest.mark.parametrize(
    ("text", "rows", "reason"),
    [
        ('{"email": "a@b.example"}\n{"email": "c@d.example"}\n', 2, ""),
        ('\ufeff[{"email": "a@b.example"}\n,{"email": "c@d.example"}]\n', 2, ""),
        ("[]", 0, ""),
        ("", 0, ""),
        ('[{"email": "a@b.example"},', 1, "the list does not end"),
        ('[{"email": "a@b.example"}] x', 1, "something follows"),
        ('{"email": "a@b.example"}\n{"email": \n', 1, "row 2 is no JSON"),
        ('{"email": NaN}', 0, "row 1 is no JSON"),
        ("[" * 100_000, 0, "row 1 is no JSON"),
        (b'{"email": "\xff"}', 0, "not UTF-8"),
    ],
)
def test_arrays_and_lines_are_read_and_what_is_cut_off_says_where(
    connection: Connection, tmp_path: Path, text: Any, rows: int, reason: str
) -> None:
    if reason:
        with pytest.raises(CommandError, match=reason):
            run(tmp_path, text)
    else:
        run(tmp_path, text)
    job = ImportJob.objects.get()
    assert (job.inserted, job.status) == (rows, JobStatus.FAILED if reason else JobStatus.COMPLETED)


def test_objects_that_lie_across_pieces_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "CHUNK", 3)
    people = [{"email": f"ä{number}@b.example", "n": number * 1.5} for number in range(50)]
    for text in (json.dumps(people, ensure_ascii=False), "\n".join(json.dumps(each) for each in people)):
        assert list(source.rows(io.BytesIO(text.encode()))) == people


class Killed(BaseException):
    pass


def test_an_import_that_was_killed_goes_on_with_the_row_after_the_last(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "BATCH", 3)
    people = [{"email": f"p{number}@fabrikamcorp.com"} for number in range(8)]

    def kill(job: ImportJob) -> None:
        if job.done == 6:
            raise Killed

    monkeypatch.setattr("sessions_app.management.commands.import_users.Command._tell", lambda _, job: kill(job))
    with pytest.raises(Killed):
        run(tmp_path, people)
    job = ImportJob.objects.get()
    assert (job.status, job.done, User.objects.count()) == (JobStatus.PROCESSING, 6, 6)
    assert turns.is_silent(job, timezone.now() + timedelta(minutes=3))
    call_command("import_jobs")
    assert "processing" in capsys.readouterr().out
    finished = run(tmp_path, people)
    assert finished.pk == job.pk
    assert (finished.status, finished.done, finished.inserted) == (JobStatus.COMPLETED, 8, 8)
    assert "goes on after row 6" in capsys.readouterr().err


def test_two_processes_do_not_import_a_row_twice(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 1)
    file = io.BytesIO(b'{"email": "a@b.example"}{"email": "c@d.example"}')
    job = jobs.create(connection, file, upsert=False, actor="system", at=timezone.now())

    def other(mine: ImportJob) -> None:
        if mine.done == 1:
            jobs.run(ImportJob.objects.get(), io.BytesIO(file.getvalue()))

    with pytest.raises(jobs.CannotImport, match="Another process"):
        jobs.run(job, io.BytesIO(file.getvalue()), tell=other)
    done = ImportJob.objects.get()
    assert (done.status, done.done, done.inserted, User.objects.count()) == (JobStatus.COMPLETED, 2, 2, 2)


def test_workers_run_what_was_uploaded_and_take_up_what_a_dead_one_left(connection: Connection) -> None:
    file, at = io.BytesIO(json.dumps([MARY]).encode()), timezone.now()
    job = jobs.create(connection, file, upsert=False, actor="app:x", at=at, external_id="mine", is_upload=True)
    ImportJob.objects.update(status=JobStatus.PROCESSING)
    assert jobs.run_waiting(at) == 0, "somebody is at it"
    assert jobs.run_waiting(at + timedelta(minutes=3)) == 1
    job.refresh_from_db()
    assert (job.status, job.upload, job.inserted) == (JobStatus.COMPLETED, None, 1)
    assert jobs.document(job)["summary"] == {"failed": 0, "updated": 0, "inserted": 1, "total": 1}
    with pytest.raises(jobs.CannotImport, match="larger than 500 KB"):
        jobs.create(connection, io.BytesIO(b" " * 600_000), upsert=False, actor="app:x", at=at, is_upload=True)
    acme = make_connection("acme", "okta")
    with pytest.raises(jobs.CannotImport, match="only databases"):
        jobs.create(acme, io.BytesIO(b"[]"), upsert=False, actor="app:x", at=at)


def test_export_with_hashes_and_import_make_the_same_people(connection: Connection, tmp_path: Path) -> None:
    run(
        tmp_path,
        [MARY, {"email": "grace@fabrikamcorp.com", "username": "grace", "blocked": True, "password_hash": HASH}],
    )
    make_user("kim@fabrikamcorp.com", connection)
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    call_command("export_users", str(first), "--hashes", "--actor", "operator:grace")
    assert first.stat().st_mode & 0o777 == 0o600
    assert SessionEvent.objects.get(type="people_exported").data == {"format": "json", "hashes": True}
    User.objects.all().delete()
    call_command("import_users", str(first), "--connection", "FabrikamAD")
    call_command("export_users", str(second), "--hashes")
    passing = ("created_at", "updated_at")
    one, two = (
        [{k: v for k, v in json.loads(line).items() if k not in passing} for line in path.read_text().splitlines()]
        for path in (first, second)
    )
    assert one == two
    assert DatabaseProtocol().verify(connection, "mary@fabrikamcorp.com", PASSWORD, timezone.now())


def test_a_spreadsheet_runs_nothing_that_somebody_called_themselves(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    make_user("mary@fabrikamcorp.com", connection, name="=HYPERLINK(1)")
    make_user("eve@elsewhere.example", make_connection("other"))
    call_command(
        "export_users", "--format", "csv", "--fields", "email,name,blocked,identities", "--connection", "FabrikamAD"
    )
    heading, mary = csv.reader(io.StringIO(capsys.readouterr().out))
    assert heading == ["email", "name", "blocked", "identities"]
    assert mary[:3] == ["mary@fabrikamcorp.com", "'=HYPERLINK(1)", ""]
    call_command("export_users", "--fields", "email,connection")
    assert json.loads(capsys.readouterr().out.splitlines()[1]) == {
        "email": "eve@elsewhere.example",
        "connection": "other",
    }
    with pytest.raises(CommandError, match="no field password"):
        call_command("export_users", "--fields", "password")
