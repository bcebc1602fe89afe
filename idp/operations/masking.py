"""Paths that are secrets themselves never reach a log: the key of a reset mail, the capability of a sign-out page."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

SECRET_IN_PATH = re.compile(
    r"(/account/password/reset/key/(?!done/)|/account/email/confirm/|/account/not-me/|/account/address/key/|/invitation/key/|/signup/key/|/login/by-mail/key/|/exports/|/logout/(?=[\w-]{20}))[^/\s\"']+"
)


def mask(text: str) -> str:
    return SECRET_IN_PATH.sub(r"\g<1>***", text)


def mask_event(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor, last before the renderer: also for lines of Django and of libraries."""
    for key, value in event.items():
        if isinstance(value, str) and "/" in value:
            event[key] = mask(value)
    return event
