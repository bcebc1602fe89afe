#!/usr/bin/env python
"""Curfew's command line: `manage.py up`, `manage.py apply FILE.yaml`, and Django's own commands."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    execute_from_command_line(sys.argv)
