"""A Global Token Revocation request: believed, understood, acted upon, and kept for the connection's page.

In this order, which decides the status: who asks (401, 403), what they ask (400), about whom (404), done (422, 204).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from idp.connections.contract import UpstreamFault
from idp.connections.oidc.wire import Deadline
from idp.database.limits import longer
from idp.database.lookups import Given, Lookup
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import Connection
from idp.protocol.errors import ProtocolError, TemporarilyUnavailable, TooManyRequests
from idp.protocol.initiators import Initiator
from idp.protocol.jwt_profile import Unverified
from logout_app.delivery import tallies
from logout_app.ending.end import LONGEST_ACT, end_sessions
from logout_app.ending.rows import FurtherRows
from logout_app.gtr import people, trust
from logout_app.gtr.people import NamedPerson
from logout_app.models import RevocationRequest
from logout_app.protocol import gtr as rules
from logout_app.protocol.gtr import RequestProof, Subject
from sessions_app.audit import sql, trail
from sessions_app.audit.events import EventType, Fact

# Per network, whatever connection the path names: names that somebody makes up make no rows. Only further failures are
# refused, and never what a connection's own key has signed, so nobody can lock an identity provider out.
FAILURES = limiter.Limit("gtr", 100, 300)
# Refused requests that are kept per connection. What its own key signed has room that strangers cannot fill; of what
# anybody may have sent one network may fill a part only, and a network that was believed before always finds room.
KEPT_BELIEVED = limiter.Limit("gtr-believed", 1000, 3600)
KEPT_OF_NETWORK = limiter.Limit("gtr-network", 50, 3600)
KEPT = limiter.Limit("gtr-kept", 200, 3600)
KNOWN_FOR = timedelta(days=30)  # how long the network of a request that was believed stays known


_BY_NAME = Lookup(lambda: Connection.objects.filter(name=Given("name")))

AUDIT = sql.insert(
    EventType.UNIVERSAL_LOGOUT_SUCCEEDED,
    {
        Fact.SUB: "%(sub)s",
        Fact.CONNECTION: "%(source)s",
        Fact.INITIATOR: "%(initiator)s",
        Fact.ACTOR: "%(actor)s",
        Fact.IP: "%(ip)s",
        Fact.USER_AGENT: "%(user_agent)s",
    },
    data={
        "event": "{event}",
        "sessions_ended": "CAST(%(ended)s AS integer)",
        "accounts": "{json}(CAST(%(accounts)s AS text))",
    },
)
KEPT_REQUEST = f"""
INSERT INTO {RevocationRequest._meta.db_table} (
    connection_id, at, status, reason, subject, sub, jti, event_id, ip, user_agent
)
VALUES (%(source_pk)s, %(at)s, 204, '', %(subject)s, %(sub)s, %(jti)s, {{event}}, %(ip)s, %(user_agent)s)"""  # noqa: S608  constants only, here and below

TALLY = f"""
INSERT INTO {tallies.TABLE} (metric, label, value) SELECT 'gtr', '204', 1 WHERE {{then}}
ON CONFLICT (metric, label) DO UPDATE SET value = {tallies.TABLE}.value + 1"""


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
    is_believed: bool = False  # one of the connection's keys signed its token, whatever that says

    @property
    def network(self) -> str:
        return limiter.prefix(self.facts.ip)

    @property
    def subject(self) -> str:
        return "; ".join(f"{subject.format}: {' '.join(subject.values)}" for subject in self.subjects)[:600]


def receive(request: Request, at: datetime) -> None:
    """Sign out whom the request names, everywhere; committed when this returns. Raises ProtocolError.

    `at` is when the request arrived. What opened while it was being believed ends too.
    """
    request.connection = _BY_NAME.get(name=request.name)
    try:
        connection, trust, proof = _authenticate(request, at)
        request.jti = proof.jti
        request.subjects = rules.read_body(request.body)
        with longer(LONGEST_ACT), transaction.atomic():  # the commit of an act that ends very much is long too
            # What is rolled back spends nothing: the same token may then be sent again.
            person = people.find_and_mark(connection, request.subjects, trust.issuers, proof, at)
            end_sessions(
                person.selection,
                initiator=Initiator.IDP_LOGOUT,
                actor=f"upstream:{connection.name}",
                at=at,
                offline_tokens=True,
                also=_records(request, connection, person),
            )
    except ProtocolError as error:
        _refuse(request, error, at)
        raise


def _authenticate(request: Request, at: datetime) -> tuple[Connection, trust.Trust, RequestProof]:
    """One answer for an unknown connection, one that takes no such requests, and a token that proves nothing."""
    encoded = rules.bearer(request.authorization)
    token, connection, deadline = rules.read_token(encoded), request.connection, Deadline()
    try:
        believed = trust.trust(connection, at, deadline) if connection else None
        if connection is None or believed is None:
            raise rules.refused("the connection is unknown, disabled or not configured for revocation requests")
        proof = _proof(request, connection, believed, token, encoded, at, deadline)
    except UpstreamFault as fault:
        description = "The keys of the identity provider cannot be read at the moment. Please try again."
        raise TemporarilyUnavailable(description, detail=fault.reason) from fault
    rules.check_subject(token, believed.expected)
    return connection, believed, proof


def _proof(
    request: Request,
    connection: Connection,
    believed: trust.Trust,
    token: Unverified,
    encoded: str,
    at: datetime,
    deadline: Deadline,
) -> RequestProof:
    """What the token proves. One that says something wrong may still be signed: then an administrator must learn of it."""
    try:
        proof = rules.check(token, believed.expected, at)
    except ProtocolError:
        with suppress(UpstreamFault):
            request.is_believed = trust.is_signed_by(connection, token, encoded, at, deadline)
        raise
    request.is_believed = trust.is_signed_by(connection, token, encoded, at, deadline)
    if not request.is_believed:
        raise rules.refused("the signature is not by a key of this connection")
    return proof


def _records(request: Request, connection: Connection, person: NamedPerson) -> FurtherRows:
    """Audit, the connection's page, and the count: written with the act, also if the person was signed in nowhere."""
    return FurtherRows(
        (("audit", AUDIT), ("request", KEPT_REQUEST), ("tally", TALLY)),
        {
            "source": connection.name,
            "source_pk": connection.pk,
            "sub": person.sub,
            "accounts": json.dumps(person.accounts),
            "subject": request.subject,
            "jti": request.jti,
            "ip": request.facts.ip,
            "user_agent": request.facts.user_agent,
        },
    )


