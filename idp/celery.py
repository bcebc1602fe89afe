"""The Celery application. The worker process hosts the drain (`logout_app/worker/process.py`), named here as a string only."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from kombu.transport import TRANSPORT_ALIASES

from idp.processes.role import ProcessRole, become

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

# A message that nobody can read must not end a worker.
TRANSPORT_ALIASES |= {
    "redis": "logout_app.worker.broker:RedisTransport",
    "redis+socket": "logout_app.worker.broker:RedisTransport",
    "sentinel": "logout_app.worker.broker:SentinelTransport",
    "filesystem": "logout_app.worker.broker:FilesystemTransport",
}

app = Celery("curfew")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("logout_app.worker.process:DrainStep")


@worker_init.connect
def _work(**_: Any) -> None:
    become(ProcessRole.WORKER)
