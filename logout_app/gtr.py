"""A Global Token Revocation request: believed, understood, acted upon, and kept for the connection's page.

In this order, which decides the status: who asks (401, 403), what they ask (400), about whom (404), done (422, 204).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from idp import limiter
from idp.accounts import ascii_lower
from idp.connections.oidc.wire import Deadline
from idp.connections.upstream import UpstreamFault
from idp.models import Connection, Identity, User
from idp.protocol.errors import InvalidRequest, ProtocolError, TemporarilyUnavailable, TooManyRequests
from idp.protocol.initiators import Initiator
from idp.requests import RequestFacts
from idp.spent import spend
from logout_app import gtr_trust, tallies
from logout_app.end import Ended, Selection, end_sessions
from logout_app.models import RevocationRequest
from logout_app.protocol import gtr as rules
from logout_app.protocol.gtr import Proof, Subject
from sessions_app import lifecycle

# Per connection and network, so that nobody can lock its identity provider out; and only further failures are refused.
FAILURES = limiter.Limit("gtr", 100, 300)
# Refused requests that are kept per connection: strangers must not fill the table from many networks.
KEPT = limiter.Limit("gtr-kept", 200, 3600)


class UnknownUser(ProtocolError):
    error = "user_not_found"
    status = 404


class CannotSignOut(ProtocolError):
    error = "cannot_sign_out"
    status = 422


@dataclass
class Request:
    """What came in, and what becomes known of it on the way."""

    name: str  # of the connection, as the URL says it
    authorization: str
    body: bytes
    facts: RequestFacts
    connection: Connection | None = None
    subjects: Sequence[Subject] = ()
    jti: str = ""
    identities: list[Identity] = field(default_factory=list)

    @property
    def user(self) -> User | None:
        return self.identities[0].user if self.identities else None


def receive(request: Request, at: datetime) -> None:
    """Sign out whom the request names, everywhere; committed when this returns. Raises ProtocolError.

    `at` is when the request arrived: what began later stays.
    """
    request.connection = Connection.objects.filter(name=request.name).first()
    try:
        connection, trust, proof = _authenticate(request, at)
        request.jti = proof.jti
        request.subjects = rules.read_body(request.body)
        with transaction.atomic():
            # What is rolled back spends nothing: the same token may then be sent again.
            if not spend("gtr", connection.public_id, proof.jti, expires_at=proof.expires_at):
                raise rules.refused("this token was used before")
            request.identities = _identities(connection, request.subjects, trust.issuers)
            ended = _end(request, connection, at)
            _keep(request, connection, 204, "", at, ended)
    except ProtocolError as error:
        _refuse(request, error, at)
        raise
    tallies.add({("gtr", "204"): 1})


def _authenticate(request: Request, at: datetime) -> tuple[Connection, gtr_trust.Trust, Proof]:
    """One answer for an unknown connection, one that takes no such requests, and a token that proves nothing."""
    encoded = rules.bearer(request.authorization)
    token, connection, deadline = rules.read_token(encoded), request.connection, Deadline()
    try:
        trust = gtr_trust.trust(connection, at, deadline) if connection else None
        if connection is None or trust is None:
            raise rules.refused("the connection is unknown, disabled or not configured for revocation requests")
        proof = rules.check(token, trust.expected, at)
        if not gtr_trust.is_signed_by(connection, token, encoded, at, deadline):
            raise rules.refused("the signature is not by a key of this connection")
    except UpstreamFault as fault:
        description = "The keys of the identity provider cannot be read at the moment. Please try again."
        raise TemporarilyUnavailable(description, detail=fault.reason) from fault
    rules.check_subject(token, trust.expected)
    return connection, trust, proof


def _identities(connection: Connection, subjects: Sequence[Subject], issuers: frozenset[str]) -> list[Identity]:
    """Accounts of one person at this connection. People of other connections do not exist here."""
    named = Q(pk__in=[])
    for subject in subjects:
        named |= _named(subject, issuers)
    found = list(Identity.objects.filter(named, connection=connection).select_related("user").order_by("pk"))
    if not found:
        raise UnknownUser("No user of this connection is named so.")
    if len({identity.user_id for identity in found}) > 1:
        if len(subjects) > 1:
            raise InvalidRequest("The aliases name different people.")
        raise CannotSignOut("Several users of this connection are named so; name one by iss_sub.")
    return found


def _named(subject: Subject, issuers: frozenset[str]) -> Q:
    if subject.format == "email":
        return Q(email=ascii_lower(subject.values[0]))
    if subject.format == "opaque":
        return Q(user__user_id=subject.values[0])
    issuer, sub = subject.values
    return Q(sub=sub) if issuer in issuers else Q(pk__in=[])


def _end(request: Request, connection: Connection, at: datetime) -> Ended:
    """Everything of the person; of one who also comes in elsewhere, what began through this connection.

    The other connection's identity provider vouches for them too, and did not change its mind.
    """
    user, actor = request.identities[0].user, f"upstream:{connection.name}"
    others = list(user.identities.exclude(connection=connection).select_related("connection"))
    ended = end_sessions(
        _accounts(request.identities, at) if others else Selection.user(user.pk),
        initiator=Initiator.IDP_LOGOUT,
        actor=actor,
        at=at,
        offline_tokens=True,
    )
    accounts = [f"{connection.name}|{identity.sub}" for identity in request.identities]
    lifecycle.record(
        "universal_logout_succeeded",
        user=user,
        connection=connection,
        facts=request.facts,
        initiator=Initiator.IDP_LOGOUT,
        actor=actor,
        at=at,
        data={
            "event": ended.event.pk if ended.event else None,
            "sessions_ended": len(ended.session_pks),
            "accounts": accounts + [f"{other.connection.name}|{other.sub}" for other in others],
        },
    )
    return ended


def _accounts(identities: Sequence[Identity], at: datetime) -> Selection:
    """What began through these accounts, and a mark on each: what was proved until now opens nothing any more."""
    pks = [identity.pk for identity in identities]
    earlier = Q(revoked_before=None) | Q(revoked_before__lt=at)
    Identity.objects.filter(earlier, pk__in=pks).update(revoked_before=at)
    return Selection.identities(pks)


def _refuse(request: Request, error: ProtocolError, at: datetime) -> None:
    """Count, keep and audit a refusal. Raises TooManyRequests instead when this network failed too often."""
    key = FAILURES.key(request.name, limiter.prefix(request.facts.ip))
    with transaction.atomic():  # one commit, whether the connection exists or not: they should take the same time
        if error.status == 401 and (limiter.is_blocked(key, at) or limiter.count_failure(key, at) > key.limit.count):
            raise TooManyRequests("Too many requests that could not be believed. Please try again later.") from error
        tallies.add({("gtr", str(error.status)): 1})
        if limiter.count_failure(KEPT.key(request.name), at) <= KEPT.count and request.connection:
            _keep_refusal(request, request.connection, error, at)


def _keep_refusal(request: Request, connection: Connection, error: ProtocolError, at: datetime) -> None:
    reason = error.detail or error.description
    request.identities = []
    _keep(request, connection, error.status, reason, at)
    lifecycle.record(
        "universal_logout_failed",
        connection=connection,
        facts=request.facts,
        actor=f"upstream:{connection.name}",
        at=at,
        data={"status": error.status, "reason": reason},
    )


def _keep(
    request: Request, connection: Connection, status: int, reason: str, at: datetime, ended: Ended | None = None
) -> None:
    RevocationRequest.objects.create(
        connection=connection,
        at=at,
        status=status,
        reason=reason[:500],
        subject="; ".join(f"{subject.format}: {' '.join(subject.values)}" for subject in request.subjects)[:600],
        sub=request.user.user_id if request.user else "",
        jti=request.jti,
        event=ended.event if ended else None,
        ip=request.facts.ip,
        user_agent=request.facts.user_agent,
    )
