"""How often somebody may try a password, and who still gets in while a stranger uses up an account's attempts.

The order: a browser that this account signed in from (a signed cookie) has its own budget; everybody else shares the
budgets of account, address and tenant; when these are used up, a network that the account signed in from lately has its
own budget too. A stranger can therefore lock out strangers only.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from idp import limiter
from idp.models import Connection
from idp.protocol.errors import TooManyRequests
from idp.requests import client_ip, facts
from sessions_app import lifecycle
from sessions_app.models import SSOSession

log = structlog.get_logger(__name__)

KNOWN_FOR = timedelta(days=30)  # how long a network stays known
COOKIE_AGE = 400 * 24 * 3600  # seconds; browsers keep no cookie longer
_signer = signing.Signer(salt="curfew.known-device")


class TooManyAttempts(TooManyRequests):
    """Answered with 429 and Retry-After; says nothing about the account."""

    def __init__(self, retry_after: int) -> None:
        minutes = max(1, -(-retry_after // 60))
        super().__init__(
            "There were too many attempts to sign in. Please wait "
            f"{minutes} minute{'s' if minutes > 1 else ''} and try again.",
            retry_after=retry_after,
        )


def reserve(request: HttpRequest, connection: Connection, login: str, at: datetime) -> limiter.Reservation:
    """Take the slots of one attempt, before any hashing; raises TooManyAttempts.

    A connection without `brute_force_protection` has no budget per account; networks and the tenant keep theirs.
    """
    account = f"{connection.pk}\0{login.strip().lower()}"
    if device := _known_device(request, account):
        own = limiter.reserve([limiter.KNOWN.key("device", device)], at)
        if own.allowed:
            return own
    network = limiter.prefix(client_ip(request))
    keys = [limiter.ADDRESS.key(network), limiter.TENANT.key("sign-in")]
    if connection.options.get("brute_force_protection") is not False:
        keys.append(limiter.ACCOUNT.key(account))
    shared = limiter.reserve(keys, at)
    if shared.allowed:
        return shared
    if rest := shared.without_exhausted():
        limiter.undo(rest)  # what is not full must not fill by it
    if shared.news:
        _alert(request, connection, shared, at)
    if _is_known_network(connection, login, network, at):
        own = limiter.reserve([limiter.KNOWN.key("network", account, network)], at)
        if own.allowed:
            return own
    raise TooManyAttempts(shared.retry_after)


def remember_device(request: HttpRequest, connection: Connection, login: str) -> None:
    """The account signed in from this browser: have the middleware write the cookie, unless it holds one already."""
    account = f"{connection.pk}\0{login}"
    if not _known_device(request, account):
        value = _signer.sign(f"{secrets.token_urlsafe(18)}.{_fingerprint(account)}")
        request.device_cookie = value  # type: ignore[attr-defined]


def set_device_cookie(response: HttpResponse, value: str) -> None:
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        value,
        max_age=COOKIE_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _known_device(request: HttpRequest, account: str) -> str:
    """The random part of this browser's cookie if it was made for this account, else ""."""
    try:
        device, _, fingerprint = _signer.unsign(request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")).partition(".")
    except signing.BadSignature:
        return ""
    return device if secrets.compare_digest(fingerprint, _fingerprint(account)) else ""


def _fingerprint(account: str) -> str:
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _is_known_network(connection: Connection, login: str, network: str, at: datetime) -> bool:
    addresses = SSOSession.objects.filter(
        identity__connection=connection,
        identity__login=login.strip().lower(),
        created_at__gt=at - KNOWN_FOR,
        initial_ip__isnull=False,
    ).values_list("initial_ip", flat=True)
    return network in {limiter.prefix(address) for address in addresses.order_by("-created_at")[:50]}


def _alert(request: HttpRequest, connection: Connection, full: limiter.Reservation, at: datetime) -> None:
    limits = sorted(key.limit.kind for key in full.news)
    log.warning("sign_in.throttled", limits=limits, connection=connection.name, ip=client_ip(request))
    lifecycle.record("sign_in_throttled", connection=connection, facts=facts(request), at=at, data={"limits": limits})
