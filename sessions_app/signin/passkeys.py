"""Sign in with a passkey: a key that names its person, and that asked them for a finger, a face or a PIN. Two factors in one.

A challenge is no row: it says when it was made, for which browser (whose CSRF secret it is bound to, and every sign-in
replaces that one), and is ours by its MAC. Used ones are marked in the database, in the transaction that counts the use.
"""

from __future__ import annotations

import functools
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from allauth.account.utils import url_str_to_user_pk
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.crypto import constant_time_compare, salted_hmac
from fido2.utils import websafe_encode
from fido2.webauthn import AuthenticationResponse, AuthenticatorData, UserVerificationRequirement

from idp.crypto import spent
from idp.http.requests import facts
from idp.limits import limiter
from idp.models import Connection, Identity, User
from idp.people import passkeys as rules
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.signin import attempts, security_keys, sign_in
from sessions_app.signin.attempts import Factor
from sessions_app.signin.security_keys import NotProved
from sessions_app.signin.under_way import sign_in_of
from sessions_app.signin.waiting import Waiting

log = structlog.get_logger(__name__)

KIND = "passkey"  # of spent challenges
# In the row's data: it was made to sign in with, and its person was verified then. `while_key_is_kept` reads it too.
MARK = "passkey"
LIFETIME = timedelta(minutes=10)
_NONCE, _TIME = 16, 8  # bytes


class WrongPasskey(Exception):
    """It proves nobody who may sign in here. What exactly was wrong is in the audit trail and the log only."""


class PasskeyOfBlocked(WrongPasskey):
    """It is right, and its person blocked: said to nobody who does not hold it."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Whose passkey it says it is: nothing is proved yet."""

    identity: Identity
    key: Authenticator


# --- challenges ----------------------------------------------------------------------------------------------------------
def new_challenge(request: HttpRequest, at: datetime) -> str:
    """In URL-safe Base64 without padding, as WebAuthn's JSON has it."""
    get_token(request)  # the browser has a CSRF secret from now on, if it had none
    nonce = secrets.token_bytes(_NONCE)
    moment = int(at.timestamp()).to_bytes(_TIME, "big")
    return str(websafe_encode(nonce + moment + _mac(request, nonce + moment)))


def _mac(request: HttpRequest, said: bytes) -> bytes:
    browser = request.META.get("CSRF_COOKIE", "")
    return salted_hmac("curfew.passkey.challenge", f"{browser}\0{said.hex()}", algorithm="sha256").digest()


def _made_at(request: HttpRequest, challenge: bytes, at: datetime) -> datetime:
    """When this challenge was made, for this browser. Raises NotProved if it was not, or too long ago."""
    said, mac = challenge[: _NONCE + _TIME], challenge[_NONCE + _TIME :]
    if not request.META.get("CSRF_COOKIE") or not constant_time_compare(mac, _mac(request, said)):
        raise NotProved("the challenge is not of this browser")
    made_at = datetime.fromtimestamp(int.from_bytes(said[_NONCE:], "big"), UTC)
    if not made_at <= at < made_at + LIFETIME:
        raise NotProved("the challenge is too old")
    return made_at


def _spend(challenge: bytes, made_at: datetime) -> None:
    nonce = urlsafe_b64encode(challenge[:_NONCE]).decode()
    if not spent.spend(KIND, "", nonce, expires_at=made_at + LIFETIME):
        raise NotProved("the challenge was answered before")


# --- sign-in -------------------------------------------------------------------------------------------------------------
def by_passkey(
    request: HttpRequest,
    given: Any,
    connections: Sequence[Connection],
    at: datetime,
    *,
    redirect_url: str,
    waiting: Waiting | None = None,
) -> HttpResponse:
    """Sign in with what the browser answered; `connections` are those that the login page offers here.

    Raises WrongPasskey (PasskeyOfBlocked) and TooManyAttempts, all audited. Else as `sign_in.by_password`.
    """
    response, claim, reservation = _reserved(request, given, connections, at)
    try:
        data = _prove(request, response, claim, at)
    except NotProved as reason:
        _record_failure(request, claim, f"passkey: {reason}", at)
        raise WrongPasskey from None
    attempts.give_back(reservation)
    if not claim.identity.user.is_active:
        sign_in.record_blocked(request, claim.identity, at)
        raise PasskeyOfBlocked
    sign_in_of(request).waiting = waiting
    said: dict[str, Any] = {"type": Authenticator.Type.WEBAUTHN.value, "passwordless": True, "synced": _is_synced(data)}
    said["passkey"] = claim.key.pk
    return sign_in.complete(request, claim.identity, method="mfa", redirect_url=redirect_url, said=said)


