"""Curfew's web application in a process that kills itself once, by SIGKILL, at the place that KILLED_AT names.

`commit`: a security event was acted upon and is not committed. `answer`: an event or a SCIM request is committed and not
answered. KILLED_ONCE is a file that says it happened.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from idp.http.serving.application import application  # noqa: F401  for Granian; it also sets Django up
from idp.scim import endpoint
from logout_app.shared_signals import receive

PLACE, ONCE = os.environ["KILLED_AT"], Path(os.environ["KILLED_ONCE"])


def dying(act: Callable[..., Any]) -> Callable[..., Any]:
    def does_and_dies(*args: Any, **kwargs: Any) -> Any:
        answer = act(*args, **kwargs)
        if not ONCE.exists():
            ONCE.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return does_and_dies


if PLACE == "commit":
    receive._keep = dying(receive._keep)
else:
    receive.take = dying(receive.take)
    endpoint._serve = dying(endpoint._serve)
