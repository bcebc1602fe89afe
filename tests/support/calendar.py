"""Curfew's Celery application, as `-A` takes it, with times of its own: a beat that logs what it sends, and sweeps each
SWEEP_SECONDS; a drain that reports each REPORT_SECONDS.
"""

from __future__ import annotations

import logging
import os

from celery.signals import beat_embedded_init, worker_init

from idp.celery import app as celery_app

SWEEP = celery_app.conf.beat_schedule["expire sessions"]
SWEEP["schedule"] = float(os.environ.get("SWEEP_SECONDS", SWEEP["schedule"]))


@worker_init.connect
def report(**_: object) -> None:
    from logout_app.delivery import reports  # models are there now

    reports.EVERY = float(os.environ.get("REPORT_SECONDS", reports.EVERY))


@beat_embedded_init.connect
def tell(**_: object) -> None:
    logging.getLogger("celery.beat").setLevel(logging.INFO)
