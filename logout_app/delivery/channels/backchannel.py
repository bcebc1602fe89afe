"""OpenID Connect Back-Channel Logout 1.0: a logout token for each session that the application joined."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from idp.crypto import keys
from idp.models import Application, InitiatorMode
from idp.outbound.many import FORM
from logout_app.delivery.channels.applications import Addressee, ToApplication
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch, Hearing, Message
from logout_app.delivery.outbox import Claimed
from logout_app.models import Channel
from logout_app.protocol import logout_token, retry, silence

FIELD = "backchannel_logout_uri"
# As `Application.hears_of()`. The JSON list is compared as text: SQLite has no containment operator.
LISTENS = f"""(
        application.backchannel_logout_initiators_mode = '{InitiatorMode.ALL}'
        OR CAST(application.backchannel_logout_initiators AS text) LIKE %(listed)s
        OR CAST(application.backchannel_logout_initiators AS text) LIKE %(listed_too)s
    )"""


def _logout_token(to: Addressee, row: Claimed, at: datetime) -> Message:
    """Section 2.5."""
    claims = logout_token.claims(
        issuer=settings.ISSUER,
        client_id=row.client_id,
        sub=to.subject(row.sub),
        sid=row.sid,
        include_sub=to.application.backchannel_logout_include_sub,
        at=at,
    )
    token = keys.sign_with(to.key, claims, typ=to.application.backchannel_logout_token_typ)
    return Message(b"logout_token=" + token.encode(), FORM, claims["jti"])


def _unheard(application: Application, row: Claimed) -> str:
    return "" if application.hears_of(row.initiator) else f"the application does not hear of {row.initiator}"


BACKCHANNEL = DeliveryChannel(
    Channel.BACKCHANNEL,
    "Back channel",
    Hearing(
        FIELD,
        also=LISTENS,
        also_in_python=lambda application, initiator: application.hears_of(initiator),
        silent="%(deaf)s",
        silent_in_python=silence.deaf,
    ),
    dispatch=Dispatch(ToApplication(FIELD, "back-channel logout URL", _logout_token, _unheard), retry.decide),
)
