"""Devices without a browser (RFC 8628): a code for the device, a short code for the person, an approval, tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.crypto import salted_hmac

from idp.applications import client_auth
from idp.applications.client_auth import Credentials
from idp.database.guarded import delete_guard
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import Application
from idp.protocol.errors import AccessDenied, InvalidGrant, InvalidTarget, ProtocolError, TooManyRequests
from idp.protocol.grant_types import DEVICE_CODE
from idp.protocol.opaque import digest, new_secret
from idp.tenants import configuration
from idp.tenants.configuration import Snapshot
from sessions_app.models import DeviceGrant, SSOSession
from sessions_app.oauth import dpop, minting, policies
from sessions_app.oauth.dpop import Presented
from sessions_app.oauth.tokens import authentication_of, issue, live_families_of, require_grant
from sessions_app.protocol import scopes
from sessions_app.session import lifecycle
from sessions_app.session.gate import may_use

LIFETIME = timedelta(minutes=15)
INTERVAL = 5  # seconds between two polls
JITTER = timedelta(seconds=1)  # requests that were sent in time arrive closer to each other when the first was slow
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, nothing that looks like something else

# A public client proves nothing, so anybody can start grants in its name. A hundred devices of one application in one
# network within a quarter of an hour is a school at the start of term; each row lives as long as the window.
STARTS = limiter.Limit("device-starts", 100, limiter.QUARTER)
NOT_FOR_THEM = "This account may not use the application."
_UNKNOWN = "Unknown or expired device code."


def verification_uri() -> str:
    return f"{settings.ISSUER}activate"


@dataclass(frozen=True, slots=True)
class Started:
    """What the device is told; stored are digests only."""

    device_code: str
    user_code: str


def start(
    application: Application,
    asked: list[str],
    audience: str,
    snapshot: Snapshot,
    *,
    facts: RequestFacts,
    at: datetime,
) -> Started:
    """Raises TooManyRequests when the network has started too many in the name of a client that proves nothing."""
    require_grant(application, DEVICE_CODE)
    api = snapshot.resource_server(audience) if audience else None
    if audience and api is None:
        raise InvalidTarget("The requested API is not known.")
    if application.is_public:
        _take_slot(application, facts, at)
    letters = "".join(secrets.choice(ALPHABET) for _ in range(8))
    started = Started(new_secret(), f"{letters[:4]}-{letters[4:]}")
    DeviceGrant.objects.create(
        device_code=digest(started.device_code),
        user_code=user_code_digest(started.user_code),
        scope=" ".join(scopes.grant(asked, api.scope_values if api else ())),
        audience=audience,
        interval=INTERVAL,
        expires=at + LIFETIME,
        client_id=application.client_id,
        application=application,
    )
    return started


def _take_slot(application: Application, facts: RequestFacts, at: datetime) -> None:
    reservation = limiter.reserve([STARTS.key(application.client_id, limiter.prefix(facts.ip))], at)
    if not reservation.allowed:
        raise TooManyRequests(
            "Too many devices asked for a code. Try again later.", retry_after=reservation.retry_after
        )


def user_code_digest(user_code: str) -> str:
    """Keyed: 34 bits are not enough for a plain digest. What is typed may differ in case, spaces and hyphens."""
    plain = "".join(letter for letter in user_code.upper() if letter in ALPHABET)
    return salted_hmac("curfew.device.user_code", plain, algorithm="sha256").hexdigest()


def waiting(user_code: str, at: datetime) -> DeviceGrant | None:
    """The device that waits for an answer to this code."""
    grant: DeviceGrant | None = (
        DeviceGrant.objects.filter(
            user_code=user_code_digest(user_code),
            status=DeviceGrant.AUTHORIZATION_PENDING,
            expires__gt=at,
            application__enabled=True,
        )
        .select_related("application")
        .first()
    )
    return grant


def approve(grant: DeviceGrant, session: SSOSession, facts: RequestFacts, at: datetime) -> bool:
    """The device signs in with this session and takes part in it. False: somebody else answered first."""
    with transaction.atomic():  # a device that is signed in without taking part would never hear of the end
        done = DeviceGrant.objects.filter(pk=grant.pk, status=DeviceGrant.AUTHORIZATION_PENDING).update(
            status=DeviceGrant.AUTHORIZED, user=session.user, session=session, approved_at=at
        )
        if done:
            lifecycle.join(session, grant.application, facts=facts, at=at)
    return bool(done)


def deny(grant: DeviceGrant) -> bool:
    pending = DeviceGrant.objects.filter(pk=grant.pk, status=DeviceGrant.AUTHORIZATION_PENDING)
    return bool(pending.update(status=DeviceGrant.DENIED))


def exchange(
    raw: str, credentials: Credentials, facts: RequestFacts, at: datetime, presented: Presented = dpop.NOTHING
) -> dict[str, Any]:
    """RFC 8628 sections 3.4 and 3.5. The row is deleted by the one exchange that succeeds."""
    grant = (
        DeviceGrant.objects.filter(device_code=digest(raw))
        .select_related("session__user", "session__connection")
        .annotate(config_version=configuration.VERSION, live_families=live_families_of("user", "application"))
        .first()
    )
    snapshot = configuration.at(grant.config_version) if grant else configuration.current()
    application = client_auth.check(credentials, snapshot, at=at)
    require_grant(application, DEVICE_CODE)
    if grant is None or grant.application_id != application.pk:
        raise InvalidGrant(_UNKNOWN)
    session = _approved(grant, at)
    if not may_use(application, session, session.user, snapshot):
        raise AccessDenied(NOT_FOR_THEM, status=400)
    return issue(
        minting.TokenGrant(
            application=application,
            user=session.user,
            session=session,
            authentication=authentication_of(session, application, snapshot),
            scope=policies.allowed(
                scopes.split(grant.scope), minting.api_of(snapshot, grant.audience), session.user, snapshot
            ),
            audience=grant.audience,
            jkt=presented.spent_by(application),
        ),
        snapshot,
        guard=delete_guard(DeviceGrant, grant.pk, where={"status": DeviceGrant.AUTHORIZED}),
        on_lost=_lost,
        live_families=grant.live_families,
        facts=facts,
        at=at,
    )


def _approved(grant: DeviceGrant, at: datetime) -> SSOSession:
    """The session that the device signs in with, or the error that tells the device what to do."""
    if grant.expires <= at:
        raise ProtocolError(_UNKNOWN, error="expired_token")
    if grant.status == DeviceGrant.DENIED:
        raise AccessDenied("The person did not allow it.", status=400)
    if grant.status != DeviceGrant.AUTHORIZED or grant.session is None:
        raise _pending(grant, at)
    if not grant.session.is_alive(at) or grant.session.is_stale:
        raise InvalidGrant(_UNKNOWN)
    session: SSOSession = grant.session
    return session


def _pending(grant: DeviceGrant, at: datetime) -> ProtocolError:
    interval = timedelta(seconds=grant.interval) - JITTER
    too_fast = grant.polled_at is not None and at - grant.polled_at < interval
    DeviceGrant.objects.filter(pk=grant.pk).update(
        polled_at=at, interval=F("interval") + INTERVAL if too_fast else F("interval")
    )
    if too_fast:
        return ProtocolError("The device asks too often.", error="slow_down")
    return ProtocolError("The person has not answered yet.", error="authorization_pending")


def _lost() -> NoReturn:
    raise InvalidGrant(_UNKNOWN)
