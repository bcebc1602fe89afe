from django.db import migrations, models


class Migration(migrations.Migration):
    """A default of new rows only: what an application was told to hear of stays its administrator's choice."""

    dependencies = [("idp", "0006_names_in_their_form")]
    operations = [
        migrations.AlterField(
            model_name="application",
            name="backchannel_logout_initiators_mode",
            field=models.CharField(
                choices=[("all", "All, also future ones"), ("custom", "Selected")], default="all", max_length=8
            ),
        ),
    ]
