"""`access_token` means what it means at Auth0 from now on; the APIs that had opaque tokens by that name keep them by ours."""

from django.db import migrations, models


def name_ours(apps, schema_editor):
    _rename(apps, schema_editor, "access_token", "opaque")


def name_as_before(apps, schema_editor):
    _rename(apps, schema_editor, "opaque", "access_token")


def _rename(apps, schema_editor, before, after):
    rows = apps.get_model("idp", "ResourceServer").objects.using(schema_editor.connection.alias)
    rows.filter(token_dialect=before).update(token_dialect=after)


class Migration(migrations.Migration):
    dependencies = [("idp", "0007_applications_hear_of_everything")]

    operations = [
        migrations.AlterField(
            model_name="resourceserver",
            name="token_dialect",
            field=models.CharField(
                choices=[
                    ("opaque", "Opaque: dead at once when its session ends"),
                    ("access_token", "JWT with Auth0's claims, valid until it expires"),
                    ("access_token_authz", "JWT with Auth0's claims and permissions, valid until it expires"),
                    ("rfc9068_profile", "JWT (RFC 9068), valid until it expires"),
                    ("rfc9068_profile_authz", "JWT (RFC 9068) with permissions, valid until it expires"),
                ],
                default="opaque",
                help_text=(
                    "Opaque tokens are looked up here with each use, so they end with the session, the person and the "
                    "application. An API that verifies JWTs by itself asks nobody, and takes one until it expires."
                ),
                max_length=24,
                verbose_name="format",
            ),
        ),
        migrations.RunPython(name_ours, name_as_before, elidable=False),
    ]