def _refuse(request: Request, error: ProtocolError, at: datetime) -> None:
    """Count, keep and audit a refusal. Raises TooManyRequests instead when this network failed too often."""
    key = FAILURES.key(request.network)
    counts = error.status == 401 and not request.is_believed
    with transaction.atomic():  # one commit, whether the connection exists or not: they should take the same time
        if counts and (limiter.is_blocked(key, at) or limiter.count_failure(key, at) > key.limit.count):
            raise TooManyRequests("Too many requests that could not be believed. Please try again later.") from error
        tallies.add({("gtr", str(error.status)): 1})
        if _has_room(request, at) and request.connection:
            _keep_refusal(request, request.connection, error, at)


def _has_room(request: Request, at: datetime) -> bool:
    """Whether one more refusal is kept. All connections that do not exist are one."""
    source = request.connection.pk if request.connection else ""
    if request.is_believed:
        return _counted(KEPT_BELIEVED.key(source), at)
    if not _counted(KEPT_OF_NETWORK.key(source, request.network), at):
        return False
    return _counted(KEPT.key(source), at) or _is_known_network(request, at)


def _counted(key: limiter.Key, at: datetime) -> bool:
    return limiter.count_failure(key, at) <= key.limit.count


def _is_known_network(request: Request, at: datetime) -> bool:
    believed = RevocationRequest.objects.filter(connection=request.connection, status=204, at__gt=at - KNOWN_FOR)
    addresses = believed.order_by("-at").values_list("ip", flat=True)[:50]
    return request.network in {limiter.prefix(address) for address in addresses}


def _keep_refusal(request: Request, connection: Connection, error: ProtocolError, at: datetime) -> None:
    reason = error.detail or error.description
    RevocationRequest.objects.create(
        connection=connection,
        at=at,
        status=error.status,
        reason=reason[:500],
        subject=request.subject,
        jti=request.jti,
        ip=request.facts.ip,
        user_agent=request.facts.user_agent,
    )
    trail.record(
        EventType.UNIVERSAL_LOGOUT_FAILED,
        connection=connection,
        facts=request.facts,
        actor=f"upstream:{connection.name}",
        at=at,
        data={"status": error.status, "reason": reason},
    )