def _reserved(
    request: HttpRequest, given: Any, connections: Sequence[Connection], at: datetime
) -> tuple[AuthenticationResponse, _Claim, limiter.Reservation]:
    """Who it says it is, and a slot for looking further: of that account, or of this network where it is nobody's."""
    try:
        response = security_keys.asserted(given)
        claim = _claim(response, connections)
    except NotProved as reason:
        attempts.reserve_of_nobody(request, Factor.PASSKEY, at)
        _record_failure(request, None, f"passkey: {reason}", at)
        raise WrongPasskey from None
    return response, claim, attempts.reserve_factor(request, claim.identity, Factor.PASSKEY, at)


def _claim(response: AuthenticationResponse, connections: Sequence[Connection]) -> _Claim:
    """The account that the user handle names, if people of it may sign in with a passkey here."""
    handle = response.response.user_handle or b""
    try:
        user_pk = url_str_to_user_pk(handle.decode("ascii"))
    except (ValueError, UnicodeDecodeError, OverflowError):
        raise NotProved("the user handle is none of ours") from None
    allowed = [row for row in connections if rules.are_enabled(row)]
    if not 0 < user_pk < 2**63:
        raise NotProved("the user handle is none of ours")
    accounts = Identity.objects.filter(user=user_pk, connection__in=allowed).select_related("user", "connection")
    identity = accounts.order_by("pk").first()
    if identity is None:
        raise NotProved("its person has no account here that signs in with passkeys")
    key = security_keys.of_credential(of_person(identity.user_id), response.raw_id)
    if key is None:
        raise NotProved("the person that the user handle names has no such passkey")
    return _Claim(identity, key)


def _prove(request: HttpRequest, response: AuthenticationResponse, claim: _Claim, at: datetime) -> AuthenticatorData:
    """Section 7.2. What the answer says of its authenticator, once all of it was right and nothing was used before."""
    challenge = response.response.client_data.challenge
    made_at = _made_at(request, challenge, at)
    # The package reads the challenge of a state, in its own Base64; user verification is required, whatever the key prefers.
    state = {"challenge": websafe_encode(challenge), "user_verification": UserVerificationRequirement.REQUIRED}
    verify = functools.partial(
        security_keys.server().authenticate_complete, state, [security_keys.credential_of(claim.key)], response
    )
    security_keys.understood(verify)
    data: AuthenticatorData = response.response.authenticator_data
    with transaction.atomic():
        _spend(challenge, made_at)
        row = security_keys.count_use(claim.key, data.counter, at)
        if row.data.get(MARK) is not True:
            raise NotProved("it is no passkey any more")
    return data


def of_person(user_pk: int | None) -> list[Authenticator]:
    """Their passkeys: keys that were made to sign in with. A key that was made as a second factor alone is none."""
    keys = Authenticator.objects.filter(user=user_pk, type=Authenticator.Type.WEBAUTHN).order_by("pk")
    return [key for key in keys if key.data.get(MARK) is True]


def hold(user: User) -> None:
    """Their keys, until the transaction ends: before the person's own row, as whoever removes a key and ends sessions by it."""
    list(Authenticator.objects.select_for_update().filter(user=user).order_by("pk").values_list("pk"))


def trust_none_alone(user: User) -> int:
    """Somebody else may have made one of them: from now on they are second factors, and each comes after a password.

    None is taken away: whoever has only the mailbox must not get rid of a second factor.
    """
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user=user, type=Authenticator.Type.WEBAUTHN)
        trusted = [row for row in rows.order_by("pk") if row.data.get(MARK) is True]
        for row in trusted:
            row.data[MARK] = False
            row.save(update_fields=["data"])
    return len(trusted)


def _is_synced(data: AuthenticatorData) -> bool:
    """Whether it may be on several devices: then no hardware holds it alone (`swk` instead of `hwk`, RFC 8176)."""
    return bool(data.flags & AuthenticatorData.FLAG.BE)


def _record_failure(request: HttpRequest, claim: _Claim | None, reason: str, at: datetime) -> None:
    log.info("sign_in.passkey_refused", reason=reason)
    trail.record(
        EventType.SIGN_IN_FAILED,
        user=claim.identity.user if claim else None,
        connection=claim.identity.connection if claim else None,
        facts=facts(request),
        at=at,
        data={"reason": reason},
    )
