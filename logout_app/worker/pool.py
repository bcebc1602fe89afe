"""Celery's thread pool, except that a message whose task ends outside of its body is let go.

Celery's own forgets the exception: nobody acknowledges the message, which keeps one of the few places a worker has.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from celery.concurrency import thread
from celery.worker.request import Request
from celery.worker.state import task_ready


class TaskPool(thread.TaskPool):
    def on_apply(self, *args: Any, error_callback: Callable[..., Any] | None = None, **options: Any) -> Any:
        applied = super().on_apply(*args, **options)
        request = getattr(error_callback, "__self__", None)
        if isinstance(request, Request):
            applied.f.add_done_callback(partial(let_go, request))
        return applied


def let_go(request: Request, call: Future[Any]) -> None:
    """A call that was cancelled is a worker's that stops: its message goes back to the queue."""
    if call.cancelled() or request.acknowledged or (error := call.exception()) is None:
        return
    from logout_app.worker.aside_messages import set_aside  # Celery asks for the pool before Django is set up

    set_aside(error, f"{request.name}[{request.id}]")
    task_ready(request)
    request.reject(requeue=False)
