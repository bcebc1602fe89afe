"""Management commands one after another in one process, which spares each the start of Django.

Reads lists of arguments from standard input and answers with what the command wrote, or why it failed; a line of JSON each.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    for line in sys.stdin:
        said, failure = io.StringIO(), ""
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                call_command(*json.loads(line))
            except Exception:  # noqa: BLE001  the test is told
                failure = traceback.format_exc()
        connections.close_all()
        sys.stdout.write(json.dumps({"said": said.getvalue(), "failure": failure}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
