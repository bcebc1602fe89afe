"""Sign-in: a verified Identity goes through allauth's login flow (MFA included) and comes out at the adapter's `login()`.

allauth's internal flow of a sign-in is touched here; its `logout` in views/login.py, the reading of typed codes in
factor_forms.py. `tests/protocol/signin/test_allauth_contract.py` pins them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from allauth.account.internal import stagekit
from allauth.account.internal.flows.login import get_authentication_records, perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.signals import authentication_step_completed
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.registry import PASSWORD_PROTOCOLS, Purpose, usable_for
from idp.http.requests import facts
from idp.limits import limiter
from idp.models import Connection, Identity, Strategy, User
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.text import normal_forms
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession
from sessions_app.session import binding, lifecycle
from sessions_app.signin import attempts, failures
from sessions_app.signin.failures import FailureKind
from sessions_app.signin.under_way import Proof, sign_in_of
from sessions_app.signin.waiting import Waiting

log = structlog.get_logger(__name__)

PASSWORD = "password"
FEDERATED = "federated"
MAIL = (
    "email"  # whoever reads the mailbox; NIST SP 800-63B-4 section 3.1.3.1: no second factor, whatever it is added to
)

# RFC 8176 names; Auth0 shows a second factor as "mfa", so both are given.
_AMR: Mapping[tuple[str, str], tuple[str, ...]] = {
    (PASSWORD, ""): ("pwd",),
    (FEDERATED, ""): ("federated",),
    (MAIL, ""): ("email",),
    ("mfa", "totp"): ("mfa", "otp"),
    ("mfa", "recovery_codes"): ("mfa", "otp"),
    ("mfa", "webauthn"): ("mfa", "hwk"),
}


class WrongPassword(Exception):
    """Unknown login or wrong password: nobody outside may tell them apart."""


class AccountBlocked(WrongPassword):
    """The password is right, and its person blocked: said to nobody who does not know the password."""


@sensitive_variables("password")
def verify_password(request: HttpRequest, connection: Connection, login: str, password: str, at: datetime) -> Identity:
    """The active identity whose password this is. Raises WrongPassword (Blocked), TooManyAttempts or UpstreamRefused, all audited.

    UpstreamFault and TemporarilyUnavailable go on to the caller: nothing was tried, so the attempt does not count.
    """
    identity, reservation = _verify(request, connection, login, password, at)
    limiter.give_back(reservation)
    return identity


@sensitive_variables("password")
def by_password(
    request: HttpRequest,
    connection: Connection,
    login: str,
    password: str,
    at: datetime,
    *,
    redirect_url: str,
    waiting: Waiting | None = None,
) -> HttpResponse:
    """Sign in with this password; raises as `verify_password` does. The session's own write gives the attempt back.

    `waiting` is the authorization request that `redirect_url` is, if it is one: `waiting.granted` is its answer, if the
    sign-in could give one. Else the response that comes back leads on.
    """
    identity, reservation = _verify(request, connection, login, password, at)
    under_way = sign_in_of(request)
    under_way.waiting, under_way.attempt = waiting, reservation
    try:
        return complete(request, identity, method=PASSWORD, redirect_url=redirect_url)
    finally:
        if under_way.attempt is not None:  # no session was opened: a second factor first
            limiter.give_back(reservation)


@sensitive_variables("password")
def _verify(
    request: HttpRequest, connection: Connection, login: str, password: str, at: datetime
) -> tuple[Identity, limiter.Reservation]:
    reservation = attempts.reserve(request, connection, login, at)
    try:
        identity = PASSWORD_PROTOCOLS[connection.strategy].verify(connection, login, password, at)
    except UpstreamRefused as refusal:
        record_failure(request, connection, login, at, reason=refusal.detail)
        raise
    except UpstreamFault as fault:
        limiter.give_back(reservation)
        fault.reference = failures.record(request, connection, FailureKind.FAILED, fault.reason, at)
        log.warning("sign_in.impossible", connection=connection.name, reason=fault.reason, reference=fault.reference)
        raise
    except TemporarilyUnavailable as busy:
        limiter.give_back(reservation)
        log.warning("sign_in.impossible", connection=connection.name, reason=str(busy))
        raise
    if identity is None:
        record_failure(request, connection, login, at)
        raise WrongPassword
    if not identity.user.is_active:
        record_blocked(request, identity, at)
        raise AccountBlocked
    return identity, reservation


@sensitive_variables("password")
def proves_again(request: HttpRequest, user: User, password: str, at: datetime, *, own: bool = False) -> bool:
    """Whether a person who is signed in knows their password (`own`: the one that we keep); counted like a sign-in.

    Raises TooManyAttempts.
    """
    identity = _password_identity(request, user, own=own)
    if identity is None:
        return False
    try:
        return verify_password(request, identity.connection, identity.login or "", password, at).user_id == user.pk
    except WrongPassword:
        return False


def has_password(request: HttpRequest, user: User, *, own: bool = False) -> bool:
    """Whether a password of this person can be checked, ours or a directory's (`own`: ours only)."""
    return _password_identity(request, user, own=own) is not None


