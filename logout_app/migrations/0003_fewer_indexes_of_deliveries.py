import django.db.models.deletion
from django.db import migrations, models


def leave_room(apps, schema_editor):
    """Room in each page: a claim changes no indexed column, and writes to no index if the row's next version fits beside it."""
    _set(schema_editor, "SET (fillfactor = 60)")


def fill(apps, schema_editor):
    _set(schema_editor, "RESET (fillfactor)")


def _set(schema_editor, change):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE logout_app_logoutdelivery {change}")


class Migration(migrations.Migration):
    dependencies = [("logout_app", "0002_revocation_request")]

    operations = [
        migrations.RemoveIndex(model_name="logoutdelivery", name="logout_delivery_purge"),
        migrations.AlterField(
            model_name="logoutdelivery",
            name="event",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="logout_app.logoutevent",
            ),
        ),
        migrations.AddIndex(
            model_name="logoutdelivery",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", False)), fields=["finished_at"], name="logout_delivery_purge"
            ),
        ),
        migrations.RunPython(leave_room, fill),
    ]
