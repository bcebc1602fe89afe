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
from logout_app.models import Channel
from logout_app.protocol import commands
from logout_app.protocol.commands import Command

FIELD = "command_endpoint"


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
    on=lambda _: False,
    of_person=True,
    dispatch=Dispatch(ToApplication(FIELD, "command endpoint", _token, _overtaken), commands.decide),
)
