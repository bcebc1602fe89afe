"""How often somebody may try a password or a code, and who still gets in while a stranger uses up an account's attempts.

The order: a browser that this account signed in from (a signed cookie) has its own budget; everybody else shares the
budgets of account, address and tenant; when these are used up, a network that the account signed in from lately has its
own budget too. A stranger can therefore lock out strangers only. A browser in which a link of a mail was used to set a new
password is one that the account is known to, as far as passwords go.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.conf import settings
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import ngettext, override

from idp.http.requests import client_ip, facts
from idp.limits import limiter
from idp.limits.limiter import Key, Limit, Reservation
from idp.models import Connection, Identity
from idp.protocol.errors import TooManyRequests
from idp.protocol.text import normal_forms
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession
from sessions_app.session.binding import browser_of

log = structlog.get_logger(__name__)

KNOWN_FOR = timedelta(days=30)  # how long a network stays known
COOKIE_AGE = 400 * 24 * 3600  # seconds; browsers keep no cookie longer
_signer = signing.Signer(salt="curfew.known-device")


class Factor(StrEnum):
    """The ways to prove a second factor; each has budgets of its own."""

    CODE = "totp"
    RECOVERY = "recovery_codes"
    SECURITY_KEY = "webauthn"
    PASSKEY = "passkey"  # both factors in one


class TooManyAttempts(TooManyRequests):
    """Answered with 429 and Retry-After; says nothing about the account."""

    def __init__(self, retry_after: int) -> None:
        self._minutes = max(1, -(-retry_after // 60))
        with override("en"):
            super().__init__(self._in_words(), retry_after=retry_after)

    def sentence(self, translate: Callable[[str], str]) -> str:
        return self._in_words()

    def _in_words(self) -> str:
        return ngettext(
            "There were too many attempts to sign in. Please wait %(minutes)d minute and try again.",
            "There were too many attempts to sign in. Please wait %(minutes)d minutes and try again.",
            self._minutes,
        ) % {"minutes": self._minutes}


@dataclass(frozen=True, slots=True)
class _Budgets:
    """What one attempt may be counted on, in this order. `of_network` finds out whether the network is known: a statement."""

    of_device: Key | None
    shared: Sequence[Key]
    of_network: Callable[[], Key | None]


def reserve(request: HttpRequest, connection: Connection, login: str, at: datetime) -> Reservation:
    """Take the slots of one attempt, before any hashing; raises TooManyAttempts.

    A connection without `brute_force_protection` has no budget per account; networks and the tenant keep theirs.
    """
    name = normal_forms.name(login.strip())
    account, network = f"{connection.pk}\0{name}", limiter.prefix(client_ip(request))
    device = _known_device(request, account) or _known_device(request, _by_mail(account))
    of_address, of_tenant = limiter.ADDRESS.key(network), limiter.TENANT.key("sign-in")
    keys = [of_address, of_tenant]
    if connection.options.get("brute_force_protection") is not False:
        keys.append(limiter.ACCOUNT.key(account))

    def of_network() -> Key | None:
        known = _is_known_network(Identity.objects.filter(connection=connection, login=name), network, at)
        return limiter.KNOWN.key("network", account, network) if known else None

    return _take(
        request,
        connection,
        _Budgets(limiter.KNOWN.key("device", device) if device else None, keys, of_network),
        at,
        EventType.SIGN_IN_THROTTLED,
        lambda shared: _under_pressure(shared, of_address, of_tenant),
    )


def reserve_factor(request: HttpRequest, identity: Identity, factor: Factor, at: datetime) -> Reservation:
    """The same for a second factor of somebody who has proved the first; raises TooManyAttempts.

    A stranger who knows the password shares the account's budget, of which one network gets three quarters. The day's budget
    ends with the password: who sets another one has shut that stranger out.
    """
    user, network = identity.user, limiter.prefix(client_ip(request))
    device = _known_device(request, _account_of(identity))

    def of_network() -> Key | None:
        known = _is_known_network(Identity.objects.filter(pk=identity.pk), network, at)
        return limiter.KNOWN.key(f"{factor} of network", user.pk, network) if known else None

    of_device = limiter.KNOWN.key(f"{factor} of device", device) if device else None
    shared = [limit.key(user.pk, *parts) for limit, parts in _shared_budgets(factor, network, user.password)]
    budgets = _Budgets(of_device, shared, of_network)
    event = EventType.SIGN_IN_THROTTLED if factor is Factor.PASSKEY else EventType.SECOND_FACTOR_THROTTLED
    return _take(request, identity.connection, budgets, at, event)


def reserve_of_nobody(request: HttpRequest, factor: Factor, at: datetime) -> Reservation:
    """The same for what names no account of ours: the network's alone. Raises TooManyAttempts."""
    keys = [limiter.SECURITY_KEY.key(factor, "nobody", limiter.prefix(client_ip(request)))]
    return _take(request, None, _Budgets(None, keys, lambda: None), at, EventType.SIGN_IN_THROTTLED)


