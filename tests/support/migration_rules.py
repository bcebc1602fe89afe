"""What a migration may do while web servers and workers of the release before it go on (docs/operations.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import migrations, models
from django.db.models.fields import NOT_PROVIDED

Operation = Any
ADDING = (
    migrations.CreateModel,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    migrations.AlterModelTableComment,
    postgres.AddConstraintNotValid,
    postgres.ValidateConstraint,
    postgres.CreateExtension,
)
# What nobody uses any more goes one release later: the migration says since which in `unused_since`.
TAKING = (
    migrations.DeleteModel,
    migrations.RemoveField,
    migrations.RemoveIndex,
    migrations.RemoveConstraint,
    postgres.RemoveIndexConcurrently,
)


def problems(migration: type[migrations.Migration]) -> list[str]:
    """A sentence for each operation that the running release would not survive, or that would make it wait."""
    made = {
        operation.name.lower() for operation in migration.operations if isinstance(operation, migrations.CreateModel)
    }
    return [problem for operation in migration.operations for problem in _of(operation, migration, made)]


def _of(operation: Operation, migration: type[migrations.Migration], made: set[str]) -> Iterator[str]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _of(inner, migration, made)
        return
    said, of_new_table = operation.describe(), getattr(operation, "model_name", "").lower() in made
    if isinstance(operation, ADDING) or of_new_table:
        return
    if isinstance(operation, migrations.AddField):
        yield from _added(operation.field, said)
    elif isinstance(operation, postgres.AddIndexConcurrently):
        if migration.atomic:
            yield f"{said}: CONCURRENTLY needs `atomic = False`"
    elif isinstance(operation, migrations.AddIndex):
        yield f"{said}: writers wait for it. AddIndexConcurrently does not make them"
    elif isinstance(operation, migrations.AddConstraint):
        yield f"{said}: all rows are read under a lock. AddConstraintNotValid, and ValidateConstraint in the next migration"
    elif isinstance(operation, TAKING):
        if not getattr(migration, "unused_since", ""):
            yield f"{said}: the running release may use it. Say in `unused_since` which release does not"
    elif isinstance(operation, (migrations.RunPython, migrations.RunSQL)):
        if not operation.reversible:
            yield f"{said}: it cannot be undone"
        if not getattr(migration, "beside_the_release_before", ""):
            yield f"{said}: say in `beside_the_release_before` why the running release survives it"
    else:
        yield f"{said}: the running release knows it by what it was"


def _added(field: models.Field[Any, Any], said: str) -> Iterator[str]:
    nobody_gives_it = field.many_to_many or field.null or field.db_default is not NOT_PROVIDED
    if not nobody_gives_it:
        yield f"{said}: the running release writes rows without it. Make it nullable, or give it a db_default"
