"""What happens below (`idp/signals.py`) and belongs into the audit trail, written in the transaction of the change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.dispatch import receiver

from idp import signals
from idp.http.requests import RequestFacts
from idp.models import Application, Connection, User
from sessions_app.audit import trail
from sessions_app.audit.events import EventType


@receiver(signals.connection_changed, dispatch_uid="the audit trail: a connection changed")
def _connection_changed(
    connection: Connection,
    changes: list[dict[str, str]],
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    data = {"changes": changes}
    trail.record(EventType.CONNECTION_CHANGED, connection=connection, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.application_changed, dispatch_uid="the audit trail: an application changed")
def _application_changed(
    application: Application,
    changes: list[dict[str, str]],
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    data = {"changes": changes}
    trail.record(EventType.APPLICATION_CHANGED, application=application, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.tenant_changed, dispatch_uid="the audit trail: the tenant's settings changed")
def _tenant_changed(
    changes: list[dict[str, str]], actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    trail.record(EventType.TENANT_CHANGED, actor=actor, facts=facts, at=at, data={"changes": changes})


@receiver(signals.guessing_throttled, dispatch_uid="the audit trail: guessing throttled")
def _guessing_throttled(what: str, facts: RequestFacts, at: datetime, **_: Any) -> None:
    trail.record(EventType.GUESSING_THROTTLED, facts=facts, at=at, data={"what": what})


@receiver(signals.provisioned, dispatch_uid="the audit trail: provisioned")
def _provisioned(
    user: User | None,
    connection: Connection,
    act: str,
    data: dict[str, Any],
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    said = {"act": act, **data}
    trail.record(EventType.PROVISIONED, user=user, connection=connection, actor=actor, facts=facts, at=at, data=said)


@receiver(signals.provisioning_refused, dispatch_uid="the audit trail: provisioning refused")
def _provisioning_refused(
    connection: Connection,
    status: int,
    reason: str,
    what: str,
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    data = {"status": status, "reason": reason, "what": what}
    trail.record(EventType.PROVISIONING_REFUSED, connection=connection, actor=actor, facts=facts, at=at, data=data)
