"""What somebody changes about a connection, in the audit trail: a line that no administrator can take back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from idp import signals
from idp.models import Connection
from idp.requests import RequestFacts
from sessions_app import lifecycle

CONNECTION_CHANGED = "connection_changed"


@receiver(signals.connection_changed, dispatch_uid="the audit trail: a connection changed")
def connection_changed(
    connection: Connection,
    changes: list[dict[str, str]],
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    data = {"changes": changes}
    lifecycle.record(CONNECTION_CHANGED, connection=connection, actor=actor, facts=facts, at=at, data=data)
