"""Mails with a link or a code by which somebody comes in, or gets another address: sent by the worker, each for one row.

Whether there is an account behind an address is looked up here, never in the request that asked: to its person the mail says
what there is to do, to the page nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from idp.branding import mails
from idp.connections.database import is_malformed
from idp.connections.registry import Purpose, usable_for
from idp.models import Connection, Identity, MailLink, MailLinkKind, Strategy, User
from idp.people import accounts, mail_links, newcomers
from idp.protocol.text import normal_forms
from idp.scim import ownership
from idp.tenants import configuration
from sessions_app.account import mail_language
from sessions_app.signin import attempts, passkeys

log = structlog.get_logger(__name__)
PAUSE = timedelta(seconds=30)  # doubled after each failure; also the lease of a worker that dies meanwhile
LONGEST_ADDRESS = 254
BATCH = 50
# The name of a template, and what it says beside what every mail does; None: nobody is to be sent anything.
Letter = tuple[str, dict[str, Any]] | None


def may_ask(
    request: HttpRequest, kind: MailLinkKind, address: str, at: datetime, connection: Connection | None = None
) -> bool:
    """Whether one more mail may be asked for; `connection`: where its reader would sign in."""
    return attempts.reserve_mail(request, str(kind), address, connection, at) and not is_malformed(
        address, LONGEST_ADDRESS
    )


def by_mail(connection: Connection) -> str:
    """How people of this connection may sign in by mail: `code`, `link`, or "" if they may not."""
    how = connection.options.get("email_sign_in")
    return how if how in ("code", "link") and connection.strategy == Strategy.DATABASE and connection.enabled else ""


def reader(link: MailLink) -> Identity | None:
    """Whose sign-in by mail this is, as long as they may."""
    if link.connection is None or not by_mail(link.connection):
        return None
    identity = newcomers.account_of(link.connection, link.address)
    if identity is None or normal_forms.name(identity.user.email) != normal_forms.name(link.address):
        return None
    identity.connection = link.connection
    return identity


def is_theirs(identity: Identity, at: datetime) -> None:
    """Whoever came by the mail reads this address. If nobody had shown that before, a passkey of the account may be somebody else's."""
    if identity.user.email_verified:
        return
    with transaction.atomic():
        passkeys.hold(identity.user)
        if accounts.address_proved(identity.user, actor="user", at=at):
            passkeys.trust_none_alone(identity.user)


def own_account(user: User) -> Identity | None:
    """The account of a database of ours that is this person's own, which has their address as its name."""
    rows = Identity.objects.filter(user=user, connection__strategy=Strategy.DATABASE, connection__enabled=True)
    return rows.select_related("connection", "user").order_by("pk").first()


def is_ours(user: User) -> bool:
    """Whether their address is kept here and is nobody else's to say."""
    return own_account(user) is not None and not owner_of(user)


def owner_of(person: User) -> str:
    """The source that writes this person's names, by provisioning or at every sign-in; "": they are ours."""
    if row := ownership.owner(person):
        return str(row.connection)
    for account in person.identities.select_related("connection").order_by("created_at", "pk"):
        if account.connection.strategy != Strategy.DATABASE and account.own_user_id == person.user_id:
            return str(account.connection)
    return ""


def is_taken(user: User, address: str) -> bool:
    """Whether somebody else of the same database has this address."""
    account = own_account(user)
    other = newcomers.account_of(account.connection, address) if account else None
    return other is not None and other.user_id != user.pk


def send_due(at: datetime) -> int:
    """Send what is due, at least once; returns how many rows are done with. A failure waits for its next turn."""
    due = MailLink.objects.filter(due_at__lte=at, used_at=None, expires_at__gt=at)
    rows = due.select_related("connection", "user", "invitation").order_by("due_at", "pk")[:BATCH]
    return sum(_send(link, at) for link in rows if _claim(link, at))


def _claim(link: MailLink, at: datetime) -> bool:
    """Ours until the pause is over: of two workers one sends."""
    again = at + PAUSE * 2 ** min(link.attempts, 8)
    mine = MailLink.objects.filter(pk=link.pk, due_at=link.due_at)
    return bool(mine.update(due_at=again, attempts=link.attempts + 1))


def _send(link: MailLink, at: datetime) -> int:
    letter = _LETTERS[MailLinkKind(link.kind)](link)
    if letter is None:
        MailLink.objects.filter(pk=link.pk).update(due_at=None)
        return 1
    template, said = letter
    context = {**said, "address": link.address, "tenant": configuration.current().tenant.friendly_name or "Curfew"}
    try:
        with mail_language.speaking_to(link.user, link.language):
            mail = get_adapter().render_mail(f"account/email/{template}", link.address, context)
        mail.send()
    except mails.UNSENT as error:
        log.warning("mail.failed", kind=link.kind, attempts=link.attempts + 1, error=type(error).__name__)
        return 0
    MailLink.objects.filter(pk=link.pk).update(due_at=None, sent_at=at)
    return 1


def _url(link: MailLink, page: str) -> str:
    """At the issuer, whatever the Host header of the request said that asked."""
    return f"{settings.ISSUER_ORIGIN}{reverse(page, args=[mail_links.make_secret(link)])}"


def _invitation(link: MailLink) -> Letter:
    invitation, connection = link.invitation, link.connection
    if invitation is None or connection is None:
        return None
    return "invitation", {
        "url": _url(link, "invitation_link"),
        "name": invitation.name,
        "connection": str(connection),
        "until": invitation.expires_at,
    }


def _sign_up(link: MailLink) -> Letter:
    connection = link.connection
    if connection is None or newcomers.open_to([connection], link.address) is None:
        return None
    if newcomers.account_of(connection, link.address) is None:
        return "sign_up", {"url": _url(link, "sign_up_link")}
    return "sign_up_known", {
        "url": f"{settings.ISSUER_ORIGIN}{reverse('account_login')}",
        "reset_url": f"{settings.ISSUER_ORIGIN}{reverse('account_reset_password')}",
    }


def _sign_in(link: MailLink) -> Letter:
    identity = reader(link)
    if identity is None or not identity.user.is_active or not usable_for(identity.connection, Purpose.SIGN_IN):
        return None
    if by_mail(identity.connection) == "code":
        return "sign_in_code", {"code": mail_links.make_code(link)}
    return "sign_in_link", {"url": _url(link, "by_mail_link")}


def _address(link: MailLink) -> Letter:
    user = link.user
    if user is None or not user.is_active or own_account(user) is None or is_taken(user, link.address):
        return None
    return "new_address", {"url": _url(link, "address_link")}


_LETTERS: Mapping[MailLinkKind, Callable[[MailLink], Letter]] = {
    MailLinkKind.INVITATION: _invitation,
    MailLinkKind.SIGN_UP: _sign_up,
    MailLinkKind.SIGN_IN: _sign_in,
    MailLinkKind.ADDRESS: _address,
}
