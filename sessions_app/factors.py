"""A second factor that is taken away ends the person's other sessions, whoever takes it: the person, an administrator, a script.

allauth's own signal is sent by its pages only, and after the deletion; the model's is sent by every deletion, inside its
transaction.
"""

from __future__ import annotations

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from idp import signals
from sessions_app import binding
from sessions_app.models import SSOSession


@receiver(post_delete, sender=Authenticator, dispatch_uid="a second factor is removed")
def removed(instance: Authenticator, origin: Model | QuerySet[Any, Any], **_: Any) -> None:
    """Recovery codes are no factor of their own; those of a deleted person go with everything else of that person."""
    model = origin.model if isinstance(origin, QuerySet) else type(origin)
    if instance.type == Authenticator.Type.RECOVERY_CODES or model is not Authenticator:
        return
    session = _acting()
    actor = "system"
    if session is not None:
        own = session.user_id == instance.user_id
        actor = "user" if own else f"admin:{session.user.user_id}"
        instance.user.spared_session = session.pk if own else None
    signals.mfa_removed.send(Authenticator, user=instance.user, actor=actor, at=timezone.now())


def _acting() -> SSOSession | None:
    """The session in which somebody does it, if this is a request."""
    request = context.request
    return binding.session_of(request) if request is not None else None
