"""Global Token Revocation: one request when everything of a person ends, however many sessions there were.

It goes to each application that has an endpoint for it and was ever used by the person.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from idp.crypto import keys
from idp.models import Application, User
from logout_app.delivery.channels.applications import Addressee, ToApplication
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Hearing, Message
from logout_app.delivery.outbox import Claimed
from logout_app.delivery.receiver import APPLICATION
from logout_app.models import Channel, DeliveryState
from logout_app.protocol import gtr, gtr_request, retry
from logout_app.protocol.retry import Answer, Decision, History
from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession

FIELD = "global_token_revocation_uri"
REVOCATIONS = f"""
SELECT {{event}}, CAST(NULL AS bigint), application.id, '{APPLICATION}' || application.id, application.client_id,
    person.user_id, '', '{Channel.GTR}', '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, '', NULL
FROM {Application._meta.db_table} application
JOIN {User._meta.db_table} person ON person.id = {{person}}
WHERE {{event}} IS NOT NULL AND application.{FIELD} <> '' AND application.enabled AND (
    EXISTS (
        SELECT 1 FROM {SSOSession._meta.db_table} session
        JOIN {SessionClient._meta.db_table} joined ON joined.session_id = session.id
        WHERE session.user_id = person.id AND joined.application_id = application.id
    ) OR EXISTS (
        SELECT 1 FROM {RefreshTokenFamily._meta.db_table} family
        WHERE family.user_id = person.id AND family.application_id = application.id
    )
)"""  # noqa: S608  constants only


def _request(to: Addressee, row: Claimed, at: datetime) -> Message:
    """With a token of the profile that we accept ourselves."""
    claims = gtr_request.claims(issuer=settings.ISSUER, client_id=row.client_id, url=to.url, at=at)
    token = keys.sign_with(to.key, claims, typ=gtr.TYP)
    body = gtr_request.body(issuer=settings.ISSUER, sub=to.subject(row.sub))
    return Message(body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}, claims["jti"])


def _verdict(answer: Answer, history: History, *, at: datetime, jitter: float) -> Decision:
    return retry.decide(gtr_request.explained(answer), history, at=at, jitter=jitter, final=gtr_request.FINAL)


GTR = DeliveryChannel(
    Channel.GTR,
    "Global Token Revocation",
    Hearing(FIELD),
    REVOCATIONS,
    on=lambda occasion: occasion.whole_user,
    of_person=True,
    dispatch=Dispatch(ToApplication(FIELD, "Global Token Revocation URL", _request), _verdict),
)
