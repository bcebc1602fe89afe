"""Mails to people of database connections: asked for in a request, sent by the worker.

A request writes one row, whoever the address belongs to. The worker looks who that is and sends one mail for each account,
which names the connection: two connections may hold the same address.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.signals import email_confirmed
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db.models import QuerySet
from django.dispatch import receiver
from django.urls import reverse

from idp import signals
from idp.branding import mails
from idp.connections import registry
from idp.http import languages
from idp.limits import limiter
from idp.models import Identity, User
from idp.protocol.text import normal_forms
from idp.tenants import configuration
from sessions_app.account import mail_language
from sessions_app.models import MailKind, MailRequest

log = structlog.get_logger(__name__)

GIVEN_UP_AFTER = timedelta(hours=1)  # as long as the link would work
PAUSE = timedelta(seconds=30)  # doubled after each failure; also the lease of a worker that dies meanwhile
BATCH = 50


def ask_for_reset(address: str, at: datetime) -> None:
    """Have the accounts with this address, if there are any, sent a link to a new password."""
    MailRequest.objects.create(
        kind=MailKind.RESET, address=address, language=languages.current(), requested_at=at, due_at=at
    )


def ask_for_verification(user: User, at: datetime) -> MailRequest | None:
    """Have a person sent a link that proves their address. None: they were sent too many already."""
    if not limiter.reserve([limiter.RESET_MAIL.key("verification", user.pk)], at).allowed:
        return None
    return MailRequest.objects.create(
        kind=MailKind.VERIFICATION,
        address=user.email,
        user=user,
        language=languages.current(),
        requested_at=at,
        due_at=at,
    )


def send_due(at: datetime) -> int:
    """Send what is due, at least once; returns how many requests are done with. A failure waits for its next turn."""
    MailRequest.objects.filter(requested_at__lt=at - GIVEN_UP_AFTER).delete()
    due = MailRequest.objects.filter(due_at__lte=at).select_related("user").order_by("due_at")[:BATCH]
    return sum(_send(request, at) for request in due if _claim(request, at))


def people_with_address(address: str) -> list[User]:
    """Active people of enabled database connections with this address; two connections may hold the same one."""
    rows = _resettable().filter(email=normal_forms.name(address)).select_related("user")
    people = {row.user_id: row.user for row in rows}
    return [user for user in people.values() if user.has_usable_password() and user.email]


def may_reset(user: User) -> bool:
    """Whether a link may still give this person a new password: the connection may have been closed meanwhile."""
    return resettable(user) is not None


def new_password_url(user: User, is_own_address: bool) -> str:
    """Where somebody who showed that they read the person's mail chooses a new password; empty: they cannot do so here.

    The address of before does not suffice: it may be somebody else's by now.
    """
    if not (is_own_address and user.is_active and user.has_usable_password() and may_reset(user)):
        return ""
    user.refresh_from_db(fields=["last_login", "password", "email"])  # of what the key is made
    return _reset(user)[1]


def verification_url(user: User) -> str:
    """The link of such a mail, for whoever hands it on; an earlier one is dead."""
    return _verification(user)[1]


def resettable(user: User) -> Identity | None:
    """The account whose password a link would set."""
    return _resettable().filter(user=user).select_related("connection").order_by("pk").first()


def names_of(user: User) -> list[str]:
    """The connections where this person signs in with a password of ours."""
    return sorted({str(row.connection) for row in _resettable().filter(user=user).select_related("connection")})


def _resettable() -> QuerySet[Identity]:
    connections = registry.password_connections(configuration.current(), None)
    usable = [row for row in connections if registry.usable_for(row, registry.Purpose.PASSWORD_RESET)]
    return Identity.objects.filter(connection__in=usable, user__is_active=True)


def _claim(request: MailRequest, at: datetime) -> bool:
    """Ours until the pause is over: of two workers one sends."""
    again = at + PAUSE * 2**request.attempts
    mine = MailRequest.objects.filter(pk=request.pk, due_at=request.due_at)
    return bool(mine.update(due_at=again, attempts=request.attempts + 1))


def _send(request: MailRequest, at: datetime) -> int:
    people = _verifiable(request) if request.kind == MailKind.VERIFICATION else people_with_address(request.address)
    try:
        _send_to(people, request.kind, request.language)
    except mails.UNSENT as error:
        log.warning("mail.failed", kind=request.kind, attempts=request.attempts + 1, error=type(error).__name__)
        return 0
    MailRequest.objects.filter(pk=request.pk).delete()
    return 1


def _send_to(people: Iterable[User], kind: str, asked_in: str) -> None:
    for user in people:
        template, url = _verification(user) if kind == MailKind.VERIFICATION else _reset(user)
        context = {
            "url": url,
            "address": user.email,
            "connections": names_of(user),
            "tenant": configuration.current().tenant.friendly_name or "Curfew",
        }
        with mail_language.speaking_to(user, asked_in):
            mail = get_adapter().render_mail(f"account/email/{template}", user.email, context)
        mail.send()


def _reset(user: User) -> tuple[str, str]:
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    return "password_reset_key", get_adapter().get_reset_password_from_key_url(key)


def _verification(user: User) -> tuple[str, str]:
    """The link is of a row of its own: a newer link, or another address, kills it."""
    EmailAddress.objects.filter(user=user).delete()
    row = EmailAddress.objects.create(user=user, email=user.email, primary=True)
    path = reverse("account_confirm_email", args=[EmailConfirmationHMAC(row).key])
    return "email_confirmation", f"{settings.ISSUER_ORIGIN}{path}"


def _verifiable(request: MailRequest) -> list[User]:
    user = request.user
    wanted = user is not None and user.email == request.address and not user.email_verified and may_reset(user)
    return [user] if user is not None and wanted else []


@receiver(signals.email_changed, dispatch_uid="verify the new address")
def _changed(user: User, at: datetime, **_: Any) -> None:
    if user.email and not user.email_verified and may_reset(user):
        ask_for_verification(user, at)


@receiver(email_confirmed, dispatch_uid="the address is verified")
def _confirmed(email_address: EmailAddress, **_: Any) -> None:
    """Only if it is still the person's address."""
    User.objects.filter(pk=email_address.user_id, email=email_address.email).update(email_verified=True)