def reserve_mail_code(
    request: HttpRequest, connection: Connection, address: str, identity: Identity | None, at: datetime
) -> Reservation:
    """The same for a code of a mail by which somebody signs in; `identity`: whose address that is, if it is anybody's.

    Strangers may use up the day of the address, one network three quarters of it: not that of a browser or a network that
    the person came from before.
    """
    name, network = normal_forms.name(address), limiter.prefix(client_ip(request))
    device = _known_device(request, _account_of(identity)) if identity else ""

    def of_network() -> Key | None:
        if identity is None or not _is_known_network(Identity.objects.filter(pk=identity.pk), network, at):
            return None
        return limiter.KNOWN.key("mail code of network", identity.pk, network)

    of_device = limiter.KNOWN.key("mail code of device", device) if device else None
    whole = limiter.CODE_DAY
    keys = [_of_one_network(whole).key("mail", name, network), whole.key("mail", name)]
    return _take(request, connection, _Budgets(of_device, keys, of_network), at, EventType.SIGN_IN_THROTTLED)


def reserve_mail(request: HttpRequest, kind: str, address: str, connection: Connection | None, at: datetime) -> bool:
    """Whether one more mail may be asked for: a few of a kind an hour to an address, and so many from a network.

    A browser that signed in with the address at this connection has as many of its own, so that strangers stop nobody's. No
    account is looked up.
    """
    name, network = normal_forms.name(address), limiter.prefix(client_ip(request))
    device = _known_device(request, f"{connection.pk}\0{name}") if connection else ""
    if device and limiter.reserve([limiter.RESET_MAIL.key(kind, "device", device)], at).allowed:
        return True
    of_network = limiter.ADDRESS.key("mail", network)
    taken = limiter.reserve([limiter.RESET_MAIL.key(kind, name), of_network], at)
    if of_network in taken.exhausted and (rest := taken.without_exhausted()):
        limiter.undo(rest)  # addresses that somebody makes up leave no rows
    return taken.allowed


