"""Invitations: by an administrator, to an address, for one connection. The groups are given when one is accepted.

`actor` and `facts` as of every act; each act tells the audit trail in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from idp import signals
from idp.connections.registry import PASSWORD_PROTOCOLS, REDIRECT_PROTOCOLS
from idp.directory import memberships
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import Connection, Group, Identity, Invitation, InvitationState, User
from idp.people import mail_links
from idp.protocol.text import normal_forms

WORKS_FOR = timedelta(days=7)
INVITABLE = (*PASSWORD_PROTOCOLS, *REDIRECT_PROTOCOLS)  # strategies by which anybody signs in


class TooManyMails(Exception):
    """This address was sent several lately."""


class NotOpen(Exception):
    """It was accepted, withdrawn or replaced, or it is too old."""


def invite(
    address: str,
    connection: Connection,
    *,
    name: str = "",
    groups: Iterable[Group] = (),
    actor: str,
    at: datetime,
    facts: RequestFacts | None = None,
) -> Invitation:
    """Have the address sent a link; one that it has for this connection is replaced. Raises TooManyMails."""
    _take_a_mail(address, at)
    with transaction.atomic():
        for earlier in _waiting(connection, address):
            _end(earlier, at)
        invitation = Invitation.objects.create(
            address=address,
            name=name,
            connection=connection,
            invited_by=actor,
            invited_at=at,
            expires_at=at + WORKS_FOR,
        )
        invitation.groups.set(groups)
        mail_links.ask_for_invitation(invitation, at)
        _tell("invited", invitation, actor, at, facts)
    return invitation


def resend(invitation: Invitation, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> None:
    """A new link for seven days; the old one works no more. Raises TooManyMails and NotOpen."""
    _take_a_mail(invitation.address, at)
    with transaction.atomic():
        changed = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None)
        if not changed.update(expires_at=at + WORKS_FOR):
            raise NotOpen
        invitation.expires_at = at + WORKS_FOR
        mail_links.ask_for_invitation(invitation, at)
        _tell("sent again", invitation, actor, at, facts)


def withdraw(invitation: Invitation, *, actor: str, at: datetime, facts: RequestFacts | None = None) -> bool:
    """Its link works no more. False: it was accepted or withdrawn already."""
    with transaction.atomic():
        if not _end(invitation, at):
            return False
        _tell("withdrawn", invitation, actor, at, facts)
    return True


def accept(invitation: Invitation, identity: Identity, *, at: datetime, facts: RequestFacts | None) -> None:
    """What the invitation has is this account's person's. Call it in the transaction of whatever else comes of it. Raises NotOpen."""
    with transaction.atomic():
        row = Invitation.objects.select_for_update(of=("self",)).get(pk=invitation.pk)
        if row.state(at) != InvitationState.WAITING:
            raise NotOpen
        row.accepted_at, row.accepted_by = at, identity.user
        row.save(update_fields=["accepted_at", "accepted_by"])
        row.links.filter(used_at=None).update(used_at=at, due_at=None)
        for group in row.groups.order_by("pk"):
            memberships.add_person(group, identity.user, actor=row.invited_by, at=at)
        _tell("accepted", row, "user", at, facts, identity.user)


def is_meant(invitation: Invitation, identity: Identity) -> bool:
    """Whether the account is that of the invited person: of the connection, with the address that the mail went to."""
    return identity.connection_id == invitation.connection_id and normal_forms.name(invitation.address) in {
        identity.email,
        normal_forms.name(identity.user.email) if identity.user.email_verified else "",
    }


def _take_a_mail(address: str, at: datetime) -> None:
    if not limiter.reserve([limiter.RESET_MAIL.key("invitation", normal_forms.name(address))], at).allowed:
        raise TooManyMails


def _waiting(connection: Connection, address: str) -> list[Invitation]:
    rows = Invitation.objects.select_for_update(of=("self",))
    return list(rows.filter(connection=connection, address=address, accepted_at=None, withdrawn_at=None))


def _end(invitation: Invitation, at: datetime) -> bool:
    ended = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None).update(withdrawn_at=at)
    invitation.links.filter(used_at=None).update(used_at=at, due_at=None)
    return bool(ended)


def _tell(
    act: str, invitation: Invitation, actor: str, at: datetime, facts: RequestFacts | None, user: User | None = None
) -> None:
    signals.invitation_changed.send(
        Invitation, invitation=invitation, act=act, user=user, actor=actor, at=at, facts=facts
    )
