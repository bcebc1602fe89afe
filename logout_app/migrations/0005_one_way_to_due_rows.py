from django.db import migrations


def drop(apps, schema_editor):
    """PostgreSQL's claim walks from application to application, and has an index for it. Most of the time nothing is pending,
    so its statistics say that the other index is as short, and a claim by that one reads the whole backlog for each application.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS logout_delivery_due")


def restore(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        delivery = apps.get_model("logout_app", "LogoutDelivery")
        (index,) = (index for index in delivery._meta.indexes if index.name == "logout_delivery_due")
        schema_editor.add_index(delivery, index)


class Migration(migrations.Migration):
    dependencies = [("logout_app", "0004_fewer_indexes")]
    operations = [migrations.RunPython(drop, restore)]
