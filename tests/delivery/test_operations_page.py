"""Whatever docs/operations.md shows to type is typed here. (Its configuration of nginx is used by `tests/wire/test_nginx.py`.)"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from idp.models import Application, User
from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import LogoutDelivery
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_connection, make_session, make_user

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
# What stands for a placeholder of the page. What is in brackets may be left out, and is.
GIVEN = {"PERSON": "mary@fabrikamcorp.com", "NAME": "FabrikamAD", "CONNECTION": "acme-okta", "FILE": "people.json"}
# Commands that run until they are stopped or are about a whole installation, and who types them.
AS_PROCESSES = {
    "up": "tests/rps/running.py",
    "up --prepare-only": "tests/unit/test_preparation.py",
    "web": "tests/faults/test_web_faults.py",
    "demo": "tests/unit/test_demo.py",
    "check --deploy": "tests/unit/test_settings.py",
    "post_restore": "tests/faults/test_restore_faults.py",
}
# By the page's table of codes: one is not signed out, something would change, something is to be looked at or broken.
MAY_END_WITH = {"told": (2,), "apply": (0, 2), "doctor": (0, 1, 2)}
# Without the names that the page has a line above, or where nobody answers.
REFUSED = {"redeliver": "Give numbers", "apply": "required: file", "check_connections": "Not working: acme-okta"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def shown() -> list[str]:
    """Each command line once, without `manage.py`."""
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    spans = re.findall(r"`(manage\.py [^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    cleaned = (re.sub(r"\[[^\]]*\]", "", line).removeprefix("manage.py ").strip() for line in [*lines, *spans])
    return list(dict.fromkeys(cleaned))


@pytest.fixture
def mary() -> User:
    return make_user(name="Mary")


@pytest.fixture
def installed(mary: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mary is signed in to the wiki, which took nothing of her last two sign-outs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    make_connection("acme-okta", "okta", options={"domain": "okta.invalid", "client_id": "0oa1acme5d7"})
    wiki = make_application("Wiki", backchannel_logout_uri="https://wiki.example/logout")
    for number in (4711, 4712):
        ended(make_session(mary, wiki))
        LogoutDelivery.objects.filter(state="pending").update(id=number, state="dead", finished_at=timezone.now())
    make_session(mary, wiki)
    Path("tenant.yaml").write_text("clients: [{name: Wiki, client_id: wiki, callbacks: ['https://wiki.example/in']}]")
    Path("people.json").write_text('[{"email": "john@fabrikamcorp.com"}]')


def ended(session: SSOSession) -> None:
    selection = Selection.sessions([session.pk])
    end_sessions(selection, initiator=Initiator.RP_LOGOUT, actor="user", at=timezone.now(), offline_tokens=False)


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("line", [line for line in shown() if line not in AS_PROCESSES])
def test_a_command_line_of_the_page_does_what_it_says(installed: None, line: str, capsys: Any) -> None:
    name, *arguments = (GIVEN.get(word, word) for word in shlex.split(line.replace("FILE.yaml", "tenant.yaml")))
    if name == "export" and arguments:
        Path("tenant.yaml").unlink()  # never over a file that is there
    if not arguments and name in REFUSED:
        with pytest.raises(CommandError, match=REFUSED[name]):
            call_command(name)
        return
    assert _code_of(name, *arguments) in MAY_END_WITH.get(name, (0,))
    said = capsys.readouterr().out
    assert said or name in ("cleartokens", "export")
    assert LogoutDelivery.objects.filter(state="dead").exists() == (name != "redeliver")
    assert SSOSession.objects.filter(ended_at=None).exists() == (name != "sign_out")


def _code_of(*command: str) -> Any:
    try:
        call_command(*command)
    except SystemExit as end:
        return end.code
    return 0


def test_what_runs_as_a_process_is_typed_elsewhere() -> None:
    assert [line for line in AS_PROCESSES if line not in shown()] == []
    for line, file in AS_PROCESSES.items():
        assert [word for word in line.split() if f'"{word}"' not in (ROOT / file).read_text()] == []


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("number", range(len(blocks("yaml"))))
def test_a_tenant_file_of_the_page_is_applied(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = blocks("yaml")[number]
    for name in re.findall(r"\{env: (\w+)\}", text):
        monkeypatch.setenv(name, "a-secret-of-enough-length-0123456789-" + name.lower())
    text = text.replace("https://…", "https://receiver.example/events").replace("AB:CD:...", ":".join(["AB"] * 32))
    file = tmp_path / "tenant.yaml"
    file.write_text(text)
    call_command("apply", str(file))
    assert Application.objects.exists()
    call_command("apply", str(file), "--dry-run")  # once more changes nothing, else it would end with 2


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_roles_of_the_page_can_be_set_up() -> None:
    (block,) = blocks("sql")
    with connection.cursor() as cursor, transaction.atomic():
        for role in set(re.findall(r"ALTER ROLE (\w+)", block)):
            cursor.execute(f"CREATE ROLE {role}")
        cursor.execute(block)
        cursor.execute(
            "SELECT count(*) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE rolname ~ '^curfew'"
        )
        assert cursor.fetchone() == (2,)
        transaction.set_rollback(True)
