"""The Celery application. The worker process hosts the drain (`logout_app/drain.py`), named here as a string only."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

from idp.role import Role, become

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")

app = Celery("curfew")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("logout_app.drain:DrainStep")


@worker_init.connect
def _work(**_: Any) -> None:
    become(Role.WORKER)
