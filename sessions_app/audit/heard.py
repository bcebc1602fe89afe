"""What happens below (`idp/signals.py`) and belongs into the audit trail, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from allauth.core import context
from django.db.models import Model
from django.dispatch import receiver

from idp import signals
from idp.http.requests import RequestFacts
from idp.http.requests import facts as facts_of
from idp.models import Application, Connection, Group, Invitation, PasswordChange, Role, SigningKey, User
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession

MOST_NAMES = 50  # of groups in one line


def facts_of_act() -> RequestFacts | None:
    """Of the request in which this happens; None in a worker or a command."""
    return facts_of(context.request) if context.request is not None else None


@receiver(signals.password_changed, dispatch_uid="the audit trail: a password changed")
def _password_changed(user: User, actor: str, at: datetime, why: PasswordChange, **_: Any) -> None:
    data = {"why": why.value}
    trail.record(EventType.PASSWORD_CHANGED, user=user, actor=actor, facts=facts_of_act(), at=at, data=data)


@receiver(signals.signed_up, dispatch_uid="the audit trail: an account was made")
def _signed_up(
    user: User, connection: Connection, actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    trail.record(EventType.SIGNED_UP, user=user, connection=connection, actor=actor, facts=facts, at=at)


@receiver(signals.email_changed, dispatch_uid="the audit trail: an address changed")
def _address_changed(user: User, actor: str, at: datetime, restores: bool, **_: Any) -> None:
    data = {"verified": user.email_verified, **({"restores": True} if restores else {})}
    trail.record(EventType.ADDRESS_CHANGED, user=user, actor=actor, facts=facts_of_act(), at=at, data=data)


@receiver(signals.invitation_changed, dispatch_uid="the audit trail: an invitation")
def _invitation_changed(
    invitation: Invitation,
    act: str,
    user: User | None,
    actor: str,
    at: datetime,
    facts: RequestFacts | None,
    **_: Any,
) -> None:
    groups = list(invitation.groups.order_by("name").values_list("name", flat=True)[:MOST_NAMES])
    data = {"act": act, "invitation": invitation.pk, "groups": groups}
    trail.record(
        EventType.INVITATION_CHANGED, user=user, connection=invitation.connection,
        actor=actor, facts=facts, at=at, data=data,
    )  # fmt: skip


@receiver(signals.user_blocked, dispatch_uid="the audit trail: an account was blocked")
def _blocked(user: User, actor: str, at: datetime, **_: Any) -> None:
    trail.record(EventType.ACCOUNT_BLOCKED, user=user, actor=actor, facts=facts_of_act(), at=at)


@receiver(signals.user_unblocked, dispatch_uid="the audit trail: an account was unblocked")
def _unblocked(user: User, actor: str, at: datetime, **_: Any) -> None:
    trail.record(EventType.ACCOUNT_UNBLOCKED, user=user, actor=actor, facts=facts_of_act(), at=at)


@receiver(signals.user_deleted, dispatch_uid="the audit trail: an account was deleted")
def _deleted(user: User, actor: str, at: datetime, **_: Any) -> None:
    trail.record(EventType.ACCOUNT_DELETED, user=user, actor=actor, facts=facts_of_act(), at=at)


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


@receiver(signals.signing_key_moved, dispatch_uid="the audit trail: a signing key moved")
def _signing_key_moved(
    key: SigningKey, act: str, actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    data = {"act": act, "kid": key.kid, "algorithm": key.algorithm}
    trail.record(EventType.SIGNING_KEY_MOVED, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.secrets_resealed, dispatch_uid="the audit trail: secrets were resealed")
def _secrets_resealed(act: str, tables: dict[str, int], key: str, actor: str, at: datetime, **_: Any) -> None:
    data = {"act": act, "key": key, "tables": tables}
    trail.record(EventType.SECRETS_RESEALED, actor=actor, at=at, data=data)


@receiver(signals.saml_key_rotated, dispatch_uid="the audit trail: a step of the SAML key's rotation")
def _saml_key_rotated(
    step: str, fingerprint: str, actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    data = {"step": step, "fingerprint": fingerprint}
    trail.record(EventType.SAML_KEY_ROTATED, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.role_changed, dispatch_uid="the audit trail: a role changed")
def _role_changed(
    role: Role, changes: list[dict[str, str]], actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    data = {"role": role.name, "changes": changes}
    trail.record(EventType.ROLE_CHANGED, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.powers_changed, dispatch_uid="the audit trail: powers changed")
def _powers_changed(
    user: User, changes: list[dict[str, str]], actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    data = {"changes": changes}
    trail.record(EventType.POWERS_CHANGED, user=user, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.person_edited, dispatch_uid="the audit trail: a person was edited")
def _person_edited(
    user: User, attributes: Sequence[str], actor: str, at: datetime, facts: RequestFacts | None, **_: Any
) -> None:
    data = {"attributes": list(attributes)}
    trail.record(EventType.PERSON_EDITED, user=user, actor=actor, facts=facts, at=at, data=data)


@receiver(signals.administered, dispatch_uid="the audit trail: an administrator acted")
def _administered(target: Model, act: str, actor: str, at: datetime, facts: RequestFacts | None, **_: Any) -> None:
    """Rows that are about somebody are named by number: a name of a person is not for the trail."""
    user, application, connection = (_of(target, kind) for kind in (User, Application, Connection))
    session = target if isinstance(target, SSOSession) else None
    data = {"act": act, "object": str(target._meta.verbose_name), "id": str(target.pk or "")}
    if not (user or application or connection or hasattr(target, "sub")):
        data["name"] = str(target)
    trail.record(
        EventType.ADMINISTERED, session=session, user=user, application=application, connection=connection,
        actor=actor, facts=facts, at=at, data=data,
    )  # fmt: skip


def _of(target: Model, kind: type[Model]) -> Any:
    """The row itself, or the one that it belongs to."""
    found = target if isinstance(target, kind) else getattr(target, kind._meta.model_name or "", None)
    return found if isinstance(found, kind) else None


@receiver(signals.claim_left_out, dispatch_uid="the audit trail: a claim was left out")
def _claim_left_out(application: Application, claim: str, reason: str, at: datetime, **_: Any) -> None:
    data = {"claim": claim, "reason": reason}
    trail.record(EventType.CLAIM_LEFT_OUT, application=application, at=at, data=data)


@receiver(signals.groups_changed, dispatch_uid="the audit trail: groups of a person changed")
def _groups_changed(
    user: User,
    connection: Connection | None,
    added: Sequence[str],
    removed: Sequence[str],
    source: str,
    actor: str,
    at: datetime,
    **_: Any,
) -> None:
    data = {
        "added": list(added[:MOST_NAMES]),
        "removed": list(removed[:MOST_NAMES]),
        "count": {"added": len(added), "removed": len(removed)},
        "source": str(source),
    }
    trail.record(EventType.GROUPS_CHANGED, user=user, connection=connection, actor=actor, at=at, data=data)


@receiver(signals.group_deleted, dispatch_uid="the audit trail: a group was deleted")
def _group_deleted(group: Group, people: int, actor: str, at: datetime, **_: Any) -> None:
    data = {"group": group.name, "people": people}
    trail.record(EventType.GROUP_DELETED, connection=group.connection, actor=actor, at=at, data=data)


@receiver(signals.roles_changed, dispatch_uid="the audit trail: roles of a person changed")
def _roles_changed(
    user: User, added: Sequence[str], removed: Sequence[str], actor: str, at: datetime, **_: Any
) -> None:
    data = {"added": list(added), "removed": list(removed)}
    trail.record(EventType.ROLES_CHANGED, user=user, actor=actor, at=at, data=data)


@receiver(signals.assignments_changed, dispatch_uid="the audit trail: an assignment changed")
def _assignments_changed(
    user: User, application: Application, is_assigned: bool, actor: str, at: datetime, **_: Any
) -> None:
    data = {"is_assigned": is_assigned}
    trail.record(EventType.ASSIGNMENT_CHANGED, user=user, application=application, actor=actor, at=at, data=data)


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
