"""Curfew's command line: `curfew up`, `curfew apply FILE.yaml`, and Django's own commands; `manage.py` in a checkout."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from idp.operations.version import version


def main() -> None:
    if sys.argv[1:] in (["version"], ["--version"]):  # Django would say its own
        sys.stdout.write(f"Curfew {version()}\n")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Curfew cannot start: {error}")


if __name__ == "__main__":
    main()
