"""Names and addresses of accounts in the form in which they are compared since: NFC and lower case, beyond ASCII too."""

import structlog
from django.db import migrations, models

from idp.protocol import normal_forms

log = structlog.get_logger(__name__)


def settle(apps, schema_editor):
    """Addresses always; names only where nobody else of the connection has, or would get, the same: those keep theirs."""
    Identity = apps.get_model("idp", "Identity")
    rows = Identity.objects.using(schema_editor.connection.alias)
    odd = [row for row in rows.only("id", "connection_id", "login", "email").iterator(2000) if _is_odd(row)]
    wanted = {}
    for row in odd:
        if row.login:
            wanted.setdefault((row.connection_id, normal_forms.name(row.login)), []).append(row)
    for row in odd:
        rows.filter(pk=row.pk).update(email=_fitting(row.email, 254))
    for (connection, name), owners in wanted.items():
        taken = rows.filter(connection=connection, login=name).exclude(pk__in=[row.pk for row in owners]).exists()
        if taken or len(owners) > 1:
            log.warning("identity.same_name", connection=connection, accounts=[row.pk for row in owners])
        elif len(name) <= 255:
            rows.filter(pk=owners[0].pk).update(login=name)


def _is_odd(row):
    return not f"{row.login or ''}{row.email}".isascii()


def _fitting(text, longest):
    name = normal_forms.name(text)
    return name if len(name) <= longest else text


class Migration(migrations.Migration):
    dependencies = [("idp", "0005_connection_silent_since")]

    operations = [
        migrations.AlterField(
            "identity",
            "login",
            models.CharField(
                blank=True,
                help_text="What is typed at sign-in, in the form of idp/protocol/normal_forms.py.",
                max_length=255,
                null=True,
            ),
        ),
        migrations.AlterField(
            "identity",
            "email",
            models.CharField(blank=True, help_text="As the connection gave it, in the same form.", max_length=254),
        ),
        migrations.RunPython(settle, migrations.RunPython.noop, elidable=False),
    ]
