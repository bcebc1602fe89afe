"""Who is told, as a delivery's row spells it: the key by which the queue claims, keeps slots and holds breakers.

`app:7` is the application with that key, `stream:7` an event stream. Other kinds of receivers have a prefix of their own. "" is nobody of the workers:
a frame is the browser's. None was planned by an earlier release, and is filled within seconds (`outbox.adopt`).
"""

from __future__ import annotations

APPLICATION = "app:"
STREAM = "stream:"


def of_application(pk: int) -> str:
    return f"{APPLICATION}{pk}"


def of_stream(pk: int) -> str:
    return f"{STREAM}{pk}"


def is_application(key: str | None) -> bool:
    return key is None or key.startswith(APPLICATION)


def is_stream(key: str | None) -> bool:
    return key is not None and key.startswith(STREAM)


def named(key: str | None, client_id: str) -> str:
    """As logs and metrics name it: an application by its client id, every other receiver by its key."""
    return client_id if key is None or is_application(key) else key
