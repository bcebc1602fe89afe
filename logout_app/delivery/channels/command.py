"""OpenID Provider Commands: what becomes of the account that somebody has at an application. No end plans a row of it; acts on a
person do (`logout_app/commands`), and the event says which command it is.
"""

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
from logout_app.models import Channel, DeliveryState, LogoutDelivery, LogoutEvent
from logout_app.protocol import commands
from logout_app.protocol.commands import Command
from sessions_app.models import RefreshTokenFamily, SessionClient, SSOSession

FIELD = "command_endpoint"
# Of whom sessions or tokens are still on record, or who was told of the person before: a suspended one must hear the other too.
CONCERNED = f"""
FROM {Application._meta.db_table} application
JOIN {User._meta.db_table} person ON person.id = %(person)s
WHERE application.{FIELD} <> '' AND application.enabled AND (
    EXISTS (
        SELECT 1 FROM {SSOSession._meta.db_table} session
        JOIN {SessionClient._meta.db_table} joined ON joined.session_id = session.id
        WHERE session.user_id = person.id AND joined.application_id = application.id
    ) OR EXISTS (
        SELECT 1 FROM {RefreshTokenFamily._meta.db_table} family
        WHERE family.user_id = person.id AND family.application_id = application.id
    ) OR EXISTS (
        SELECT 1 FROM {LogoutEvent._meta.db_table} told
        JOIN {LogoutDelivery._meta.db_table} before ON before.event_id = told.id
        WHERE told.sub = person.user_id AND before.application_id = application.id AND before.channel = '{Channel.COMMAND}'
    )
)"""  # noqa: S608  constants only, here and below
COMMANDS = f"""
SELECT {{event}}, CAST(NULL AS bigint), application.id, '{APPLICATION}' || application.id, application.client_id,
    person.user_id, '', '{Channel.COMMAND}', '{DeliveryState.PENDING}', %(at)s{{timestamptz}}, %(at)s{{timestamptz}},
    0, 0, '', NULL
{CONCERNED}"""


def _token(to: Addressee, row: Claimed, at: datetime) -> Message:
    claims = commands.claims(
        issuer=settings.ISSUER,
        endpoint=to.url,
        client_id=row.client_id,
        command=commands.command_of(row.initiator),
        sub=to.subject(row.sub),
        at=at,
    )
    token = keys.sign_with(to.key, claims, typ=commands.TYP)
    return Message(f"{commands.FIELD}={token}".encode(), FORM, claims["jti"])


def _overtaken(_: Application, row: Claimed) -> str:
    """A command that waited while somebody changed their mind is not sent: what is so now was planned after it."""
    command = commands.command_of(row.initiator)
    if command not in (Command.SUSPEND, Command.REACTIVATE):
        return ""
    is_active = User.objects.filter(user_id=row.sub).values_list("is_active", flat=True).first()
    if command is Command.SUSPEND:
        return "the person was let in again meanwhile" if is_active else ""
    return "" if is_active else "the person was blocked or deleted meanwhile"


COMMAND = DeliveryChannel(
    Channel.COMMAND,
    "Provider command",
    select=COMMANDS,
    on=lambda _: False,
    of_person=True,
    dispatch=Dispatch(ToApplication(FIELD, "command endpoint", _token, _overtaken), commands.decide),
)
