#!/usr/bin/env python
"""Curfew's command line: `manage.py up`, `manage.py apply FILE.yaml`, and Django's own commands."""

from idp.__main__ import main

if __name__ == "__main__":
    main()
