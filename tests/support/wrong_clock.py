"""Curfew's Celery application and WSGI application in a process whose wall clock is CLOCK_OFF seconds wrong.

Python's clocks are shifted, all but the monotonic ones. libfaketime would also disturb sleeps and timeouts.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import time_machine

time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(os.environ["CLOCK_OFF"])), tick=True).start()

from idp.celery import app as celery_app  # noqa: E402, F401  for `celery -A`
from idp.http.serving.application import application  # noqa: E402, F401  for Granian