def complete(
    request: HttpRequest,
    identity: Identity,
    *,
    method: str,
    redirect_url: str,
    upstream_sid: str = "",
    upstream: Mapping[str, Any] | None = None,
    upstream_mfa: bool = False,
    at: datetime | None = None,
    said: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """Sign this identity in, or lead to its second factor. `redirect_url` is validated already; `upstream` has sealed secrets.

    `said`: what else is recorded of the method; allauth asks for no second factor after one that is `passwordless`.

    `at`, if not now: the moment of the proof; a revocation since then, however it overlaps this act, ends the session.
    """
    # What an earlier attempt of this browser left behind must not count as a factor of this one.
    stagekit.clear_login(request)
    record_authentication(
        request,
        identity.user,
        method=method,
        identity=identity.pk,
        password=identity.user.get_session_auth_hash() if method == PASSWORD else None,
        upstream_sid=upstream_sid or None,
        upstream=dict(upstream) if upstream else None,
        **({"upstream_mfa": True} if upstream_mfa else {}),
        **({"at": at.timestamp()} if at else {}),
        **(said or {}),
    )
    response: HttpResponse = perform_login(request, Login(user=identity.user, redirect_url=redirect_url))
    return response


def record_again(
    request: HttpRequest,
    identity: Identity,
    *,
    upstream_sid: str,
    upstream: Mapping[str, Any],
    upstream_mfa: bool = False,
) -> None:
    """The person of this session proved upstream that it is still them; allauth's pages count it, and the session does."""
    record_authentication(
        request,
        identity.user,
        method=FEDERATED,
        reauthenticated=True,
        upstream_sid=upstream_sid,
        upstream=dict(upstream),
        **({"upstream_mfa": True} if upstream_mfa else {}),
    )


def record_step_up(
    request: HttpRequest,
    session: SSOSession,
    proved_at: datetime | None,
    *,
    upstream_sid: str,
    upstream: Mapping[str, Any],
) -> None:
    """The identity provider upstream vouches for two factors of the person of this session, who may have proved them before.

    Therefore allauth's pages do not count it as a fresh proof, and `auth_time` is what the provider says of it.
    """
    at = timezone.now()
    earliest = session.auth_time
    again = _amr([{"method": FEDERATED, "at": at.timestamp(), "upstream_mfa": True}])
    _renew(
        request,
        session,
        again,
        at,
        upstream_sid=upstream_sid,
        upstream=upstream,
        proved_at=min(at, max(earliest, proved_at or earliest)),
    )


def record_enrolment(request: HttpRequest, user: User, kind: str) -> None:
    """Somebody who is signed in set up a second factor a moment ago, and proved by that that they hold it."""
    record_authentication(request, user, method="mfa", type=kind, reauthenticated=True)


def proof_of(request: HttpRequest, user: User) -> Proof | None:
    records = get_authentication_records(request, user)
    if not records or "identity" not in records[0]:
        return None
    first = records[0]
    return Proof(
        identity_pk=first["identity"],
        at=datetime.fromtimestamp(first["at"], UTC),
        password=first.get("password", ""),
        amr=_amr(records),
        upstream_sid=first.get("upstream_sid", ""),
        upstream=first.get("upstream", {}),
        passkey=first.get("passkey"),
    )


def identity_in(request: HttpRequest, user: User) -> Identity | None:
    """The account by which this person comes in, or came in, in this browser."""
    session, proof = binding.session_of(request), proof_of(request, user)
    pk = proof.identity_pk if proof else session.identity_id if session and session.user_id == user.pk else None
    if pk is None:
        return None
    return Identity.objects.filter(pk=pk, user=user).select_related("user", "connection").first()


def record_blocked(request: HttpRequest, identity: Identity, at: datetime) -> None:
    data = {"reason": "blocked"}
    trail.record(
        EventType.SIGN_IN_FAILED,
        user=identity.user,
        connection=identity.connection,
        facts=facts(request),
        at=at,
        data=data,
    )


def record_wrong_code(request: HttpRequest, connection: Connection, identity: Identity | None, at: datetime) -> None:
    """Of a mail by which somebody signs in; `identity`: whose mail it was, if it is anybody's."""
    user, data = identity.user if identity else None, {"reason": "wrong code"}
    trail.record(
        EventType.SIGN_IN_FAILED, user=user, connection=connection, facts=facts(request), at=at, data=data
    )  # fmt: skip


def pending_redirect(request: HttpRequest) -> str | None:
    """Where the sign-in that waits for its second factor will lead; None: none waits."""
    login = stagekit.unstash_login(request, peek=True)
    return (login.redirect_url or "") if login else None


@receiver(authentication_step_completed, dispatch_uid="curfew reauthentication")
def _reauthenticated(
    request: HttpRequest, user: User, method: str, reauthenticated: bool = False, **extra: Any
) -> None:
    """Confirmation (password, code, or upstream): the session's `auth_time` and cookie are renewed."""
    session = binding.session_of(request)
    if not reauthenticated or session is None or session.user_id != user.pk:
        return
    at = timezone.now()
    said: dict[str, Any] = {name: extra[name] for name in ("type", "upstream_mfa") if name in extra}
    again = _amr([{"method": method, "at": at.timestamp(), **said}])
    _renew(
        request,
        session,
        again,
        at,
        upstream_sid=extra.get("upstream_sid", ""),
        upstream=extra.get("upstream"),
        proved_at=at,
    )


def _renew(
    request: HttpRequest,
    session: SSOSession,
    again: list[dict[str, str]],
    at: datetime,
    *,
    upstream_sid: str,
    upstream: Mapping[str, Any] | None,
    proved_at: datetime,
) -> None:
    """The session, with these methods beside those that it had."""
    names = {entry["name"] for entry in again}
    kept = [entry for entry in session.amr if entry["name"] not in names]
    opened = lifecycle.reauthenticate(
        session,
        amr=[*kept, *again],
        facts=facts(request),
        at=at,
        upstream_sid=upstream_sid,
        upstream=upstream,
        cookie=binding.secret_of_form(request, session.identity_id),
        proved_at=proved_at,
        remembered_until=session.remembered_until,
    )
    if opened is not None:
        binding.browser_of(request).holds(opened.session, opened.cookie)


def _amr(records: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    entries: dict[str, str] = {}
    for record in records:
        kind = str(record.get("type", ""))
        moment = datetime.fromtimestamp(record["at"], UTC).isoformat(timespec="milliseconds")
        upstream = ("mfa",) if record.get("upstream_mfa") else ()
        for name in (*_names(record, kind), *upstream):
            entries[name] = moment.replace("+00:00", "Z")
    return [{"name": name, "timestamp": moment} for name, moment in entries.items()]


def _names(record: Mapping[str, Any], kind: str) -> Sequence[str]:
    if record.get("synced"):  # a passkey that may be on several devices: no hardware holds it alone
        return ("mfa", "swk")
    return _AMR.get((record["method"], kind), (str(record["method"]),))


def _password_identity(request: HttpRequest, user: User, *, own: bool = False) -> Identity | None:
    """The identity of this session if its password is typed into our form, else the person's first one of that kind."""
    session = binding.session_of(request)
    kinds = [Strategy.DATABASE] if own else list(PASSWORD_PROTOCOLS)
    rows = Identity.objects.filter(user=user, connection__strategy__in=kinds).select_related("connection")
    usable = [row for row in rows.order_by("pk") if usable_for(row.connection, Purpose.SIGN_IN)]
    preferred = (row for row in usable if session and row.pk == session.identity_id)
    return next(preferred, usable[0] if usable else None)


def record_failure(request: HttpRequest, connection: Connection, login: str, at: datetime, *, reason: str = "") -> None:
    """The typed name is not kept: people type passwords there. A known account is named by its `sub`."""
    name = normal_forms.name(login.strip())
    row = Identity.objects.filter(connection=connection, login=name).select_related("user").first()
    user = row.user if row else None
    data = {"reason": reason} if reason else {}
    trail.record(EventType.SIGN_IN_FAILED, user=user, connection=connection, facts=facts(request), at=at, data=data)
