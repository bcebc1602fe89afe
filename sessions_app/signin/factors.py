"""Second factors: whether somebody has one, and what happens when one is taken away.

One that is taken away ends the person's other sessions, whoever takes it: the person, an administrator, a script.

allauth's own signal is sent by its pages only, and after the deletion; the model's is sent by every deletion, inside its
transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from idp import signals
from idp.crypto import sealing
from idp.http.requests import RequestFacts
from idp.models import User
from idp.tenants import configuration
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.audit.heard import facts_of_act
from sessions_app.models import SSOSession
from sessions_app.session import binding

FACTORS = frozenset({Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN})  # recovery codes stand in for one of these


def of(user: OuterRef) -> Exists:
    """Whether the person of the outer row has a second factor."""
    return Exists(Authenticator.objects.filter(user=user, type__in=sorted(FACTORS)))


PLACE = "second factor"  # to which secrets of authenticator apps and recovery codes are bound


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return sealing.seal(text, PLACE)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises CannotUnseal. What was set up before such secrets were sealed is still in clear."""
        is_sealed = bool(sealing.key_id_of(encrypted_text))
        return sealing.unseal(encrypted_text, PLACE) if is_sealed else encrypted_text

    def is_mfa_enabled(self, user: User, types: Collection[str] | None = None) -> bool:
        """For a sign-in the identity's lookup has found it out already."""
        known: bool | None = getattr(user, "has_second_factor", None)
        if known is not None and types is not None and frozenset(types) == FACTORS:
            return known
        return bool(super().is_mfa_enabled(user, types=types))

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The issuer's, whatever the Host header of the request said: keys that are made for one RP ID work for it only."""
        return {"id": settings.ISSUER_PARTS.hostname or "", "name": configuration.current().tenant.friendly_name}


def of_person(user: User) -> list[Authenticator]:
    """Their second factors, without the recovery codes that stand in for them."""
    return list(Authenticator.objects.filter(user=user, type__in=sorted(FACTORS)).order_by("pk"))


def reset(user: User, *, actor: str, facts: RequestFacts, at: datetime) -> int:
    """Take away what a person proves after their password, recovery codes included: they sign in without and set up anew.

    Returns how many factors there were. The signal of each deletion ends their sessions.
    """
    with transaction.atomic():
        kinds = [factor.type for factor in of_person(User.objects.select_for_update().get(pk=user.pk))]
        if kinds:
            data = {"factors": kinds}
            trail.record(EventType.SECOND_FACTORS_RESET, user=user, actor=actor, facts=facts, at=at, data=data)
        Authenticator.objects.filter(user=user).delete()
    return len(kinds)


@receiver(post_delete, sender=Authenticator, dispatch_uid="a second factor is removed")
def removed(instance: Authenticator, origin: Model | QuerySet[Any, Any], **_: Any) -> None:
    """Recovery codes are no factor of their own; those of a deleted person go with everything else of that person."""
    model = origin.model if isinstance(origin, QuerySet) else type(origin)
    if instance.type == Authenticator.Type.RECOVERY_CODES or model is not Authenticator:
        return
    actor, at = _actor(instance.user), timezone.now()
    _record(EventType.SECOND_FACTOR_REMOVED, instance, actor, at)
    signals.mfa_removed.send(Authenticator, user=instance.user, factor=instance, actor=actor, at=at)


@receiver(post_save, sender=Authenticator, dispatch_uid="a second factor is added")
def added(instance: Authenticator, created: bool, raw: bool, **_: Any) -> None:
    """Not of a row that is only used, which every sign-in with a second factor writes."""
    if not created or raw:
        return
    actor, at = _actor(instance.user), timezone.now()
    _record(EventType.SECOND_FACTOR_ADDED, instance, actor, at)
    if instance.type != Authenticator.Type.RECOVERY_CODES:
        signals.mfa_added.send(Authenticator, user=instance.user, factor=instance, actor=actor, at=at)


def _record(event: EventType, factor: Authenticator, actor: str, at: datetime) -> None:
    data = {"factor": str(factor.type)}
    trail.record(event, user=factor.user, actor=actor, facts=facts_of_act(), at=at, data=data)


def _actor(user: User) -> str:
    """Who does it to this person, whose acting session is noted if it is the person."""
    session = _acting()
    if session is None:
        return "system"
    own = session.user_id == user.pk
    user.acting_session = session.pk if own else None
    return "user" if own else f"admin:{session.user.user_id}"


def _acting() -> SSOSession | None:
    """The session in which somebody does it, if this is a request."""
    request = context.request
    return binding.session_of(request) if request is not None else None
