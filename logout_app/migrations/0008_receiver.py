from django.db import migrations, models

import logout_app.models

BATCH = 5000
FILL = """
UPDATE logout_app_logoutdelivery
SET receiver = CASE WHEN channel IN ('frontchannel', 'none') THEN '' ELSE 'app:' || coalesce(application_id, 0) END
WHERE id >= %s AND id < %s AND receiver IS NULL"""


def fill(apps, schema_editor):
    """In small transactions: workers record meanwhile. What the previous release still plans is filled by the workers."""
    delivery = apps.get_model("logout_app", "LogoutDelivery")
    span = delivery.objects.aggregate(first=models.Min("pk"), last=models.Max("pk"))
    if span["first"] is None:
        return
    with schema_editor.connection.cursor() as cursor:
        for start in range(span["first"], span["last"] + 1, BATCH):
            cursor.execute(FILL, [start, start + BATCH])


class AddIndex(migrations.AddIndex):
    """People sign out meanwhile: on PostgreSQL the index is built beside them."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            return super().database_forwards(app_label, schema_editor, from_state, to_state)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")  # of an attempt that was cut short
        model = to_state.apps.get_model(app_label, self.model_name)
        return schema_editor.add_index(model, self.index, concurrently=True)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("logout_app", "0007_not_told")]
    operations = [
        migrations.AddField(
            model_name="logoutdelivery",
            name="receiver",
            field=models.CharField(
                help_text="Whom a worker tells; empty: no worker does. `delivery/receiver.py` says how it is spelt.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="logoutdelivery",
            name="channel",
            field=models.CharField(choices=logout_app.models.channel_choices, max_length=16),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        AddIndex(
            model_name="logoutdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending"), models.Q(("channel", "frontchannel"), _negated=True)),
                fields=["receiver", "due_at", "id"],
                name="logout_delivery_of_receiver",
            ),
        ),
    ]
