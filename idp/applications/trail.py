"""What is written down of an application that somebody made, changed or deleted."""

from __future__ import annotations

from datetime import datetime

from idp import signals
from idp.applications import claim_troubles
from idp.http.requests import RequestFacts
from idp.models import Application
from idp.tenants import changes
from idp.tenants.changes import NO_VALUE, Difference

# Ours, and what follows from other columns (`Application.save()`).
NOT_SAID = frozenset({"id", "client_id", "user", "created", "updated", "hash_client_secret"}) | {
    *("client_type", "authorization_grant_type", "skip_authorization", "algorithm"),
}
FIELDS = tuple(field.name for field in Application._meta.concrete_fields if field.name not in NOT_SAID)
SECRETS = frozenset({"client_secret"})
ACCESS = ("access_mode", "access_groups", "access_loss_signs_out")


def stored(application: Application) -> Application | None:
    """The row as it is before a change; None if there is none yet."""
    rows = Application.objects.filter(pk=application.pk)
    return rows.first() if application.pk else None


def changed(
    before: Application | None,
    application: Application,
    *,
    actor: str,
    at: datetime,
    facts: RequestFacts | None = None,
) -> list[Difference]:
    """Tell the audit trail of a row that was saved, in the transaction of the change."""
    found = [] if before else [Difference("application", NO_VALUE, _kind(application))]
    found += changes.differences(before or Application(client_secret=""), application, FIELDS, secrets=SECRETS)
    if {"claim_mappings", "access_groups"} & {difference.what for difference in found}:
        claim_troubles.forget(application)
    _tell_of_access(before, application, actor, at)
    return _tell(application, found, actor, at, facts)


def _tell_of_access(before: Application | None, application: Application, actor: str, at: datetime) -> None:
    """Fewer people may use it than before, perhaps: whoever ends their sign-ins finds out who."""
    if before is not None and any(getattr(before, name) != getattr(application, name) for name in ACCESS):
        signals.access_changed.send(Application, users=None, applications=[application.pk], actor=actor, at=at)


def deleted(application: Application, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> None:
    _tell(application, [Difference("application", _kind(application), NO_VALUE)], actor, at, facts)


def _kind(application: Application) -> str:
    return f"{application.name}, of the kind {application.app_type}"


def _tell(
    application: Application, found: list[Difference], actor: str, at: datetime, facts: RequestFacts | None
) -> list[Difference]:
    if found:
        rows = changes.rows(found)
        signals.application_changed.send(
            Application, application=application, changes=rows, actor=actor, at=at, facts=facts
        )
    return found
