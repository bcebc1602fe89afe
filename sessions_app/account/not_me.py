"""The link *This was not me* of a mail: signed, for three days, used once (`logout_app/ending/not_me.py`).

It names the mail, the person, and the address that it went to: only who has the person's address of today is led to a new
password. Looking at it does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse

from idp.models import User
from idp.protocol.opaque import digest
from sessions_app.models import SecurityMail

WORKS_FOR = timedelta(hours=72)
_signer = signing.Signer(salt="curfew.not-me")


@dataclass(frozen=True, slots=True)
class NotMe:
    """What a link says. `once` is what is spent."""

    user: User
    mail: int
    kind: str
    expires_at: datetime
    is_own_address: bool

    @property
    def once(self) -> str:
        return str(self.mail)


def link(row: SecurityMail, address: str, at: datetime) -> str:
    said = [row.user.user_id, row.pk, row.kind, int((at + WORKS_FOR).timestamp()), _digest(address)]
    key = _signer.sign_object(said)
    return f"{settings.ISSUER_ORIGIN}{reverse('this_was_not_me', kwargs={'key': key})}"


def read(key: str, at: datetime) -> NotMe | None:
    """None: it is none of ours, it is too old, or its person is deleted. It may have been used."""
    try:
        sub, mail, kind, until, address = _signer.unsign_object(key)
    except (signing.BadSignature, ValueError):  # what is signed is ours, what is not may be anything
        return None
    expires_at = datetime.fromtimestamp(until, UTC)
    user = User.objects.filter(user_id=sub).first()
    if user is None or expires_at <= at:
        return None
    is_own = user.email_verified and _digest(user.email) == address
    return NotMe(user, mail, kind, expires_at, is_own)


def _digest(address: str) -> str:
    return digest(address)[:32]