def _of_one_network(whole: Limit) -> Limit:
    return Limit(f"{whole.kind}-net", max(1, whole.count * 3 // 4), whole.window)


def _shared_budgets(factor: Factor, network: str, password: str) -> list[tuple[Limit, tuple[str, ...]]]:
    if factor in (Factor.SECURITY_KEY, Factor.PASSKEY):
        return [
            (limiter.SECURITY_KEY, (factor, network))
        ]  # nothing for all networks: nobody may lock out the owner's key
    whole, day = (limiter.CODE, limiter.CODE_DAY) if factor is Factor.CODE else (limiter.RECOVERY, limiter.RECOVERY_DAY)
    return [(_of_one_network(whole), (network,)), (whole, ()), (day, (password,))]


def _take(
    request: HttpRequest,
    connection: Connection | None,
    budgets: _Budgets,
    at: datetime,
    event: EventType,
    tightened: Callable[[Reservation], Reservation] = lambda shared: shared,
) -> Reservation:
    if budgets.of_device and (own := limiter.reserve([budgets.of_device], at)).allowed:
        return own
    shared = tightened(limiter.reserve(budgets.shared, at))
    if shared.news:
        _alert(request, connection, shared, at, event)
    if shared.allowed:
        return shared
    if rest := shared.without_exhausted():
        limiter.undo(rest)  # nothing was tried: what is not full must not fill by it
    if (key := budgets.of_network()) and (own := limiter.reserve([key], at)).allowed:
        return own
    raise TooManyAttempts(shared.retry_after)


def _under_pressure(shared: Reservation, of_address: Key, of_tenant: Key) -> Reservation:
    """Under an attack on the whole tenant a network that is not known may be wrong a few times only."""
    above = shared.count_of(of_tenant) - max(1, limiter.PRESSURE // of_tenant.limit.shards)
    if above <= 0:
        return shared
    full = shared.count_of(of_address) > limiter.UNDER_PRESSURE and of_address not in shared.exhausted
    begins = limiter.FIRST_PRESSURE.key()
    is_new = above == 1 and limiter.reserve([begins], shared.at).allowed
    return replace(
        shared,
        exhausted=(*shared.exhausted, of_address) if full else shared.exhausted,
        news=(*shared.news, begins) if is_new else shared.news,
    )


def give_back(reservation: Reservation) -> None:
    """What was tried was right: it does not count."""
    limiter.give_back(reservation)


def knows_device(request: HttpRequest, identity: Identity) -> bool:
    """Whether the account signed in from this browser before: by its cookie, without a statement."""
    return bool(_known_device(request, _account_of(identity)))


def remember_device(request: HttpRequest, identity: Identity) -> None:
    """The account signed in from this browser: have the middleware write the cookie, unless it holds one already."""
    _remember(request, _account_of(identity))


def remember_mailbox(request: HttpRequest, identity: Identity) -> None:
    """In this browser a link of a mail was used to set the account's password: it may try that, whoever fills the limits."""
    account = _account_of(identity)
    if not _known_device(request, account):
        _remember(request, _by_mail(account))


def _remember(request: HttpRequest, account: str) -> None:
    if not _known_device(request, account):
        value = _signer.sign(f"{secrets.token_urlsafe(18)}.{_fingerprint(account)}")
        browser_of(request).new_device_cookie = value


def _account_of(identity: Identity) -> str:
    """What `reserve` makes of the name that is typed for it; of accounts elsewhere, where nothing is typed, the id there."""
    name = normal_forms.name(identity.login) if identity.login else f"\0{identity.sub}"
    return f"{identity.connection_id}\0{name}"


def _by_mail(account: str) -> str:
    return f"by mail\0{account}"


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


def _is_known_network(accounts: QuerySet[Identity], network: str, at: datetime) -> bool:
    addresses = SSOSession.objects.filter(
        identity__in=accounts, created_at__gt=at - KNOWN_FOR, initial_ip__isnull=False
    ).values_list("initial_ip", flat=True)
    return network in {limiter.prefix(address) for address in addresses.order_by("-created_at")[:50]}


def _alert(
    request: HttpRequest, connection: Connection | None, full: Reservation, at: datetime, event: EventType
) -> None:
    limits, name = sorted(key.limit.kind for key in full.news), connection.name if connection else ""
    log.warning(event.replace("_throttled", ".throttled"), limits=limits, connection=name, ip=client_ip(request))
    trail.record(event, connection=connection, facts=facts(request), at=at, data={"limits": limits})


def locked_out(identities: QuerySet[Identity], at: datetime) -> list[Identity]:
    """Of these accounts those at which passwords cannot be tried at the moment from networks that nobody knows."""
    found = {
        limiter.ACCOUNT.key(_account_of(identity)): identity for identity in identities.select_related("connection")
    }
    full = limiter.exhausted(found, at)
    return [identity for key, identity in found.items() if key in full]


def let_in_again(identities: QuerySet[Identity]) -> None:
    """What was counted of passwords tried at these accounts is forgotten."""
    limiter.forget([limiter.ACCOUNT.key(_account_of(identity)) for identity in identities])
