"""`manage.py apply --dry-run`: what would become different, exactly, and nothing of it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from idp.models import Application, Connection, Group, Role, User
from idp.tenants import configuration
from sessions_app.models import SessionEvent
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
FILE = """
tenant: {friendly_name: Fabrikam}
clients: [{name: Wiki, callbacks: ["https://wiki.example/cb"]}]
connections:
  - {name: FabrikamAD, strategy: auth0}
  - {name: acme, strategy: okta, options: {domain: acme.okta.com, client_id: 0oa1, client_secret: hush-hush}, provisioning: {enabled: true}}
groups: [{name: staff, description: Everybody}]
roles: [{name: operators, groups: [staff]}]
users: [{connection: FabrikamAD, email: mary@fabrikamcorp.com, password: correct horse battery staple, administrator: true}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tenant.yaml"
    path.write_text(FILE)
    return path


def dry_run(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    try:
        call_command("apply", str(path), "--dry-run", *more)
    except SystemExit as exit_:
        return int(str(exit_.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_nothing_is_written_and_nothing_secret_is_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration.load_tenant()
    version = configuration.current().version
    code, said = dry_run(path, capsys)
    assert code == 2
    assert "friendly_name: Curfew -> Fabrikam" in said
    assert "client_secret: nothing -> a secret" in said
    assert "provisioning.enabled: off -> on" in said
    assert "Nothing was changed; 7 of these would be." in said
    assert "hush-hush" not in said
    assert "correct horse" not in said
    assert "what it is known by is made and shown when the file is applied" in said
    rows = (Application, Connection, Group, Role, User, SessionEvent)
    assert [model.__name__ for model in rows if model._default_manager.exists()] == []
    assert configuration.current().version == version
    assert configuration.current().tenant.friendly_name == "Curfew"


def test_after_it_was_applied_nothing_would_change(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("apply", str(path), "--actor", "operator:grace")
    assert {row.actor for row in SessionEvent.objects.all()} == {"operator:grace"}
    capsys.readouterr()
    code, said = dry_run(path, capsys)
    assert code == 0
    assert said.endswith("Nothing was changed; none of these would be.\n")


def test_a_password_and_an_option_that_differ_are_named_without_their_values(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("apply", str(path))
    path.write_text(FILE.replace("correct horse battery staple", "another horse battery").replace("hush-hush", "h2"))
    capsys.readouterr()
    objects = json.loads(dry_run(path, capsys, "--json")[1])["objects"]
    changed: dict[str, Any] = {each["name"]: each["changes"] for each in objects if each["what"] == "updated"}
    assert changed == {
        "acme": [{"what": "client_secret", "from": "a secret", "to": "another secret"}],
        "mary@fabrikamcorp.com": [{"what": "password", "from": "a secret", "to": "another secret"}],
    }


def test_prune_says_what_goes_with_each_and_leaves_other_sections(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_session(make_user(), make_application("Wiki"), make_application("Shop"))
    Role.objects.create(name="operators").people.set(User.objects.all())
    make_connection("empty")
    path = tmp_path / "tenant.yaml"
    path.write_text("{clients: [], connections: [], groups: [], roles: []}")
    code, said = dry_run(path, capsys, "--prune")
    assert code == 2
    assert "removed   client Wiki wiki (with 1 session client)" in said
    assert "removed   role operators (1 person had it by themselves)" in said
    assert "closed    connection FabrikamAD (1 people belong to it)" in said
    assert "removed   connection empty" in said
    assert "user" not in said.replace("user's", "")
    assert (Application.objects.count(), Role.objects.count(), Connection.objects.filter(enabled=True).count()) == (
        2,
        1,
        2,
    )


def test_every_mistake_is_named_at_once_with_its_line(path: Path) -> None:
    path.write_text(
        "tenant: {friendly_nam: x}\nclients:\n- name: Wiki\n  callbacks: [ftp://x]\nclientGrants:\n- client_id: gone\n  audience: a\n"
    )
    with pytest.raises(CommandError) as caught:
        call_command("apply", str(path))
    lines = str(caught.value).splitlines()
    assert [line.strip().rsplit(" ", 2)[0] for line in lines[1:]] != []
    said = "\n".join(lines)
    assert "tenant.friendly_nam: is not known here: is friendly_name meant? (line 1)" in said
    assert "(line 4)" in said
    assert "clientGrants[0].client_id: there is no client gone (line 6)" in said
    assert "clientGrants[0].audience: there is no resource server a (line 7)" in said


def test_an_address_that_somebody_else_signs_in_with_is_a_mistake_of_the_file(path: Path) -> None:
    connection = make_connection(options={"requires_username": True})
    make_user("grace@fabrikamcorp.com", connection)
    make_user("mary@fabrikamcorp.com", connection)
    path.write_text(
        "users: [{connection: FabrikamAD, username: mary, email: m@fabrikamcorp.com, password: a good long password}]"
    )
    call_command("apply", str(path))
    path.write_text("groups: [{name: a, colour: red}, {name: a}, {name: ''}]")
    with pytest.raises(CommandError) as caught:
        call_command("apply", str(path))
    assert len(str(caught.value).splitlines()) == 4
