import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("idp", "0002_connection_check"),
    ]

    operations = [
        migrations.CreateModel(
            name="SamlKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "certificate",
                    models.TextField(help_text="PEM, self-signed: identity providers trust it by our metadata."),
                ),
                ("sealed_private_key", models.TextField(editable=False)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "SAML key",
            },
        ),
    ]
