"""Mails to people about their own accounts: written down by who notices something, sent by the worker only.

A row is sent at least once and told by its Message-ID, so that a mailbox knows the second copy of a worker that died. Of
one kind a person gets a few mails an hour; the next one says how many were left out. Each kind has limits of its own: who
floods somebody with one hides none of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import dateformat
from django.utils.translation import gettext, gettext_noop

from idp.branding import mails
from idp.http import languages
from idp.http.requests import RequestFacts
from idp.models import Identity, SecurityMails, Strategy, User
from idp.tenants import configuration
from sessions_app.account import mail_language, not_me
from sessions_app.models import SecurityMail, SecurityMailKind, SecurityMailOutcome
from sessions_app.session import devices

log = structlog.get_logger(__name__)

MOST_AN_HOUR = 4  # of one kind, to one address
HOUR = timedelta(hours=1)
PAUSE, LONGEST_PAUSE = (
    timedelta(seconds=30),
    timedelta(hours=1),
)  # doubled after each failure; the lease of a worker too
GIVEN_UP_AFTER = timedelta(days=3)
BATCH = 50
# It tells of what such a link did, also whoever had the address meanwhile: a link of theirs would undo it.
WITHOUT_LINK = frozenset({SecurityMailKind.ADDRESS_RESTORED.value})
LONGEST_USER_AGENT = 500  # characters; its words are of the language in which the mail is sent
SYSTEM = gettext_noop("the system")
_BY = {
    "admin": gettext_noop("an administrator"),
    "scim": gettext_noop("your organisation"),
    "upstream": gettext_noop("your organisation"),
    "app": gettext_noop("an application"),
}


def note(
    kind: SecurityMailKind,
    user: User,
    *,
    once: str,
    happened_at: datetime,
    at: datetime,
    data: Mapping[str, Any],
    address: str = "",
) -> None:
    """Have the worker tell this person, unless it was noted before. Stands if the transaction that is open does."""
    row = SecurityMail(
        kind=kind.value,
        user=user,
        address=address,
        once=f"{kind}:{once}",
        happened_at=happened_at,
        data=dict(data),
        due_at=at,
    )
    SecurityMail.objects.bulk_create([row], ignore_conflicts=True)


def device(facts: RequestFacts | None) -> dict[str, str]:
    """What a mail says of the browser that did it."""
    if facts is None:
        return {}
    return {"user_agent": facts.user_agent[:LONGEST_USER_AGENT], "ip": facts.ip or ""}


def are_on() -> bool:
    return configuration.current().tenant.security_mails != SecurityMails.OFF


def readers() -> QuerySet[User]:
    """Whom the tenant wants to be told, and who has proved that an address is theirs."""
    people = User.objects.filter(email_verified=True).exclude(email="")
    if configuration.current().tenant.security_mails == SecurityMails.ALL:
        return people
    of_a_database = Identity.objects.filter(user=OuterRef("pk"), connection__strategy=Strategy.DATABASE)
    return people.filter(Exists(of_a_database)) if are_on() else people.none()


def send_due(at: datetime) -> int:
    """Send what is due; returns how many rows are done with. A failure waits for its next turn."""
    waiting = SecurityMail.objects.filter(done_at=None)
    if lost := waiting.filter(happened_at__lt=at - GIVEN_UP_AFTER).update(
        outcome=SecurityMailOutcome.GIVEN_UP, done_at=at
    ):
        log.error("security_mails.given_up", mails=lost)
    due = waiting.filter(due_at__lte=at).select_related("user").order_by("due_at", "pk")[:BATCH]
    return sum(_send(row, at) for row in due if _claim(row, at))


def _claim(row: SecurityMail, at: datetime) -> bool:
    """Ours until the pause is over: of two workers one sends."""
    again = at + min(LONGEST_PAUSE, PAUSE * 2 ** min(row.attempts, 10))
    mine = SecurityMail.objects.filter(pk=row.pk, due_at=row.due_at, done_at=None)
    return bool(mine.update(due_at=again, attempts=row.attempts + 1))


def _send(row: SecurityMail, at: datetime) -> int:
    address = _address(row)
    if not address:
        return _done(row, SecurityMailOutcome.NOBODY, at)
    if (free := _full_until(row, at)) is not None:
        SecurityMail.objects.filter(pk=row.pk).update(due_at=free, held=True, attempts=0)
        return 0
    others = _alike(row).filter(done_at=None, held=True).exclude(pk=row.pk) if row.held else SecurityMail.objects.none()
    left_out = list(others.values_list("pk", flat=True))
    try:
        _post(row, address, len(left_out), at)
    except mails.UNSENT as error:
        log.warning("mail.failed", kind=row.kind, attempts=row.attempts + 1, error=type(error).__name__)
        return 0
    others.filter(pk__in=left_out).update(outcome=SecurityMailOutcome.LEFT_OUT, done_at=at)
    return _done(row, SecurityMailOutcome.SENT, at)


def _address(row: SecurityMail) -> str:
    """Empty: nobody. An address of before was proved to be theirs when the row was written."""
    reader = readers().filter(pk=row.user_id).first()
    if row.address:
        return row.address if reader or _was_reader(row.user) else ""
    return reader.email if reader else ""


def _was_reader(user: User) -> bool:
    """Their new address may not be verified yet, and the old one has to be told all the same."""
    wanted = configuration.current().tenant.security_mails
    if wanted == SecurityMails.DATABASE:
        return Identity.objects.filter(user=user, connection__strategy=Strategy.DATABASE).exists()
    return wanted == SecurityMails.ALL


def _alike(row: SecurityMail) -> QuerySet[SecurityMail]:
    return SecurityMail.objects.filter(user=row.user_id, kind=row.kind, address=row.address)


def _full_until(row: SecurityMail, at: datetime) -> datetime | None:
    lately = _alike(row).filter(outcome=SecurityMailOutcome.SENT, done_at__gt=at - HOUR)
    sent = list(lately.order_by("-done_at").values_list("done_at", flat=True)[:MOST_AN_HOUR])
    return sent[-1] + HOUR if len(sent) == MOST_AN_HOUR and sent[-1] else None


def _done(row: SecurityMail, outcome: SecurityMailOutcome, at: datetime) -> int:
    return SecurityMail.objects.filter(pk=row.pk).update(outcome=outcome, done_at=at)


def _post(row: SecurityMail, address: str, left_out: int, at: datetime) -> None:
    with mail_language.speaking_to(row.user):
        mail = _written(row, address, left_out, at)
    mail.send()


def _written(row: SecurityMail, address: str, left_out: int, at: datetime) -> EmailMessage:
    context = {
        **row.data,
        **_in_words(row.data),
        "when": dateformat.format(row.happened_at.astimezone(UTC), gettext("j F Y, H:i T")),
        "by": _by(str(row.data.get("actor", ""))),
        "left_out": left_out,
        "tenant": configuration.current().tenant.friendly_name or "Curfew",
        "url": not_me.link(row, address, at) if row.user.is_active and row.kind not in WITHOUT_LINK else "",
        "reset_url": f"{settings.ISSUER_ORIGIN}{reverse('account_reset_password')}",
        "is_own": address == row.user.email,
    }
    prefix = f"account/email/security_{row.kind}"
    host = urlsplit(settings.ISSUER_ORIGIN).hostname or "localhost"
    headers = {"Message-ID": f"<security-{row.pk}-{row.happened_at.timestamp():.0f}@{host}>"}
    mail: EmailMessage = get_adapter().render_mail(prefix, address, context, headers=headers)
    return mail


def _in_words(data: Mapping[str, Any]) -> dict[str, object]:
    """What was written down as it came. An earlier release wrote words, which stay as they are."""
    found: dict[str, object] = {}
    if "user_agent" in data:
        found["device"] = devices.in_words(data["user_agent"])
    if "browsers" in data:
        found["devices"] = list(dict.fromkeys(_browser(*one) for one in data["browsers"]))
    if data.get("factor"):
        found["factor"] = languages.in_words(data["factor"])
    return found


def _browser(user_agent: str, ip: str) -> str:
    name = devices.in_words(user_agent)
    return f"{name}, {ip}" if ip else name


def _by(actor: str) -> str:
    """Who did it, in words; empty: the person, as far as anybody knows."""
    return "" if actor == "user" else gettext(_BY.get(actor.partition(":")[0], SYSTEM))
