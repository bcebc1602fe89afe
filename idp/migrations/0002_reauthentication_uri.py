# `reauthentication_uri` of applications: who is told of the second verb

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('idp', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='application',
            name='reauthentication_uri',
            field=models.URLField(blank=True, db_default='', default='', max_length=1000),
        ),
    ]
