"""A test that commits leaves nothing behind, and finds what the migrations made."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection

from idp.people.console_roles import GROUPS
from tests.support import emptying, rows, template

pytestmark = pytest.mark.django_db(transaction=True)


def contents() -> emptying.Rows:
    return emptying._rows(connection, emptying._tables(connection))


def empty() -> None:
    """As pytest-django does after such a test."""
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False, inhibit_post_migrate=False)


def test_rows_of_every_table_are_taken_away_the_trails_too() -> None:
    before = contents()
    made = rows.one_of_each()
    assert all(model._base_manager.exists() for model in made)
    Group.objects.exclude(
        name__in=GROUPS
    ).delete()  # what else was changed of theirs would be made anew, with other ids
    empty()
    assert contents() == before


@pytest.mark.parametrize("change", ["a permission of a role", "a role's name", "a new permission"])
def test_what_the_migrations_left_is_made_anew_when_a_test_changed_it(change: str) -> None:
    if change == "a permission of a role":
        Group.objects.get(name=min(GROUPS)).permissions.clear()
    elif change == "a role's name":
        Group.objects.filter(name=min(GROUPS)).update(name="Others")
    else:
        Permission.objects.create(codename="x", name="x", content_type=Permission.objects.all()[0].content_type)
    empty()
    assert set(Group.objects.values_list("name", flat=True)) == GROUPS
    assert all(group.permissions.exists() for group in Group.objects.all())
    assert not Permission.objects.filter(codename="x").exists()


def test_another_migration_is_another_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before = template.fingerprint((1, 2))
    monkeypatch.setattr(template.django, "VERSION", (99, 0))
    assert template.fingerprint((1, 2)) != before
