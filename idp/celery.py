"""The Celery application. The worker process hosts the drain (`logout_app/worker.py`), named here as a string only."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

# A message that nobody can read must not end a worker.
TRANSPORT_ALIASES |= {
    "redis": "logout_app.broker:RedisTransport",
    "rediss": "logout_app.broker:RedisTransport",
    "filesystem": "logout_app.broker:FilesystemTransport",
}

app = Celery("curfew")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("logout_app.worker:DrainStep")
