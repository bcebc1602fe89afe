from django.db import migrations, models


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
    dependencies = [("logout_app", "0006_drain_reports")]
    operations = [
        migrations.AlterField(
            model_name="logoutdelivery",
            name="channel",
            field=models.CharField(
                choices=[
                    ("backchannel", "Back channel"),
                    ("frontchannel", "Front channel"),
                    ("gtr", "Global Token Revocation"),
                    ("none", "None"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="logoutdelivery",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Waiting"),
                    ("delivered", "Signed out"),
                    ("loaded", "Page loaded, not confirmed"),
                    ("dead", "No answer"),
                    ("dropped", "Dropped: nothing left to tell"),
                    ("not_told", "Not told"),
                ],
                default="pending",
                max_length=12,
            ),
        ),
        AddIndex(
            model_name="logoutdelivery",
            index=models.Index(
                condition=models.Q(("state", "not_told")),
                fields=["finished_at", "application"],
                name="logout_delivery_not_told",
            ),
        ),
    ]
