"""The link *This was not me* of a mail: signed, for three days, used once (`logout_app/ending/not_me.py`).

It names the mail, the person, and the address that it went to: only who has the person's address of today is led to a new
password, or who has the one of before when the person is said to have changed it themselves: they get it back. Looking at it
does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse

from idp.models import User
from idp.protocol.opaque import digest
from sessions_app.account import mailed
from sessions_app.models import SecurityMail, SecurityMailKind, SecurityMailOutcome

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
    address: str = ""  # of before, which becomes the person's again; "": there is nothing to put back
    changed_at: datetime | None = None  # when it ceased to be

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
    taken = _taken_from(user, mail, address)
    if taken is None:
        return NotMe(user, mail, kind, expires_at, is_own)
    return NotMe(user, mail, kind, expires_at, is_own, taken.address, taken.happened_at)


def _taken_from(user: User, mail: int, address: str) -> SecurityMail | None:
    """The mail that told its reader that their address is the account's no more, if the account's own person seemed to do it.

    What an administrator or a source decided is not undone by a mailbox, nor where they say what the address is.
    """
    about = SecurityMail.objects.filter(pk=mail, user=user, kind=SecurityMailKind.ADDRESS_CHANGED).first()
    if about is None or about.address != about.data.get("old") or _digest(about.address) != address:
        return None
    is_at_stake = about.data.get("actor") == "user" and user.is_active and user.email != about.address
    can_be = is_at_stake and mailed.is_ours(user) and not mailed.is_taken(user, about.address)
    return about if can_be else None


def void_links(link: NotMe, at: datetime) -> list[int]:
    """Of the mails since the address was taken: whoever had the other mailbox undoes nothing. The ids of those that were sent
    there; those that would be are sent to nobody."""
    of_others = SecurityMail.objects.filter(user=link.user).exclude(pk=link.mail)
    since = of_others.exclude(kind=SecurityMailKind.ADDRESS_RESTORED)
    elsewhere = since.filter(happened_at__gte=link.changed_at).exclude(address__in=("", link.address))
    to_own = since.filter(address="", outcome=SecurityMailOutcome.SENT, done_at__gte=link.changed_at)
    elsewhere.filter(done_at=None).update(outcome=SecurityMailOutcome.NOBODY, done_at=at)
    return [*elsewhere.values_list("pk", flat=True), *to_own.values_list("pk", flat=True)]


def _digest(address: str) -> str:
    return digest(address)[:32]
