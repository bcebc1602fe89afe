"""Rotation of our SAML key, step by step, by whoever tells the applications: next -> active -> retiring -> gone.

No calendar does it: many applications have our certificate by hand, and break when something signs that they do not know.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from django.db import transaction

from idp import signals
from idp.crypto.sealing import CannotUnseal
from idp.http.requests import RequestFacts
from idp.models import SamlKey, SamlKeyStatus
from idp.saml import own_key
from idp.tenants import configuration

# Our metadata are valid for as long: whoever follows them has read them anew by then.
READ_WITHIN = timedelta(days=7)


class RotationStep(StrEnum):
    PUBLISH = "publish"  # a successor stands in our metadata
    ACTIVATE = "activate"  # it signs, and the one before retires
    WITHDRAW = "withdraw"  # keys that retired are gone
    DISCARD = "discard"  # a successor that never signed is gone


class CannotRotate(Exception):
    """The step is not to be taken now; the sentence says why. `too_early`: it may be, by whoever takes the consequence."""

    def __init__(self, sentence: str, *, too_early: bool = False) -> None:
        super().__init__(sentence)
        self.too_early = too_early


def rotate(
    step: RotationStep, *, actor: str, at: datetime, early: bool = False, facts: RequestFacts | None = None
) -> str:
    """Take one step; returns what was done, in words. `early`: although not everybody can have read our metadata since.

    Raises CannotRotate.
    """
    made = _successor(at) if step is RotationStep.PUBLISH else None
    with transaction.atomic():
        configuration.bump()  # one step at a time
        rows, sentence = _publish(*made, at) if made else _STEPS[step](at, early)
        for row in rows:
            signals.saml_key_rotated.send(
                SamlKey,
                step=step.value,
                fingerprint=own_key.fingerprint(row.certificate),
                actor=actor,
                at=at,
                facts=facts,
            )
    return sentence


def too_early(row: SamlKey, at: datetime) -> str:
    """Why the next step with this key is too early; "" if it is not."""
    is_next = row.status == SamlKeyStatus.NEXT
    since = row.created_at if is_next else row.retired_at
    if since is None or since + READ_WITHIN <= at:
        return ""
    done = "published" if is_next else "replaced"
    may = "not know it yet" if is_next else "know no other, or still encrypt for it"
    return f"It was {done} on {since:%d %B %Y}: those who follow our metadata within {READ_WITHIN.days} days may {may}."


def _successor(at: datetime) -> tuple[str, str]:
    """Made before the lock; and whom it succeeds, who is made at first need."""
    _refuse_second()
    own_key.own_certificates(at)
    return own_key.make(at)


def _refuse_second() -> None:
    if SamlKey.objects.filter(status=SamlKeyStatus.NEXT).exists():
        raise CannotRotate("There is a successor already.")


def _publish(private_pem: str, certificate: str, at: datetime) -> tuple[list[SamlKey], str]:
    _refuse_second()
    row = own_key.keep(private_pem, certificate, at, SamlKeyStatus.NEXT)
    return [row], f"{_named(row)} is published in our metadata, and does not sign yet."


def _activate(at: datetime, early: bool) -> tuple[list[SamlKey], str]:
    coming = SamlKey.objects.filter(status=SamlKeyStatus.NEXT).first()
    if coming is None:
        raise CannotRotate("There is no successor: publish one first.")
    _refuse_early(coming, at, early)
    try:
        own_key.opened(coming)
    except CannotUnseal:
        raise CannotRotate("The successor cannot be unsealed: its key is not in CURFEW_ENCRYPTION_KEYS.") from None
    SamlKey.objects.filter(status=SamlKeyStatus.ACTIVE).update(status=SamlKeyStatus.RETIRING, retired_at=at)
    coming.status, coming.activated_at = SamlKeyStatus.ACTIVE, at
    coming.save(update_fields=["status", "activated_at"])
    return [coming], f"{_named(coming)} signs; the one before is still published, and opens what is encrypted for it."


def _withdraw(at: datetime, early: bool) -> tuple[list[SamlKey], str]:
    rows = list(SamlKey.objects.filter(status=SamlKeyStatus.RETIRING).order_by("pk"))
    if not rows:
        raise CannotRotate("No key is retiring.")
    for row in rows:
        _refuse_early(row, at, early)
    return _gone(rows)


def _discard(at: datetime, early: bool) -> tuple[list[SamlKey], str]:
    rows = list(SamlKey.objects.filter(status=SamlKeyStatus.NEXT))
    if not rows:
        raise CannotRotate("There is no successor.")
    return _gone(rows)


def _refuse_early(row: SamlKey, at: datetime, early: bool) -> None:
    if not early and (why := too_early(row, at)):
        raise CannotRotate(why, too_early=True)


def _gone(rows: list[SamlKey]) -> tuple[list[SamlKey], str]:
    SamlKey.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return rows, f"{' and '.join(_named(row) for row in rows)} {'are' if len(rows) > 1 else 'is'} gone."


def _named(row: SamlKey) -> str:
    return f"The key {own_key.fingerprint(row.certificate)[:16]}"


_STEPS = {
    RotationStep.ACTIVATE: _activate,
    RotationStep.WITHDRAW: _withdraw,
    RotationStep.DISCARD: _discard,
}
