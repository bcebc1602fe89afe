from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("idp", "0008_token_dialects_of_auth0")]
    operations = [
        migrations.AddField(
            model_name="connection",
            name="last_signed",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="What was signed of the last SAML response that signed somebody in: response, assertion or both.",
                max_length=16,
            ),
        ),
    ]
