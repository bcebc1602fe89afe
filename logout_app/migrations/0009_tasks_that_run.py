from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('logout_app', '0008_receiver'),
    ]

    operations = [
        migrations.AddField(
            model_name='drainreport',
            name='idle_for',
            field=models.FloatField(help_text='Seconds since it last ran a scheduled task; empty: it does not tell.', null=True),
        ),
    ]
