#!/usr/bin/env python
"""Curfew's command line: `manage.py up`, `manage.py apply FILE.yaml`, and Django's own commands."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Curfew cannot start: {error}")
