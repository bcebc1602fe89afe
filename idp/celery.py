"""The Celery application. The worker process hosts the drain (`logout_app/worker.py`), named here as a string only."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

app = Celery("curfew")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("logout_app.worker:DrainStep")
