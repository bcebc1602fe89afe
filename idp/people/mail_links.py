"""Links and codes of mails: asked for by a request, made by the worker as it sends, used once.

A request writes a row and learns nothing of accounts. The secret is made when the mail is, so that nothing that works is
kept in clear; a mail that had to be sent twice has two secrets, of which the later works.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac

from idp.http import languages
from idp.models import Connection, Invitation, MailLink, MailLinkKind, User
from idp.protocol.opaque import digest, new_secret

WORKS_FOR = {
    MailLinkKind.SIGN_UP: timedelta(hours=24),
    MailLinkKind.SIGN_IN: timedelta(minutes=10),
    MailLinkKind.ADDRESS: timedelta(hours=24),
}
DIGITS = 6
MOST_WRONG = 5  # codes for one mail
LONGEST_SECRET = 100
_SALT = "curfew.mail-code"


def ask(
    kind: MailLinkKind,
    address: str,
    at: datetime,
    *,
    connection: Connection | None = None,
    user: User | None = None,
    browser: str = "",
    next_url: str = "",
) -> MailLink:
    """`browser` is the value of the cookie of the browser that asks. What it asked for before of this kind works no more."""
    if browser:
        MailLink.objects.filter(kind=kind, browser_hash=digest(browser), used_at=None).update(used_at=at, due_at=None)
    if user is not None:
        MailLink.objects.filter(kind=kind, user=user, used_at=None).update(used_at=at, due_at=None)
    return MailLink.objects.create(
        kind=kind,
        address=address,
        connection=connection,
        user=user,
        browser_hash=digest(browser) if browser else "",
        next_url=next_url,
        language=languages.current(),
        asked_at=at,
        expires_at=at + WORKS_FOR[kind],
        due_at=at,
    )


def ask_for_invitation(invitation: Invitation, at: datetime) -> MailLink:
    """The links of mails before work no more."""
    MailLink.objects.filter(invitation=invitation, used_at=None).update(used_at=at, due_at=None)
    return MailLink.objects.create(
        kind=MailLinkKind.INVITATION,
        address=invitation.address,
        connection=invitation.connection,
        invitation=invitation,
        asked_at=at,
        expires_at=invitation.expires_at,
        due_at=at,
    )


def make_secret(link: MailLink) -> str:
    """The secret of the mail that is about to be sent."""
    secret = new_secret()
    link.secret_hash = digest(secret)
    MailLink.objects.filter(pk=link.pk).update(secret_hash=link.secret_hash)
    return secret


def make_code(link: MailLink) -> str:
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    link.code_hash = _code_hash(link, code)
    MailLink.objects.filter(pk=link.pk).update(code_hash=link.code_hash)
    return code


def find(kind: MailLinkKind, secret: str) -> MailLink | None:
    """Whose secret this is, in whichever state; None: none of ours, or a later mail took its place."""
    if not secret or len(secret) > LONGEST_SECRET:
        return None
    rows = MailLink.objects.select_related("connection", "user", "invitation__connection")
    return rows.filter(kind=kind, secret_hash=digest(secret)).first()


def waiting_in(kind: MailLinkKind, browser: str, at: datetime) -> MailLink | None:
    """What this browser asked for and did not use yet."""
    if not browser or len(browser) > LONGEST_SECRET:
        return None
    rows = MailLink.objects.filter(kind=kind, browser_hash=digest(browser), used_at=None, expires_at__gt=at)
    return rows.select_related("connection", "user").order_by("-pk").first()


def is_of(link: MailLink, browser: str) -> bool:
    return bool(link.browser_hash) and constant_time_compare(link.browser_hash, digest(browser))


def is_usable(link: MailLink, at: datetime) -> bool:
    return link.used_at is None and link.expires_at > at


def use(link: MailLink, at: datetime) -> bool:
    """Once, inside the transaction of what it is used for: of two at the same time one does it."""
    usable = MailLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=at, secret_hash=link.secret_hash)
    return bool(usable.update(used_at=at, due_at=None))


def try_code(link: MailLink, code: str, at: datetime) -> bool:
    """Counted before it is looked at; after five wrong ones the mail's code is dead. A right one is used up."""
    counted = MailLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=at, wrong_codes__lt=MOST_WRONG)
    if not counted.update(wrong_codes=F("wrong_codes") + 1):
        return False
    link.refresh_from_db(fields=["code_hash", "secret_hash"])
    if not link.code_hash or not constant_time_compare(link.code_hash, _code_hash(link, code)):
        return False
    return bool(MailLink.objects.filter(pk=link.pk, used_at=None).update(used_at=at))


def _code_hash(link: MailLink, code: str) -> str:
    """Keyed: a million codes are hashed in a second by whoever reads the table."""
    return salted_hmac(_SALT, f"{link.pk}:{code}", algorithm="sha256").hexdigest()
