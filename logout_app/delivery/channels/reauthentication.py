"""A session must be proved again: the applications in it that have an endpoint for this get a token. Nothing ends, so no end
plans a row of it (`logout_app/reauthentication`)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from idp.crypto import keys
from idp.models import Application, User
from idp.outbound.many import FORM
from logout_app.delivery.channels.applications import Addressee, ToApplication
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Message
from logout_app.delivery.outbox import Claimed
from logout_app.delivery.receiver import APPLICATION
from logout_app.models import Channel, DeliveryState
from logout_app.protocol import reauthentication_token, retry
from sessions_app.models import SessionClient, SSOSession

FIELD = "reauthentication_uri"
ASKED_FOR_IT = f"""
FROM {SessionClient._meta.db_table} joined
JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
JOIN {User._meta.db_table} person ON person.id = session.user_id
JOIN {Application._meta.db_table} application ON application.id = joined.application_id
WHERE joined.session_id {{among}} AND application.{FIELD} <> '' AND application.enabled"""  # constants only, here and below
SESSIONS = f"""
SELECT {{event}}, session.id, application.id, '{APPLICATION}' || application.id, application.client_id, person.user_id,
    session.sid, '{Channel.REAUTHENTICATION}', '{DeliveryState.PENDING}', %(at)s{{timestamptz}}, %(at)s{{timestamptz}},
    0, 0, '', NULL
{ASKED_FOR_IT}"""


def _token(to: Addressee, row: Claimed, at: datetime) -> Message:
    claims = reauthentication_token.claims(
        issuer=settings.ISSUER,
        client_id=row.client_id,
        sub=to.subject(row.sub),
        sid=row.sid,
        include_sub=to.application.backchannel_logout_include_sub,
        required_at=row.created_at,
        at=at,
    )
    token = keys.sign_with(to.key, claims, typ=reauthentication_token.TYP)
    return Message(f"{reauthentication_token.FIELD}={token}".encode(), FORM, claims["jti"])


REAUTHENTICATION = DeliveryChannel(
    Channel.REAUTHENTICATION,
    "Reauthentication",
    select=SESSIONS,
    on=lambda _: False,
    dispatch=Dispatch(ToApplication(FIELD, "reauthentication URL", _token), retry.decide),
)
