"""Mail in development (an http issuer): written to where the process writes, as it is.

Celery turns what a worker prints into log lines, and the log masks the links that a mail is about.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.mail.backends import console


class EmailBackend(console.EmailBackend):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"stream": sys.__stdout__, **kwargs})
