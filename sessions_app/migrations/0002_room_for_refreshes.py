"""A refresh changes no indexed column of its family, and with room in the page writes to none of its indexes.

It holds for pages that are filled from now on. What is there moves with its first refresh, and leaves room.
"""

from django.db import migrations

TABLE = "sessions_app_refreshtokenfamily"


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TABLE} SET (fillfactor = 85)")


def fill(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE {TABLE} RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("sessions_app", "0001_initial")]
    operations = [migrations.RunPython(leave_room, fill)]
    beside_the_release_before = "it reads and writes the same rows; no writer waits for the lock"
