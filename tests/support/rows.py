"""One row of every table, so that a walk through the pages meets something."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

from idp.crypto import keys
from idp.models import (
    ClientGrant,
    ClientRegistration,
    LimiterSlot,
    ResourceServer,
    SamlKeyStatus,
    SigningKey,
    SpentToken,
    User,
)
from idp.protocol.opaque import digest
from idp.saml import own_key
from idp.tenants import configuration
from logout_app.models import (
    DeliveryAttempt,
    DeliveryTally,
    DrainReport,
    LogoutDelivery,
    LogoutEvent,
    LogoutTransaction,
)
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    Consent,
    DeviceGrant,
    FlowState,
    RefreshToken,
    RefreshTokenFamily,
    SessionEvent,
)
from tests.support import second_factors
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.upstreams.scripted_saml import the_key

SECRET = "a-secret-that-travelled-once"  # its digest is what the rows hold


def one_of_each() -> dict[type[models.Model], models.Model]:
    """One row of every table that the admin shows."""
    now, later = timezone.now(), timezone.now() + timedelta(hours=1)
    keys.ensure()
    app = make_application()
    mary = make_user()
    session = make_session(mary, app, cookie_hash=digest(SECRET))
    server = ResourceServer.objects.create(identifier="https://api.example/", scopes=[{"value": "read:things"}])
    event = LogoutEvent.objects.create(initiator="rp-logout", actor="user", user=mary, sub=mary.user_id)
    delivery = LogoutDelivery.objects.create(
        event=event,
        session=session,
        application=app,
        receiver=f"app:{app.pk}",
        client_id=app.client_id,
        sub=mary.user_id,
        channel="backchannel",
    )
    code = AuthorizationCode.objects.create(
        user=mary, application=app, session=session, code=digest(SECRET), expires=later, redirect_uri="https://x/"
    )
    family = RefreshTokenFamily.objects.create(
        user=mary, application=app, session=session, offline=False, auth_time=now
    )
    rows: list[models.Model] = [
        mary, app, session, server, event, delivery, code, family,
        make_connection(),
        make_connection("okta-main", "okta"),
        mary.identities.get(),
        session.clients.get(),
        ClientGrant.objects.create(application=app, resource_server=server, scope=["read:things"]),
        ClientRegistration.objects.create(application=app, token_hash=digest(SECRET)),
        SpentToken.objects.create(kind="gtr", issuer="i", jti="j", expires_at=later),
        LimiterSlot.objects.create(key="k", window=1, expires_at=later),
        DeliveryAttempt.objects.create(
            delivery=delivery, number=1, started_at=now, duration_ms=7, status=503, outcome="retry", reason="busy"
        ),
        DeliveryTally.objects.create(metric="m"),
        DrainReport.objects.create(name="host:1", seen_at=now),
        LogoutTransaction.objects.create(token_hash=digest(SECRET), browser_hash=digest(SECRET), expires_at=later),
        AccessToken.rows.create(
            user=mary, application=app, session=session, token="", token_checksum=digest(SECRET), expires=later
        ),
        RefreshToken.objects.create(
            user=mary, application=app, family=family, token="", token_checksum=digest(SECRET)
        ),
        DeviceGrant.objects.create(
            application=app, device_code=digest(SECRET), user_code=digest(SECRET), client_id=app.client_id, expires=later
        ),
        Consent.objects.create(user=mary, application=app, scopes=["openid"]),
        FlowState.objects.create(kind="oidc", state_hash=digest(SECRET), expires_at=later),
        SessionEvent.objects.create(type="joined", sid=session.sid, sub=mary.user_id, data={"a": 1}),
    ]  # fmt: skip
    boss = make_user("writer@fabrikamcorp.com")
    rows += [
        configuration.load_tenant(),
        SigningKey.objects.order_by("pk")[0],
        own_key.keep(*_saml_pair(), now, SamlKeyStatus.ACTIVE),
        Group.objects.create(name="Helpdesk"),
        LogEntry.objects.create(
            user=boss,
            content_type=ContentType.objects.get_for_model(User),
            object_id=str(mary.pk),
            object_repr=str(mary),
            action_flag=CHANGE,
        ),
        second_factors.give_all(mary),
    ]
    return {type(row): row for row in rows}


def _saml_pair() -> tuple[str, str]:
    """One that was made before: ours has 3072 bits, which takes a second."""
    pair = the_key("curfew.example")
    return pair.private, pair.certificate
