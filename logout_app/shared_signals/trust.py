"""By what a connection's security events are believed: its transmitter's keys, and by which issuers they may name people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from idp.connections import shared_signals
from idp.connections.dialects import OIDC, dialect
from idp.connections.oidc import discovery, keys, options
from idp.connections.oidc.wire import Deadline
from idp.connections.registry import Purpose, usable_for
from idp.connections.saml import provider
from idp.connections.shared_signals import SignalOptions
from idp.database.lookups import Given, Lookup
from idp.models import Connection
from idp.protocol.jwt_profile import Unverified
from logout_app.models import SignalStream
from logout_app.protocol.shared_signals.tokens import RefusedSignal
from logout_app.shared_signals import transmitter

_stream = Lookup(lambda: SignalStream.objects.filter(connection=Given("connection"), issuer=Given("issuer")))


@dataclass(frozen=True, slots=True)
class SignalTrust:
    """What a token must say. `stream`: the one that *Connect* made, if it is the same transmitter's."""

    options: SignalOptions
    audiences: tuple[str, ...]
    stream: SignalStream | None


def endpoint_of(connection: Connection) -> str:
    return f"{settings.ISSUER_ORIGIN}{reverse('shared_signals', kwargs={'connection': connection.name})}"


def trust(connection: Connection) -> SignalTrust | None:
    """None: no event is believed for this connection. Asks nobody."""
    found = shared_signals.of(connection)
    if found is None or not usable_for(connection, Purpose.REVOCATION):
        return None
    stream = _stream.get(connection=connection.pk, issuer=found.issuer)
    of_stream = tuple(stream.audiences) if stream else ()
    return SignalTrust(found, found.audiences or (*of_stream, endpoint_of(connection)), stream)


def check_signature(believed: SignalTrust, token: Unverified, encoded: str, deadline: Deadline) -> frozenset[str]:
    """The members of a subject that its transmitter calls critical, if one of its keys signed this. Raises RefusedSignal, and
    UpstreamFault when its keys cannot be known.

    If none did, the key set is asked for anew, when it is time to.
    """
    known, tried = transmitter.known(believed.options, deadline), 0
    source = discovery.Provider(known.issuer, "", "", known.jwks_uri)
    for suspect in (False, True):
        for key in keys.of_provider(source, token.kid, token.algorithm, deadline, suspect=suspect):
            tried += 1
            if _verifies(encoded, token.algorithm, key):
                return known.critical
    if not tried:
        raise RefusedSignal("The key set of the transmitter has no such key.", error="invalid_key")
    raise RefusedSignal("No key of the transmitter signed this.", error="authentication_failed")


def issuers_of(connection: Connection, believed: SignalTrust, at: datetime) -> frozenset[str]:
    """By these an `iss_sub` of an event may name people: the transmitter, and where they sign in. Raises UpstreamFault."""
    found = {believed.options.issuer}
    if dialect(connection.strategy, connection.options) == OIDC:
        found.add(discovery.provider(options.of(connection), Deadline()).issuer)
    else:
        found.add(provider.provider_of(connection, at).entity_id)
    return frozenset(map(same, found))


def same(issuer: str) -> str:
    """Google signs with a slash at the end, and its ID tokens have none."""
    return issuer.rstrip("/")


def _verifies(encoded: str, algorithm: str, key: Key) -> bool:
    try:
        jws.deserialize_compact(encoded, key, algorithms=[algorithm])
    except (JoseError, ValueError):
        return False
    return True
