"""Migrations run beside the release before them: each that comes after the first is judged."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader

from tests.support import released
from tests.support.migration_rules import problems

pytestmark = pytest.mark.once
OURS = ("idp", "sessions_app", "logout_app")
CHECK = models.CheckConstraint(condition=models.Q(n__gt=0), name="n_is_positive")
INDEX = models.Index(fields=["n"], name="by_n")
TABLE = migrations.CreateModel("Row", [("id", models.BigAutoField(primary_key=True))])


def migration(*operations: Any, **attributes: Any) -> type[migrations.Migration]:
    return type("Migration", (migrations.Migration,), {"operations": list(operations), **attributes})


def nothing(apps: Any, schema_editor: Any) -> None: ...


def test_every_migration_after_the_first_may_run_beside_the_release_before() -> None:
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    later = {key: found for key, found in loader.disk_migrations.items() if key[0] in OURS and key[1] != "0001_initial"}
    assert {key: problems(type(found)) for key, found in later.items() if problems(type(found))} == {}


def test_no_migration_that_was_released_has_changed() -> None:
    pins = released.pinned()
    assert set(pins) >= {f"{app}/migrations/0001_initial.py" for app in OURS}
    assert released.changed(pins) == []


def test_a_released_migration_that_was_edited_is_named_and_never_pinned_anew() -> None:
    first = "idp/migrations/0001_initial.py"
    here = released.present()
    edited = {name: (found, "0.0.1") for name, found in here.items()} | {first: ("what it was", "0.0.1")}
    assert released.changed(edited) == [first]
    with pytest.raises(ValueError, match=f"Released, and changed since: {first}"):
        released.pin(edited, "0.0.2")
    assert released.pin(edited, "0.0.1")[first] == (here[first], "0.0.1")  # before that version is out


@pytest.mark.parametrize(
    "good",
    [
        migration(TABLE, migrations.AddIndex("row", INDEX), migrations.AddConstraint("row", CHECK)),
        migration(migrations.AddField("old", "n", models.IntegerField(null=True))),
        migration(migrations.AddField("old", "n", models.IntegerField(db_default=0))),
        migration(AddIndexConcurrently("old", INDEX), atomic=False),
        migration(AddConstraintNotValid("old", CHECK)),
        migration(migrations.RemoveField("old", "n"), unused_since="0.2.0"),
        migration(migrations.RunPython(nothing, nothing), beside_the_release_before="it fills what only we read"),
        migration(migrations.SeparateDatabaseAndState([], [migrations.RemoveField("old", "n")])),
    ],
)
def test_what_only_adds_is_good(good: type[migrations.Migration]) -> None:
    assert problems(good) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (migration(migrations.AddField("old", "n", models.IntegerField())), "db_default"),
        (migration(migrations.AddField("old", "n", models.IntegerField(default=0))), "db_default"),
        (migration(migrations.AddIndex("old", INDEX)), "AddIndexConcurrently"),
        (migration(AddIndexConcurrently("old", INDEX)), "atomic = False"),
        (migration(migrations.AddConstraint("old", CHECK)), "NotValid"),
        (migration(migrations.RemoveField("old", "n")), "unused_since"),
        (migration(RemoveIndexConcurrently("old", "by_n"), atomic=False), "unused_since"),
        (migration(migrations.DeleteModel("old")), "unused_since"),
        (migration(migrations.RenameField("old", "n", "m")), "knows it by what it was"),
        (migration(migrations.AlterField("old", "n", models.TextField())), "knows it by what it was"),
        (migration(migrations.RenameModel("old", "new")), "knows it by what it was"),
        (migration(migrations.RunPython(nothing)), "cannot be undone"),
        (migration(migrations.RunSQL("SELECT 1", "SELECT 1")), "beside_the_release_before"),
        (
            migration(migrations.SeparateDatabaseAndState([migrations.RemoveField("old", "n")], [])),
            "unused_since",
        ),
    ],
)
def test_what_the_running_release_does_not_survive_is_named(bad: type[migrations.Migration], said: str) -> None:
    found = problems(bad)
    assert any(said in problem for problem in found), found
